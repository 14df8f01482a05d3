"""A content store in memory, and the layers that jobs are run in."""

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
    def __init__(self, disk: "Disk", digest: Digest, begun: bytes) -> None:
        self._disk = disk
        self._digest = digest
        self._content = bytearray(begun)

    def write(self, chunk: bytes) -> None:
        """Take a piece."""
        self._content += chunk

    def commit(self) -> None:
        """Keep it if it is right."""
        self._disk.put_bytes(self._digest, bytes(self._content))

    def suspend(self) -> None:
        """Keep what there is, to go on from."""
        self._disk.begun[self._digest] = bytes(self._content)

    def abort(self) -> None:
        """Forget it."""


class Disk:
    """Has the face of the real store, and outlives the program that uses it."""

    layers_root = ""
    owner = None
    size_bytes_max = 1 << 30
    used_bytes = 0

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.layers: dict[Digest, None] = {}
        self.begun: dict[Digest, bytes] = {}
        self.resumed = 0
        """How often a blob went on from its beginning."""

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

    def read_part(self, digest: Digest, offset: int, length: int) -> tuple[bytes, bool]:
        """Return a part of a content."""
        return self.read(digest)[offset : offset + length], False

    def put_bytes(
        self, digest: Digest, content: bytes | memoryview, *, is_executable: bool = False
    ) -> None:
        """Keep a content if it is right."""
        del is_executable
        if Digest.of(bytes(content)) != digest:
            raise StoreError(f"blob {digest.short} is not what it should be")
        self.blobs[digest] = bytes(content)

    put_new = put_bytes

    def partial_bytes(self, digest: Digest) -> int:
        """Return how much is here to go on from."""
        return min(len(self.begun.get(digest, b"")), digest.size - 1)

    def writer(self, digest: Digest, *, is_executable: bool = False, offset: int = 0) -> _Writer:
        """Take a content in pieces."""
        del is_executable
        begun = self.begun.get(digest, b"")
        if offset > len(begun):
            # Somebody else writes to it, or has, since we told how much there is.
            raise StoreError(f"less than {offset} bytes are here of blob {digest.short}")
        self.begun.pop(digest, None)
        self.resumed += bool(offset)
        return _Writer(self, digest, begun[:offset])

    def close(self) -> None:
        """Nothing is open."""


class Builder:
    """Lays out layers, if all they are made of is there."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def ensure(self, manifest: Manifest) -> None:
        """Lay one out."""
        lacking = self._disk.missing(manifest.contents())
        assert not lacking, "a layer is laid out when all of it is here"
        self._disk.layers[manifest.digest] = None
