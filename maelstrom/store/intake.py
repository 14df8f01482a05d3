"""Take contents in from a connection: verified beside, kept when they are right, never too many.

Rules of this file:
1. Nothing is believed: not a size, not an offset, not that it was asked for, not the content.
2. Whole blobs are verified side by side; the pieces of one blob one after the other.
3. What is refused harms only its own blob; a parcel that lies about itself ends the connection.
4. When the connection ends, what came of a large blob is kept to go on from.
"""

import asyncio
from typing import Protocol

from maelstrom.errors import MaelstromError, ProtocolError, StoreError
from maelstrom.model.digest import Digest
from maelstrom.store.disk import DiskStore
from maelstrom.store.sender import Spawn
from maelstrom.store.writer import BlobWriter
from maelstrom.wire.compression import decompress
from maelstrom.wire.connection import Connection
from maelstrom.wire.messages import ZSTD, Parcel, Piece, Took
from maelstrom.wire.parcel import WINDOW_BYTES, check, is_whole, weight

INTAKES_AT_ONCE_MAX = 4
STREAMS_MAX = 8
"""Large blobs under way at once by one connection."""


class Keeper(Protocol):
    """Who wants the contents."""

    def begins(self, piece: Piece) -> None:
        """Hear what comes. Raises ProtocolError for what nobody wants, StoreError to refuse it."""

    def kept(self, digests: tuple[Digest, ...]) -> None:
        """Hear what is in the store now."""

    def refused(self, digest: Digest, error: MaelstromError, *, was_resumed: bool) -> None:
        """Hear of what was not right; of one that went on, its beginning may be to blame."""


class _Stream:
    """A large blob under way."""

    def __init__(self, offset: int) -> None:
        self.turn = asyncio.Lock()
        self.began = offset
        self.at = offset
        """Where the next piece must begin."""
        self.writer: BlobWriter | None = None
        self.is_refused = False
        self.is_whole = False
        self.users = 0


