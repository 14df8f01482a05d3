"""The other ends of the broker's connections: each turns its messages into calls of the daemon."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, assert_never

from maelstrom.broker import events, gatherer
from maelstrom.errors import MaelstromError, ProtocolError, StoreError
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, WorkerId
from maelstrom.store.disk import BlobWriter
from maelstrom.wire import messages
from maelstrom.wire.connection import Codec, Connection
from maelstrom.wire.greeting import Hello, Role

if TYPE_CHECKING:
    from maelstrom.broker.daemon import Broker

BLOB_CHUNK_BYTES = 1 << 18
GETS_WAITING_MAX = 100_000

_FROM_CLIENT: Codec[messages.ClientToBroker] = Codec(messages.ClientToBroker)
_FROM_WORKER: Codec[messages.WorkerToBroker] = Codec(messages.WorkerToBroker)
_TO_BLOBS: Codec[messages.ToBlobs] = Codec(messages.ToBlobs)


class Peer:
    """What all ends have in common."""

    def __init__(self, broker: "Broker", connection: Connection) -> None:
        self.broker = broker
        self.connection = connection

    def greeted(self, theirs: Hello) -> None:
        """Hear who the other end is."""

    def received_raw(self, chunk: bytes) -> None:
        """Take raw content: only blob connections announce any."""
        raise ProtocolError(f"{len(chunk)} bytes of content that nobody announced")

    def lost(self, error: MaelstromError | None) -> None:  # noqa: ARG002  # For its kinds.
        """Hear that the connection ended."""
        self.broker.ended(self.connection)


class Greeter(Peer):
    """An end that has not said who it is."""

    def __init__(self, broker: "Broker", connection: Connection, *, is_local: bool) -> None:
        super().__init__(broker, connection)
        self._is_local = is_local

    def received(self, message: object) -> None:
        """Nothing is received before the greeting."""
        raise ProtocolError(f"{type(message).__name__} before a hello")

    def greeted(self, theirs: Hello) -> None:
        """Make it what it says it is."""
        if theirs.role is Role.CLIENT:
            client = ClientPeer(self.broker, self.connection)
            self.connection.owner, self.connection.codec = client, _FROM_CLIENT
            self.broker.welcome(client, is_local=self._is_local)
            self.broker.client_joined(client)
        elif theirs.role is Role.WORKER:
            worker = WorkerPeer(self.broker, self.connection)
            self.connection.owner, self.connection.codec = worker, _FROM_WORKER
            self.broker.welcome(worker, is_local=self._is_local)
        else:
            owner = self.broker.tokens.get(theirs.token)
            self.connection.codec = _TO_BLOBS
            if owner is None:
                raise ProtocolError("a blob connection with a token that was not given to anybody")
            self.connection.owner = BlobPeer(self.broker, self.connection, owner)


class ClientPeer(Peer):
    """A client."""

    def __init__(self, broker: "Broker", connection: Connection) -> None:
        super().__init__(broker, connection)
        self.id = ClientId(broker.next_number())
        self.jobs: dict[int, None] = {}
        self.token = ""

    def received(self, message: messages.ClientToBroker) -> None:
        """Hand a message on."""
        match message:
            case messages.Submit():
                self.broker.submitted(self, message)
            case messages.Cancel():
                self.broker.cancelled(self, message)
            case messages.Offer(files):
                if not self.broker.is_local(self.connection):
                    raise ProtocolError("files were offered by a client of another machine")
                self.broker.offered(self, files)
            case messages.Withhold(digest, reason):
                self.broker.gather(gatherer.ArtifactRefused(digest, self.id, reason[:1000]))
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)

    def lost(self, error: MaelstromError | None) -> None:
        """The client left."""
        super().lost(error)
        self.broker.client_left(self)


class WorkerPeer(Peer):
    """A worker."""

    def __init__(self, broker: "Broker", connection: Connection) -> None:
        super().__init__(broker, connection)
        self.id = WorkerId(broker.next_number())
        self.name = ""
        self.token = ""

    def received(self, message: messages.WorkerToBroker) -> None:
        """Hand a message on."""
        if isinstance(message, messages.Join):
            if self.id in self.broker.workers:
                raise ProtocolError("a worker joined twice")
            self.broker.worker_joined(self, message)
            return
        if self.id not in self.broker.workers:
            raise ProtocolError("a worker spoke of jobs before it joined")
        match message:
            case messages.Report(job, attempt, outcome, is_fault):
                self.broker.schedule(events.JobEnded(self.id, job, attempt, is_fault), outcome)
            case messages.Started():
                self.broker.started(self, message)
            case messages.Return(job, attempt):
                self.broker.schedule(events.JobReturned(self.id, job, attempt))
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)

    def lost(self, error: MaelstromError | None) -> None:
        """The worker is gone."""
        super().lost(error)
        self.broker.worker_lost(self)


class BlobPeer(Peer):
    """A connection for contents: a client's puts, a worker's gets."""

    def __init__(
        self, broker: "Broker", connection: Connection, owner: ClientPeer | WorkerPeer
    ) -> None:
        super().__init__(broker, connection)
        self._owner = owner
        self._digest: Digest | None = None
        self._writer: BlobWriter | None = None
        self._left = 0
        self._refusal = ""
        self._gets: deque[Digest] = deque()
        self._is_sending = False
        self._is_lost = False

    def received(self, message: messages.ToBlobs) -> None:
        """Take a blob, or queue those that are asked for."""
        match message:
            case messages.Put(digest, is_executable):
                self._begin(digest, is_executable=is_executable)
            case messages.Get(digests):
                if not isinstance(self._owner, WorkerPeer):
                    raise ProtocolError("only a worker gets blobs")
                self._gets.extend(digests)
                if len(self._gets) > GETS_WAITING_MAX:
                    raise ProtocolError(f"more than {GETS_WAITING_MAX} blobs asked for at once")
                if not self._is_sending:
                    self._is_sending = True
                    self.broker.spawn(self._send_all())
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)

    def _begin(self, digest: Digest, *, is_executable: bool) -> None:
        if not isinstance(self._owner, ClientPeer):
            raise ProtocolError("only a client puts blobs")
        if not self.broker.gatherer.is_wanted(digest, self._owner.id):
            raise ProtocolError(f"blob {digest.short} was sent without being asked for")
        self._digest, self._left, self._refusal = digest, digest.size, ""
        try:
            self._writer = self.broker.store.writer(digest, is_executable=is_executable)
        except StoreError as error:
            self._refusal = error.message
        self.connection.expect_raw(digest.size)
        if not digest.size:
            self._finish()

    def received_raw(self, chunk: bytes) -> None:
        """Keep a piece of the blob at hand."""
        self._left -= len(chunk)
        if self._writer is not None:
            try:
                self._writer.write(chunk)
            except StoreError as error:
                self._refusal, self._writer = error.message, None
        if not self._left:
            self._finish()

    def _finish(self) -> None:
        assert self._digest is not None
        assert isinstance(self._owner, ClientPeer)
        digest, self._digest = self._digest, None
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.commit()
            except StoreError as error:
                self._refusal = error.message
        if self._refusal:
            self.connection.send(messages.Refused(digest, self._refusal))
            client = self._owner.id
            self.broker.gather(gatherer.ArtifactRefused(digest, client, self._refusal))
        else:
            self.connection.send(messages.Stored(digest))
            self.broker.gather(gatherer.ArtifactArrived(digest))

    async def _send_all(self) -> None:
        while self._gets and not self._is_lost:
            await self._send(self._gets.popleft())
        self._is_sending = False

    async def _send(self, digest: Digest) -> None:
        try:
            path = self.broker.store.path(digest)
            file = path.open("rb")
        except (StoreError, OSError) as error:
            self.connection.send(messages.Absent(digest, str(error)))
            return
        with file:
            self.connection.send(messages.Blob(digest, path.suffix == ".x"))
            left = digest.size
            while left and not self._is_lost:
                chunk = await asyncio.to_thread(file.read, min(left, BLOB_CHUNK_BYTES))
                if not chunk:
                    self.connection.abort(StoreError(f"blob {digest.short} became shorter"))
                    return
                left -= len(chunk)
                self.connection.send_raw(chunk)
                await self.connection.drain()

    def lost(self, error: MaelstromError | None) -> None:
        """The connection is gone; its owner, perhaps, is not."""
        super().lost(error)
        self._is_lost = True
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
