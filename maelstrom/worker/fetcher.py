"""Bring what layers are made of into the worker's store, and have them laid out."""

import asyncio
import contextlib
import random

from maelstrom import __version__
from maelstrom.errors import (
    ConnectionLost,
    InfrastructureError,
    MaelstromError,
    ProtocolError,
    StoreError,
)
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import Manifest
from maelstrom.store.disk import BlobWriter, DiskStore
from maelstrom.wire import messages
from maelstrom.wire.backoff import Backoff
from maelstrom.wire.connection import Codec, Connection
from maelstrom.wire.dial import Reach
from maelstrom.wire.greeting import Hello, Role, hello
from maelstrom.worker.builder import LayerBuilder

BUILDS_AT_ONCE_MAX = 4
FETCHES_MAX = 8
"""How often contents are asked for when the connection breaks: with the waits, about 10 s."""

_FROM_BLOBS: Codec[messages.FromBlobs] = Codec(messages.FromBlobs)


class BlobSource:
    """A blob connection to the broker; what it receives is verified and kept."""

    def __init__(self, store: DiskStore, token: str) -> None:
        self._store = store
        self._wanted: dict[Digest, asyncio.Future[None]] = {}
        self._digest: Digest | None = None
        self._writer: BlobWriter | None = None
        self._left = 0
        self._error: MaelstromError | None = None
        self.is_lost = False
        self.connection = Connection(
            hello(Role.BLOBS, __version__, token), owner=self, codec=_FROM_BLOBS
        )

    def greeted(self, theirs: Hello) -> None:
        """Go on: there is nothing to agree on."""

    async def get(self, digests: list[Digest]) -> None:
        """Have these in the store; raises the first error when all have been tried."""
        waiting = []
        fresh = []
        for digest in digests:
            future = self._wanted.get(digest)
            if future is None:
                future = self._wanted[digest] = asyncio.get_running_loop().create_future()
                fresh.append(digest)
            waiting.append(future)
        if self.is_lost:
            self._fail(ConnectionLost("the connection for contents is lost"))
        elif fresh:
            self.connection.send(messages.Get(tuple(fresh)))
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    def received(self, message: messages.FromBlobs) -> None:
        """Take the header of a blob, or hear that there is none."""
        match message:
            case messages.Blob(digest, is_executable):
                if digest not in self._wanted:
                    raise ProtocolError(f"blob {digest.short} came without being asked for")
                self._digest, self._left, self._error = digest, digest.size, None
                try:
                    self._writer = self._store.writer(digest, is_executable=is_executable)
                except StoreError as error:
                    self._error = error
                self.connection.expect_raw(digest.size)
                if not digest.size:
                    self._finish()
            case messages.Absent(digest, reason):
                self._settle(digest, InfrastructureError(f"the broker lacks a blob: {reason}"))
            case _:
                raise ProtocolError(f"{type(message).__name__} on a worker's blob connection")

    def received_raw(self, chunk: bytes) -> None:
        """Keep a piece of the blob at hand."""
        self._left -= len(chunk)
        if self._writer is not None:
            try:
                self._writer.write(chunk)
            except StoreError as error:
                self._error, self._writer = error, None
        if not self._left:
            self._finish()

    def _finish(self) -> None:
        assert self._digest is not None
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.commit()
            except StoreError as error:
                self._error = error
        self._settle(self._digest, self._error)

    def _settle(self, digest: Digest, error: MaelstromError | None) -> None:
        future = self._wanted.pop(digest, None)
        if future is None or future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def lost(self, error: MaelstromError | None) -> None:
        """Fail what is still awaited."""
        self.is_lost = True
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
        reason = "the connection for contents is lost"
        self._fail(ConnectionLost(f"{reason}: {error.message}" if error else reason))

    def _fail(self, error: MaelstromError) -> None:
        for digest in list(self._wanted):
            self._settle(digest, error)


class Fetcher:
    """Prepares layers; `reach` connects to the broker, or is None with a shared store."""

    def __init__(self, store: DiskStore, reach: Reach | None) -> None:
        self._store = store
        self._builder = LayerBuilder(store)
        self._reach = reach
        self._source: BlobSource | None = None
        self._reaching = asyncio.Lock()
        self._building = asyncio.Semaphore(BUILDS_AT_ONCE_MAX)
        self.token = ""
        self._backoff = Backoff(random.random)

    async def prepare(self, layer: Digest) -> None:
        """Pin a layer, fetch what it is made of and lay it out; raises MaelstromError."""
        await asyncio.to_thread(self._store.pin, [layer], layer.hash)
        if await asyncio.to_thread(self._store.touch_layer, layer):
            return
        await self._have([layer])
        contents = await asyncio.to_thread(self._contents, layer)
        await self._have(contents)
        async with self._building:
            await asyncio.to_thread(self._builder.ensure, layer)

    def _contents(self, layer: Digest) -> list[Digest]:
        return sorted(Manifest.decode(self._store.read(layer)).contents())

    async def _have(self, digests: list[Digest]) -> None:
        missing = await asyncio.to_thread(self._store.missing, digests)
        if not missing:
            return
        if self._reach is None:
            raise StoreError(
                f"blob {missing[0].short} is not in the store that is shared with the broker"
            )
        for tries_left in reversed(range(FETCHES_MAX)):
            try:
                await self._fetch(missing, self._reach)
            except ConnectionLost:
                if not tries_left:
                    raise
                await asyncio.sleep(self._backoff.next_s())
                # What came before the connection broke need not come again.
                missing = await asyncio.to_thread(self._store.missing, missing)
            else:
                self._backoff.reset()
                return

    async def _fetch(self, missing: list[Digest], reach: Reach) -> None:
        async with self._reaching:
            if self._source is None or self._source.is_lost:
                self._source = await self._connect(reach)
        await self._source.get(missing)

    async def _connect(self, reach: Reach) -> BlobSource:
        source = BlobSource(self._store, self.token)
        try:
            await (await reach()).attach(source.connection)
        except (OSError, InfrastructureError) as error:
            raise ConnectionLost(f"cannot reach the broker: {error}") from error
        return source

    async def release(self, layer: Digest) -> None:
        """Let a layer be evicted."""
        with contextlib.suppress(StoreError):
            await asyncio.to_thread(self._store.unpin, layer.hash)

    def close(self) -> None:
        """End the connection."""
        if self._source is not None:
            self._source.connection.close()
