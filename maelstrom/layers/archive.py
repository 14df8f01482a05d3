"""Turn a tar archive into a layer.

An archive may come from anywhere, so nothing in it is trusted: names that lead out of the
container's root, devices, and links to what the archive does not hold are refused by name, and the
number and size of its entries have limits. Its content is unpacked once, into the hasher's
directory, and never under a name of the archive's choosing.
"""

import hashlib
import lzma
import os
import posixpath
import tarfile
import tempfile
import zlib
from pathlib import Path

from maelstrom.errors import LayerError, SpecError
from maelstrom.layers.hasher import Hasher, write_atomically
from maelstrom.layers.tree import BuiltLayer, Source, manifest
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import Directory, File, Manifest, Node, Symlink

FORMAT_VERSION = 1
ENTRIES_MAX = 500_000
BYTES_MAX = 16 << 30
CHUNK_BYTES = 1 << 20


def build(
    path: str, hasher: Hasher, *, entries_max: int = ENTRIES_MAX, bytes_max: int = BYTES_MAX
) -> BuiltLayer:
    """Build a layer from an archive: plain, or packed by gzip, bzip2 or xz."""
    digest = hasher.digest(path)
    record = hasher.directory / "archives" / f"{digest.hash}.{FORMAT_VERSION}"
    built = _recall(record, hasher)
    if built is None:
        reader = _Reader(path, hasher, entries_max, bytes_max)
        built = reader.read()
        write_atomically(record, built.manifest.encoded)
    return built


def _recall(record: Path, hasher: Hasher) -> BuiltLayer | None:
    try:
        known = Manifest.decode(record.read_bytes())
    except (OSError, SpecError):
        return None
    sources: dict[Digest, Source] = {
        digest: hasher.made_path(digest) for digest in known.contents()
    }
    if all(os.path.exists(source) for source in sources.values()):
        return BuiltLayer(known, sources)
    return None


class _Reader:
    def __init__(self, path: str, hasher: Hasher, entries_max: int, bytes_max: int) -> None:
        self._path = path
        self._hasher = hasher
        self._entries_max = entries_max
        self._room_bytes = bytes_max
        self._nodes: dict[str, Node] = {}
        self._sources: dict[Digest, Source] = {}

    def read(self) -> BuiltLayer:
        try:
            with tarfile.open(self._path, "r:*", errorlevel=2) as tar:
                for number, member in enumerate(tar):
                    if number >= self._entries_max:
                        raise self._error(f"has more than {self._entries_max} entries")
                    self._add(tar, member)
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
            raise LayerError(f"{self._path!r} is not a sound tar archive: {error}") from error
        except OSError as error:
            raise LayerError(f"cannot read {self._path!r}: {error.strerror or error}") from error
        return BuiltLayer(manifest(self._nodes.items()), self._sources)

    def _error(self, message: str) -> LayerError:
        return LayerError(f"the archive {self._path!r} {message}")

    def _name(self, name: str, what: str) -> str:
        if name.startswith("/"):
            raise self._error(f"has {what} {name!r}, which is absolute")
        if ".." in name.split("/"):
            raise self._error(f"has {what} {name!r}, which leads out by `..`")
        plain = posixpath.normpath(name)
        return "" if plain == "." else plain

    def _add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = self._name(member.name, "the entry")
        node: Node
        if member.isdir():
            if not name:
                return
            node = Directory()
        elif member.issym():
            node = Symlink(os.fsencode(member.linkname))
        elif member.islnk():
            target = self._nodes.get(self._name(member.linkname, "a hard link to"))
            if not isinstance(target, File):
                raise self._error(
                    f"has a hard link {member.name!r} to {member.linkname!r}, "
                    "which is no file that came before it"
                )
            node = target
        elif member.isreg():
            node = File(self._keep(tar, member), bool(member.mode & 0o111))
        else:
            raise self._error(
                f"has the entry {member.name!r}, which is neither file, directory nor link"
            )
        if not name:
            raise self._error(f"has the entry {member.name!r} in place of its root directory")
        # As tar does, the later of two entries of one name wins.
        self._nodes[name] = node

    def _keep(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Digest:
        self._room_bytes -= member.size
        if self._room_bytes < 0:
            raise self._error("holds more than a layer may")
        reader = tar.extractfile(member)
        assert reader is not None, "a regular file has content"
        made = self._hasher.directory / "made"
        made.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=made, prefix=".new-")
        try:
            state = hashlib.sha256()
            with open(descriptor, "wb") as file:
                while chunk := reader.read(CHUNK_BYTES):
                    state.update(chunk)
                    file.write(chunk)
            digest = Digest(state.hexdigest(), member.size)
            final = self._hasher.made_path(digest)
            os.makedirs(os.path.dirname(final), exist_ok=True)
            os.replace(temporary, final)
        except BaseException:
            os.unlink(temporary)
            raise
        self._sources[digest] = final
        return digest
