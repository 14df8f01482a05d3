"""Send contents in parcels: read and compressed beside, and never more than the other end takes.

What the other end says it took makes room for more, so a slow reader costs a window and no more.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple, TypeAlias

from maelstrom.errors import MaelstromError, ProtocolError
from maelstrom.model.digest import Digest
from maelstrom.wire.compression import compress
from maelstrom.wire.connection import Connection
from maelstrom.wire.messages import PLAIN, ZSTD, Absent, Parcel, Piece
from maelstrom.wire.parcel import WINDOW_BYTES, Span, spans, weight

LOADS_AT_ONCE_MAX = 3

Read: TypeAlias = Callable[[Digest, int, int], tuple[bytes, bool]]
"""Returns a part of a blob, and whether it is a program; raises StoreError or OSError."""
Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]


class _Loaded(NamedTuple):
    parcel: Parcel
    weight: int
    failed: list[tuple[Digest, str]]


class Sender:
    """Sends by one connection; `on_failed` hears of what could not be read."""

    def __init__(
        self,
        connection: Connection,
        read: Read,
        spawn: Spawn,
        on_failed: Callable[[Digest, str], None],
    ) -> None:
        self._connection = connection
        self._read = read
        self._spawn = spawn
        self._on_failed = on_failed
        self._queue: deque[tuple[Digest, int]] = deque()
        # What could not be read: pieces that were read beside are not sent either.
        self._failed: set[Digest] = set()
        self._on_the_way = 0
        self._has_room = asyncio.Event()
        self._is_busy = False

    @property
    def waiting(self) -> int:
        """How many blobs have not left whole."""
        return len(self._queue)

    def send(self, wanted: Iterable[tuple[Digest, int]]) -> None:
        """Let these follow, each from its offset."""
        for digest, offset in wanted:
            if not 0 <= offset <= max(0, digest.size - 1):
                raise ProtocolError(f"blob {digest.short} has no byte {offset}")
            self._failed.discard(digest)
            self._queue.append((digest, offset))
        if self._queue and not self._is_busy:
            self._is_busy = True
            self._spawn(self._send_all())

    def took(self, size_bytes: int) -> None:
        """Hear that the other end has room again."""
        if not 0 <= size_bytes <= self._on_the_way:
            raise ProtocolError(f"{size_bytes} bytes were taken that were not sent")
        self._on_the_way -= size_bytes
        self._has_room.set()

    async def _send_all(self) -> None:
        loading: deque[asyncio.Task[_Loaded]] = deque()
        try:
            while (self._queue or loading) and not self._connection.is_over:
                while self._queue and len(loading) < LOADS_AT_ONCE_MAX:
                    work = asyncio.to_thread(self._load, spans(self._queue))
                    loading.append(asyncio.get_running_loop().create_task(work))
                await self._send_one(await loading.popleft())
        finally:
            self._is_busy = False
            for task in loading:
                task.cancel()

    async def _send_one(self, loaded: _Loaded) -> None:
        for digest, message in loaded.failed:
            self._give_up(digest, message)
        pieces = loaded.parcel.pieces
        if not pieces or pieces[0].digest in self._failed:
            return
        while self._on_the_way and self._on_the_way + loaded.weight > WINDOW_BYTES:
            if self._connection.is_over:
                return
            self._has_room.clear()
            await self._has_room.wait()
        self._on_the_way += loaded.weight
        self._connection.send(loaded.parcel)
        await self._connection.drain()

    def _give_up(self, digest: Digest, message: str) -> None:
        if digest in self._failed:
            return
        self._failed.add(digest)
        if self._queue and self._queue[0][0] == digest:
            self._queue.popleft()
        self._connection.send(Absent(digest, message[:1000]))
        self._on_failed(digest, message)

    def lost(self) -> None:
        """Hear that the connection is over."""
        self._queue.clear()
        self._has_room.set()

    def _load(self, group: list[Span]) -> _Loaded:
        """Read the content of a parcel; on a thread of its own."""
        pieces: list[Piece] = []
        contents: list[bytes] = []
        failed: list[tuple[Digest, str]] = []
        for span in group:
            try:
                content, is_executable = self._read(*span)
            except (MaelstromError, OSError) as error:
                reason = error.message if isinstance(error, MaelstromError) else str(error)
                failed.append((span.digest, reason))
                continue
            pieces.append(Piece(*span, is_executable))
            contents.append(content)
        plain = contents[0] if len(contents) == 1 else b"".join(contents)
        small = None if self._connection.is_near else compress(plain)
        coding, content = (PLAIN, plain) if small is None else (ZSTD, small)
        parcel = Parcel(tuple(pieces), coding, memoryview(content))
        return _Loaded(parcel, weight(len(plain), len(pieces)), failed)