class Intake:
    """What comes by one connection."""

    def __init__(
        self, store: DiskStore, connection: Connection, spawn: Spawn, keeper: Keeper
    ) -> None:
        self._store = store
        self._connection = connection
        self._spawn = spawn
        self._keeper = keeper
        self._turns = asyncio.Semaphore(INTAKES_AT_ONCE_MAX)
        self._streams: dict[Digest, _Stream] = {}
        self._in_hand = 0

    def take(self, parcel: Parcel) -> None:
        """Begin to keep what is in a parcel; raises ProtocolError."""
        size = check(parcel)
        heavy = weight(size, len(parcel.pieces))
        if self._in_hand and self._in_hand + heavy > WINDOW_BYTES:
            raise ProtocolError(f"more than {WINDOW_BYTES} bytes of content before they were taken")
        first = parcel.pieces[0]
        if is_whole(first):
            refused = self._begin_all(parcel.pieces)
            self._in_hand += heavy
            self._spawn(self._keep_whole(parcel, size, heavy, refused))
        else:
            stream = self._stream(first)
            self._in_hand += heavy
            stream.users += 1
            self._spawn(self._keep_piece(parcel, heavy, stream))

    def _begin_all(self, pieces: tuple[Piece, ...]) -> dict[Digest, MaelstromError]:
        refused: dict[Digest, MaelstromError] = {}
        for piece in pieces:
            try:
                self._keeper.begins(piece)
            except ProtocolError:
                raise
            except MaelstromError as error:
                refused[piece.digest] = error
        return refused

    def _stream(self, piece: Piece) -> _Stream:
        stream = self._streams.get(piece.digest)
        if stream is None:
            if len(self._streams) >= STREAMS_MAX:
                raise ProtocolError(f"pieces of more than {STREAMS_MAX} blobs at once")
            stream = _Stream(piece.offset)
            refused = self._begin_all((piece,))
            self._streams[piece.digest] = stream
            if refused:
                self._refuse(piece.digest, stream, refused[piece.digest])
        elif stream.at != piece.offset:
            raise ProtocolError(
                f"bytes of blob {piece.digest.short} from {piece.offset} on; "
                f"those from {stream.at} on were due"
            )
        stream.at += piece.length
        return stream

    def _refuse(self, digest: Digest, stream: _Stream, error: MaelstromError) -> None:
        stream.is_refused = True
        stream.writer = None
        self._keeper.refused(digest, error, was_resumed=bool(stream.began))

    # Whole blobs

    async def _keep_whole(
        self, parcel: Parcel, size: int, heavy: int, refused: dict[Digest, MaelstromError]
    ) -> None:
        async with self._turns:
            if self._connection.is_over:
                return
            try:
                stored = await asyncio.to_thread(self._store_all, parcel, size, refused)
            except ProtocolError as error:
                self._connection.refuse(error)
                return
        for digest, reason in refused.items():
            self._keeper.refused(digest, reason, was_resumed=False)
        self._took(heavy, stored)

    def _store_all(
        self, parcel: Parcel, size: int, refused: dict[Digest, MaelstromError]
    ) -> tuple[Digest, ...]:
        content = memoryview(_unpacked(parcel, size))
        stored = []
        at = 0
        for piece in parcel.pieces:
            own = content[at : at + piece.length]
            at += piece.length
            if piece.digest in refused:
                continue
            try:
                self._store.put_new(piece.digest, own, is_executable=piece.is_executable)
                stored.append(piece.digest)
            except StoreError as error:
                refused[piece.digest] = error
        return tuple(stored)

    # Large ones

    async def _keep_piece(self, parcel: Parcel, heavy: int, stream: _Stream) -> None:
        piece = parcel.pieces[0]
        is_last = piece.offset + piece.length == piece.digest.size
        async with stream.turn, self._turns:
            stream.users -= 1
            try:
                if not stream.is_refused and not self._connection.is_over:
                    await asyncio.to_thread(self._append, parcel, stream, is_last=is_last)
            except ProtocolError as error:
                self._connection.refuse(error)
            except StoreError as error:
                self._refuse(piece.digest, stream, error)
            self._suspend_if_over(stream)
        if is_last:
            self._streams.pop(piece.digest, None)
        self._took(heavy, (piece.digest,) if stream.is_whole else ())

    def _append(self, parcel: Parcel, stream: _Stream, *, is_last: bool) -> None:
        piece = parcel.pieces[0]
        content = _unpacked(parcel, piece.length)
        if stream.writer is None:
            stream.writer = self._store.writer(
                piece.digest, is_executable=piece.is_executable, offset=piece.offset
            )
        stream.writer.write(content)
        if is_last:
            stream.writer.commit()
            stream.writer = None
            stream.is_whole = True

    def _suspend_if_over(self, stream: _Stream) -> None:
        if self._connection.is_over:
            self._suspend(stream)

    def _suspend(self, stream: _Stream) -> None:
        if stream.writer is not None and not stream.users:
            stream.writer.suspend()
            stream.writer = None

    def _took(self, heavy: int, stored: tuple[Digest, ...]) -> None:
        self._in_hand -= heavy
        self._connection.send(Took(heavy, stored))
        if stored:
            self._keeper.kept(stored)

    def absent(self, digest: Digest) -> None:
        """Hear that the rest of a blob does not come."""
        stream = self._streams.pop(digest, None)
        if stream is not None:
            stream.is_refused = True
            self._suspend(stream)

    def lost(self) -> None:
        """Hear that the connection is over."""
        for stream in self._streams.values():
            # One that is being written to is suspended by whoever does that.
            if not stream.turn.locked():
                self._suspend(stream)


def _unpacked(parcel: Parcel, size: int) -> bytes | memoryview:
    return decompress(parcel.content, size) if parcel.coding == ZSTD else parcel.content
