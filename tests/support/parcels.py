"""Parcels made by hand, right ones and wrong ones."""

from maelstrom.model.digest import Digest
from maelstrom.wire.messages import PLAIN, Parcel, Piece


def parcel(*contents: bytes, says: Digest | None = None, coding: int = PLAIN) -> Parcel:
    """Return a parcel of whole blobs; `says` is what it says its only one is."""
    pieces = [Piece(says or Digest.of(content), 0, len(content)) for content in contents]
    return Parcel(tuple(pieces), coding, memoryview(b"".join(contents)))


def part(digest: Digest, offset: int, content: bytes) -> Parcel:
    """Return a parcel with a part of a blob."""
    return Parcel((Piece(digest, offset, len(content)),), PLAIN, memoryview(content))
