"""Give the broker the contents it wants: as paths on one machine, else over a connection."""

import asyncio
import contextlib
import os
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path

from maelstrom import __version__
from maelstrom.errors import ConnectionLost, InfrastructureError, MaelstromError, ProtocolError
from maelstrom.model.digest import Digest
from maelstrom.wire import messages
from maelstrom.wire.backoff import Backoff
from maelstrom.wire.connection import Codec, Connection
from maelstrom.wire.dial import Reach
from maelstrom.wire.greeting import Hello, Role, hello

CHUNK_BYTES = 1 << 18
OFFER_FILES_MAX = 1000
UPLOADS_MAX = 8
"""How often a content is sent when the connection breaks: with the waits, about 10 s."""

_FROM_BLOBS: Codec[messages.FromBlobs] = Codec(messages.FromBlobs)


class Uploader:
    """Answers what the broker wants; `source` says where a content is."""

    def __init__(
        self,
        control: Connection,
        source: Callable[[Digest], str | bytes | None],
        reach: Reach,
    ) -> None:
        self._control = control
        self._source = source
        self._reach = reach
        self._token = ""
        self._is_local = False
        self._queue: deque[Digest] = deque()
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._is_closed = False
        self._backoff = Backoff(random.random)
        self._under_way: Digest | None = None
        # What was sent and not answered: until then nobody knows whether the broker has it.
        self._unanswered: dict[Digest, None] = {}
        self._sent_again: Counter[Digest] = Counter()

    def disconnected(self) -> None:
        """Forget what is to be sent: the broker asks again when it is there again."""
        self._queue.clear()
        self._unanswered.clear()

    def welcomed(self, control: Connection, token: str, *, is_local: bool) -> None:
        """Hear what the broker makes of us, by this connection."""
        self._control = control
        self._token = token
        self._is_local = is_local
        if is_local and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._open())

    def give(self, digests: Sequence[Digest]) -> None:
        """Offer, upload or withhold these contents."""
        files: list[tuple[Digest, bytes]] = []
        for digest in digests:
            source = self._source(digest)
            if source is None:
                reason = f"content {digest.short} was never offered"
                self._control.send(messages.Withhold(digest, reason))
            elif isinstance(source, str) and self._is_local:
                files.append((digest, os.fsencode(Path(source).absolute())))
            else:
                self._queue.append(digest)
        for start in range(0, len(files), OFFER_FILES_MAX):
            self._control.send(messages.Offer(tuple(files[start : start + OFFER_FILES_MAX])))
        self._start()

    def _start(self) -> None:
        if self._queue and self._task is None and not self._is_closed:
            self._task = asyncio.get_running_loop().create_task(self._upload_all())

    async def close(self) -> None:
        """Stop."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            self._connection.close()

    async def _open(self) -> None:
        # A broker of our own has the other end since it started, and does not wait for a hello
        # for as long as a build may take.
        with contextlib.suppress(MaelstromError, OSError):
            await self._connect()
        await self._upload_all()

    async def _upload_all(self) -> None:
        while self._queue:
            digest = self._under_way = self._queue.popleft()
            try:
                await self._upload_patiently(digest)
            except Exception as error:
                # Whatever it is: the broker waits for an answer.
                self._unanswered.pop(digest, None)
                reason = error.message if isinstance(error, MaelstromError) else str(error)
                self._control.send(messages.Withhold(digest, reason))
        self._under_way = self._task = None

    async def _upload_patiently(self, digest: Digest) -> None:
        for tries_left in reversed(range(UPLOADS_MAX)):
            try:
                await self._upload(digest)
            except ConnectionLost:
                if not tries_left:
                    raise
                await asyncio.sleep(self._backoff.next_s())
            else:
                self._backoff.reset()
                return

    async def _upload(self, digest: Digest) -> None:
        source = self._source(digest)
        assert source is not None, "it was there when it was queued"
        if isinstance(source, bytes):
            if len(source) != digest.size:
                raise InfrastructureError(f"content {digest.short} is not what was offered")
            connection = await self._connect()
            self._put(connection, messages.Put(digest))
            await self._send(connection, source)
            return
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(source, flags), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            # Once the header is sent, there is no way back but to break the connection.
            if status.st_size != digest.size:
                raise InfrastructureError(f"`{source}` is not what it was when it was hashed")
            connection = await self._connect()
            self._put(connection, messages.Put(digest, bool(status.st_mode & 0o111)))
            left = digest.size
            while left:
                chunk = await asyncio.to_thread(file.read, min(left, CHUNK_BYTES))
                if not chunk:
                    connection.abort(InfrastructureError(f"`{source}` became shorter"))
                    raise InfrastructureError(f"`{source}` became shorter while it was sent")
                left -= len(chunk)
                await self._send(connection, chunk)

    def _put(self, connection: Connection, put: messages.Put) -> None:
        self._unanswered[put.digest] = None
        connection.send(put)
        connection.begin_content(put.digest.size)

    async def _send(self, connection: Connection, content: bytes) -> None:
        for start in range(0, len(content), CHUNK_BYTES):
            connection.send_content(content[start : start + CHUNK_BYTES])
            await connection.drain()
        if connection.is_over:
            raise ConnectionLost("the connection for contents is lost")

    async def _connect(self) -> Connection:
        if self._connection is None or self._connection.is_over:
            reached = await self._reach()
            connection = Connection(
                hello(Role.BLOBS, __version__, self._token),
                owner=self,
                codec=_FROM_BLOBS,
                is_watched=not self._is_local,
            )
            await reached.attach(connection)
            self._connection = connection
        return self._connection

    def greeted(self, theirs: Hello) -> None:
        """Go on: there is nothing to agree on."""

    def received(self, message: messages.FromBlobs) -> None:
        """Note that the broker has a content, or knows that it has not."""
        if isinstance(message, messages.Stored | messages.Refused):
            self._unanswered.pop(message.digest, None)

    def received_raw(self, chunk: bytes) -> None:
        """Refuse it: nothing comes this way."""
        raise ProtocolError(f"{len(chunk)} bytes of content that nobody announced")

    def lost(self, error: MaelstromError | None) -> None:
        """Send again, so many times, what may not have come; the broker waits for it."""
        reason = error.message if error is not None else "the connection for contents is lost"
        for digest in self._unanswered:
            if digest == self._under_way:
                continue  # Whoever is sending it will notice.
            if self._sent_again[digest] >= UPLOADS_MAX:
                self._control.send(messages.Withhold(digest, reason))
            else:
                self._sent_again[digest] += 1
                self._queue.append(digest)
        self._unanswered.clear()
        self._start()
