"""Decide how contents are cut and packed on their way: no I/O.

A parcel is one frame with pieces of blobs, compressed together or not at all. Rules of this file:
1. Small blobs travel whole, many in a parcel; a large one in pieces, each in a parcel of its own.
   So parcels of whole blobs may be verified side by side, and only pieces must keep their order.
2. A parcel has at most PARCEL_BYTES_MAX of content and PIECES_MAX pieces, whatever it says.
3. A sender has at most WINDOW_BYTES of content on the way that the other end did not say it took.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from maelstrom.errors import ProtocolError
from maelstrom.model.digest import Digest
from maelstrom.wire.messages import PLAIN, ZSTD, Parcel, Piece

PARCEL_BYTES_MAX = 1 << 20
PIECES_MAX = 1000
WINDOW_BYTES = 16 << 20
PIECE_BYTES = 256
"""What a piece counts besides its content: empty blobs take room, too."""
BLOB_FRAME_BYTES_MAX = 4 << 20
"""Of a blob connection: a parcel with its pieces, or a list of DIGESTS_MAX digests."""
DIGESTS_MAX = 10_000


class Span(NamedTuple):
    """A part of a blob that is to be sent."""

    digest: Digest
    offset: int
    length: int


def spans(queue: deque[tuple[Digest, int]]) -> list[Span]:
    """Take from the queue what makes the next parcel; the queue has blobs, each with its offset."""
    digest, offset = queue.popleft()
    left = digest.size - offset
    if left > PARCEL_BYTES_MAX or offset:
        length = min(left, PARCEL_BYTES_MAX)
        if length < left:
            queue.appendleft((digest, offset + length))
        return [Span(digest, offset, length)]
    packed = [Span(digest, 0, digest.size)]
    room = PARCEL_BYTES_MAX - digest.size
    while queue and len(packed) < PIECES_MAX and not queue[0][1] and queue[0][0].size <= room:
        digest, _ = queue.popleft()
        room -= digest.size
        packed.append(Span(digest, 0, digest.size))
    return packed


def batches(digests: Iterable[Digest]) -> Iterator[tuple[Digest, ...]]:
    """Cut a list so that each part fits into a message."""
    every = list(digests)
    for start in range(0, len(every), DIGESTS_MAX):
        yield tuple(every[start : start + DIGESTS_MAX])


def check(parcel: Parcel) -> int:
    """Return how much content a parcel has when it is unpacked; raises ProtocolError for a lie."""
    pieces = parcel.pieces
    if not 1 <= len(pieces) <= PIECES_MAX:
        raise ProtocolError(f"a parcel of {len(pieces)} pieces; the limit is {PIECES_MAX}")
    size = 0
    for piece in pieces:
        end = piece.offset + piece.length
        if piece.offset < 0 or piece.length < 0 or end > piece.digest.size:
            raise ProtocolError(f"a piece that is no part of blob {piece.digest.short}")
        if not is_whole(piece) and (len(pieces) > 1 or not piece.length):
            raise ProtocolError(f"a part of blob {piece.digest.short} that is not by itself")
        size += piece.length
    if size > PARCEL_BYTES_MAX:
        raise ProtocolError(f"a parcel of {size} bytes; the limit is {PARCEL_BYTES_MAX}")
    if parcel.coding not in (PLAIN, ZSTD):
        raise ProtocolError(f"a parcel in the unknown coding {parcel.coding}")
    if parcel.coding == PLAIN and len(parcel.content) != size:
        raise ProtocolError(f"a parcel of {len(parcel.content)} bytes that says {size}")
    return size


def weight(size_bytes: int, pieces: int) -> int:
    """Return how much of the window a parcel takes."""
    return size_bytes + PIECE_BYTES * pieces


def is_whole(piece: Piece) -> bool:
    """Whether a piece is all of its blob."""
    return not piece.offset and piece.length == piece.digest.size
