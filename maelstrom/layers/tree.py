"""Gather what a layer is made of, and turn it into a manifest.

Container paths come in absolute. A path has one node: the same thing may be added twice, two
different things are an error that names both.
"""

import os
import posixpath
from collections.abc import Iterable
from typing import NamedTuple

from maelstrom.errors import LayerError, SpecError
from maelstrom.layers.hasher import Hasher
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import Directory, File, Manifest, Node, Symlink

Source = str | bytes
"""Where content is: the path of a file of this host, or the bytes themselves."""


class BuiltLayer(NamedTuple):
    """A manifest, and where the content it names is to be had."""

    manifest: Manifest
    sources: dict[Digest, Source]
    library_path: tuple[str, ...] = ()
    """Directories in the container that LD_LIBRARY_PATH must name, or libraries are not found."""
    notes: tuple[str, ...] = ()
    """What the user should know: things left out, things that may be missing."""


class _HostFile(NamedTuple):
    path: str
    is_executable: bool
    digest: Digest | None = None


class _Bytes(NamedTuple):
    content: bytes
    is_executable: bool


_Item = _HostFile | _Bytes | Directory | Symlink


class Tree:
    """A tree in the making."""

    def __init__(self) -> None:
        self._items: dict[str, _Item] = {}
        self.library_path: dict[str, None] = {}
        self.notes: dict[str, None] = {}

    def add_file(self, path: str, host_path: str, *, is_executable: bool) -> None:
        """Add a file of this host."""
        self._add(path, _HostFile(host_path, is_executable))

    def add_known(self, path: str, digest: Digest, host_path: str) -> None:
        """Add a file of this host whose digest is known."""
        self._add(path, _HostFile(host_path, is_executable=False, digest=digest))

    def add_bytes(self, path: str, content: bytes, *, is_executable: bool = False) -> None:
        """Add a file with this content."""
        self._add(path, _Bytes(content, is_executable))

    def add_directory(self, path: str) -> None:
        """Add a directory, which may be added again."""
        self._add(path, Directory())

    def add_symlink(self, path: str, target: str) -> None:
        """Add a link with its target as written."""
        self._add(path, Symlink(os.fsencode(target)))

    def __contains__(self, path: str) -> bool:
        return path.lstrip("/") in self._items

    def _add(self, path: str, item: _Item) -> None:
        if not path.startswith("/") or posixpath.normpath(path) != path:
            raise LayerError(f"{path!r} cannot be a path in a container")
        relative = path.lstrip("/")
        if not relative:
            if isinstance(item, Directory):
                return
            raise LayerError(f"{_told(item)} cannot be the root of a container")
        present = self._items.setdefault(relative, item)
        if present == item:
            return
        if (
            isinstance(present, _HostFile)
            and isinstance(item, _HostFile)
            and os.path.realpath(present.path) == os.path.realpath(item.path)
        ):
            return
        raise LayerError(
            f"{path!r} would be both {_told(present)} and {_told(item)}",
            hint="put them into two layers, or give one of them another prefix",
        )

    def finish(self, hasher: Hasher) -> BuiltLayer:
        """Hash all files and return the layer."""
        files = [item for item in self._items.values() if isinstance(item, _HostFile)]
        digests = hasher.digests(sorted({item.path for item in files if item.digest is None}))
        sources: dict[Digest, Source] = {}
        entries: list[tuple[str, Node]] = []
        for path, item in self._items.items():
            node: Node
            match item:
                case _HostFile(host_path, is_executable, digest):
                    node = File(digest or digests[host_path], is_executable)
                    sources[node.content] = host_path
                case _Bytes(content, is_executable):
                    node = File(Digest.of(content), is_executable)
                    sources[node.content] = content
                case _:
                    node = item
            entries.append((path, node))
        notes = tuple(self.notes)
        return BuiltLayer(manifest(entries), sources, tuple(self.library_path), notes)


def manifest(entries: Iterable[tuple[str, Node]]) -> Manifest:
    """Make a manifest; what it refuses is told as an error of the layer."""
    try:
        return Manifest(entries)
    except SpecError as error:
        raise LayerError(
            error.message, hint="two things of this layer do not fit together; see its paths"
        ) from error


def _told(item: _Item) -> str:
    match item:
        case _HostFile(path):
            return f"the file {path!r}"
        case _Bytes(content, _):
            return "an empty file" if not content else f"a file of {len(content)} bytes"
        case Symlink(target):
            return f"a link to {os.fsdecode(target)!r}"
        case _:
            return "a directory"
