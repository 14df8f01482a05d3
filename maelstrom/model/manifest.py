"""A tree of files as plain content: what a layer is.

Rules of this file:
1. A manifest names paths, types, the execute bit, content digests and link targets; nothing else.
   No times, no owners, no host paths: two checkouts of the same tree have the same digest.
2. Its canonical form is the sorted entries in MessagePack; the digest of those bytes names the
   layer.
3. Paths are relative, without `.` and `..`; they are bytes on disk, so names that are not UTF-8
   travel as surrogate escapes in memory and as raw bytes in the canonical form.
4. Directories above an entry need not be listed; they are made with mode 0755.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Self

import msgspec

from maelstrom.errors import SpecError
from maelstrom.model.digest import Digest

FORMAT_VERSION = 1
PATH_BYTES_MAX = 4095
NAME_BYTES_MAX = 255
ENTRIES_MAX = 2_000_000


class File(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """A regular file: mode 0555 if executable, else 0444."""

    content: Digest
    is_executable: bool = False


class Directory(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    """A directory: mode 0755. An opaque one hides what lower layers have in it."""

    is_opaque: bool = False


class Symlink(msgspec.Struct, frozen=True, array_like=True, tag="l"):
    """A symbolic link with its target as written."""

    target: bytes


class Whiteout(msgspec.Struct, frozen=True, array_like=True, tag="w"):
    """Hides what lower layers have at this path."""


Node = File | Directory | Symlink | Whiteout


class _Canonical(msgspec.Struct, frozen=True, array_like=True):
    version: int
    entries: list[tuple[bytes, Node]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Canonical).decode


class Manifest:
    """An immutable map from relative path to node, in canonical order.

    Raises SpecError for a path that is absolute, empty, too long, has `.`/`..`/NUL in it, or lies
    below something that is not a directory.
    """

    __slots__ = ("_nodes", "digest", "encoded")

    def __init__(self, entries: Iterable[tuple[str, Node]]) -> None:
        raw = {os.fsencode(path): node for path, node in entries}
        self._init(sorted(raw.items()))

    def _init(self, entries: list[tuple[bytes, Node]]) -> None:
        if len(entries) > ENTRIES_MAX:
            raise SpecError(f"a layer of {len(entries)} entries; the limit is {ENTRIES_MAX}")
        self._nodes = dict(entries)
        directories: set[bytes] = set()
        for path in self._nodes:
            self._check(path, directories)
        self.encoded: bytes = _encode(_Canonical(FORMAT_VERSION, entries))
        self.digest = Digest.of(self.encoded)

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """Read the canonical form; refuses anything that is not exactly canonical."""
        try:
            canonical = _decode(encoded)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SpecError(f"not a layer manifest: {error}") from error
        if canonical.version != FORMAT_VERSION:
            raise SpecError(
                f"layer manifest of format {canonical.version}; this program reads {FORMAT_VERSION}"
            )
        self = cls.__new__(cls)
        self._init(canonical.entries)
        paths = [path for path, _ in canonical.entries]
        if self.encoded != encoded or paths != sorted(self._nodes):
            raise SpecError("layer manifest is not in canonical form")
        return self

    def _check(self, path: bytes, directories: set[bytes]) -> None:
        """Check one path; `directories` are those above earlier paths, checked already."""
        if len(path) > PATH_BYTES_MAX or b"\0" in path:
            raise SpecError(f"path {path[:100]!r} in a layer is too long or has a NUL in it")
        if path.startswith(b"/"):
            raise SpecError(f"path {path!r} in a layer must be relative, without `.` and `..`")
        part = path
        while True:
            above, _, name = part.rpartition(b"/")
            if name in (b"", b".", b".."):
                raise SpecError(f"path {path!r} in a layer must be relative, without `.` and `..`")
            if len(name) > NAME_BYTES_MAX:
                raise SpecError(f"name {name[:100]!r} in a layer is longer than {NAME_BYTES_MAX}")
            if not above or above in directories:
                return
            if not isinstance(self._nodes.get(above, Directory()), Directory):
                raise SpecError(f"path {path!r} in a layer lies below something not a directory")
            directories.add(above)
            part = above

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[tuple[str, Node]]:
        return ((os.fsdecode(path), node) for path, node in self._nodes.items())

    def contents(self) -> tuple[Digest, ...]:
        """Return the digests of all files, each once, in the order of their paths: what a worker
        must hold to lay this layer out."""
        files = (node.content for node in self._nodes.values() if isinstance(node, File))
        return tuple(dict.fromkeys(files))
