"""A content store in memory, and the layers that jobs are run in."""

import io
from collections.abc import Iterable

from maelstrom.errors import StoreError
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import File, Manifest

CONTENTS = [bytes([number]) * (1 + number * number * 3000) for number in range(8)]
MANIFESTS = [
    Manifest(
        (f"f{place}", File(Digest.of(CONTENTS[(number + place * 2) % len(CONTENTS)])))
        for place in range(3)
    )
    for number in range(6)
]
LAYERS = [manifest.digest for manifest in MANIFESTS]
SOURCES: dict[Digest, str | bytes] = {
    **{Digest.of(content): content for content in CONTENTS},
    **{manifest.digest: manifest.encoded for manifest in MANIFESTS},
}


class _Writer:
    def __init__(self, disk: "Disk", digest: Digest) -> None:
        self._disk = disk
        self._digest = digest
        self._content = bytearray()

    def write(self, chunk: bytes) -> None:
        """Take a piece."""
        self._content += chunk

    def commit(self) -> None:
        """Keep it if it is right."""
        content = bytes(self._content)
        if Digest.of(content) != self._digest:
            raise StoreError(f"blob {self._digest.short} is not what it should be")
        self._disk.blobs[self._digest] = content

    def abort(self) -> None:
        """Forget it."""


class _Path:
    suffix = ""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def open(self, mode: str) -> io.BytesIO:
        """Read it."""
        assert mode == "rb"
        return io.BytesIO(self._content)


class Disk:
    """Has the face of the real store, and outlives the program that uses it."""

    layers_root = ""
    owner = None

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.layers: dict[Digest, None] = {}

    def missing(self, digests: Iterable[Digest]) -> list[Digest]:
        """Return those that are not here."""
        return [digest for digest in digests if digest not in self.blobs]

    def has_layer(self, layer: Digest) -> bool:
        """Whether a layer is laid out."""
        return layer in self.layers

    touch_layer = has_layer

    def pin(self, digests: Iterable[Digest], by: str) -> None:
        """Nothing is evicted."""

    def unpin(self, by: str) -> None:
        """Nothing is evicted."""

    def read(self, digest: Digest) -> bytes:
        """Return a content."""
        if digest not in self.blobs:
            raise StoreError(f"blob {digest.short} is not here")
        return self.blobs[digest]

    def path(self, digest: Digest) -> _Path:
        """Return something that can be opened."""
        return _Path(self.read(digest))

    def writer(self, digest: Digest, *, is_executable: bool = False) -> _Writer:
        """Take a content in pieces."""
        del is_executable
        return _Writer(self, digest)

    def close(self) -> None:
        """Nothing is open."""


class Builder:
    """Lays out layers, if all they are made of is there."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def ensure(self, layer: Digest) -> None:
        """Lay one out."""
        lacking = self._disk.missing(Manifest.decode(self._disk.read(layer)).contents())
        assert not lacking, "a layer is laid out when all of it is here"
        self._disk.layers[layer] = None
