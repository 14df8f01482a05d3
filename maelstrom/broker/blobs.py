"""The broker's end of a connection for contents: what its owner may give, and what it may get."""

from typing import TYPE_CHECKING, assert_never

from maelstrom.broker import gatherer
from maelstrom.broker.peers import ClientPeer, Peer, WorkerPeer
from maelstrom.errors import ConnectionLost, MaelstromError, ProtocolError
from maelstrom.model.digest import Digest
from maelstrom.store.depot import CODEC
from maelstrom.store.intake import Intake
from maelstrom.store.sender import Sender
from maelstrom.wire import messages
from maelstrom.wire.connection import Connection
from maelstrom.wire.parcel import BLOB_FRAME_BYTES_MAX

if TYPE_CHECKING:
    from maelstrom.broker.daemon import Broker

GETS_WAITING_MAX = 100_000


def attach_blobs(broker: "Broker", connection: Connection, owner: ClientPeer | WorkerPeer) -> None:
    """Make a connection the one for contents of a client or worker."""
    connection.codec = CODEC
    connection.frame_bytes_limit(BLOB_FRAME_BYTES_MAX)
    if owner.blobs is not None:
        # We may not know yet that it is broken, and it holds what came of a blob that now goes on.
        owner.blobs.abort(ConnectionLost("the other end has come by another connection"))
    owner.blobs = connection
    connection.owner = BlobPeer(broker, connection, owner)


class BlobPeer(Peer):
    """A connection for contents: what jobs need to the workers, what they left to the clients."""

    def __init__(
        self, broker: "Broker", connection: Connection, owner: ClientPeer | WorkerPeer
    ) -> None:
        super().__init__(broker, connection)
        self._owner = owner
        self._sender = Sender(connection, broker.store.read_part, broker.spawn, self._unreadable)
        self._intake = Intake(broker.store, connection, broker.spawn, self)

    def received(self, message: messages.Blobs) -> None:
        """Take contents, or send those that are asked for."""
        match message:
            case messages.Parcel():
                self._intake.take(message)
            case messages.Took(size_bytes):
                self._sender.took(size_bytes)
            case messages.Get(wanted):
                self._check_right(wanted)
                self._sender.send(wanted)
                if self._sender.waiting > GETS_WAITING_MAX:
                    raise ProtocolError(f"more than {GETS_WAITING_MAX} blobs asked for at once")
            case messages.AskLacking(digests):
                lacking = self._lacking(digests)
                store = self.broker.store
                offsets = tuple((digest, store.partial_bytes(digest)) for digest in lacking)
                self.connection.send(messages.Lacking(digests, offsets))
            case messages.Absent(digest):
                # Whoever says so tells its reason by his other connection.
                self._intake.absent(digest)
                if isinstance(self._owner, WorkerPeer):
                    self.broker.outputs.reported(self._owner.id, [digest])
            case messages.Refused() | messages.Lacking():
                raise ProtocolError(f"{type(message).__name__} to a broker")
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)

    def _is_wanted(self, digest: Digest) -> bool:
        if isinstance(self._owner, WorkerPeer):
            return self.broker.outputs.is_announced(self._owner.id, digest)
        return self.broker.gatherer.is_wanted(digest, self._owner.id)

    def _lacking(self, digests: tuple[Digest, ...]) -> list[Digest]:
        if isinstance(self._owner, WorkerPeer):
            return self.broker.outputs.announce(self._owner.id, digests)
        return [digest for digest in digests if self._is_wanted(digest)]

    def _check_right(self, wanted: tuple[tuple[Digest, int], ...]) -> None:
        """A worker gets what its jobs need, a client only what its own jobs left."""
        if isinstance(self._owner, ClientPeer):
            for digest, _ in wanted:
                if not self.broker.outputs.may_get(self._owner.id, digest):
                    raise ProtocolError(f"blob {digest.short} is no output of a job of yours")

    def _unreadable(self, digest: Digest, message: str) -> None:
        """The worker hears of it; what it makes of it comes with its report."""

    # What the intake tells

    def begins(self, piece: messages.Piece) -> None:
        """Take only what was asked for, and not too much."""
        digest = piece.digest
        # One that came just before a connection broke is sent again.
        if not self._is_wanted(digest) and self.broker.store.missing([digest]):
            raise ProtocolError(f"blob {digest.short} was sent without being asked for")
        if not piece.offset and isinstance(self._owner, ClientPeer):
            self.broker.quotas.take_content(self._owner.owner, digest.size)

    def kept(self, digests: tuple[Digest, ...]) -> None:
        """Let jobs go on that waited for these."""
        for digest in digests:
            self.broker.gather(gatherer.ArtifactArrived(digest))

    def refused(self, digest: Digest, error: MaelstromError, *, was_resumed: bool) -> None:
        """Ask for it once more if only its beginning may be wrong, else ask somebody else."""
        if was_resumed:
            self.connection.send(messages.Lacking((), ((digest, 0),)))
            return
        self.connection.send(messages.Refused(digest, error.message[:1000]))
        if isinstance(self._owner, WorkerPeer):
            self.broker.outputs.reported(self._owner.id, [digest])
            return
        self.broker.gather(gatherer.ArtifactRefused(digest, self._owner.id, error.message))

    def lost(self, error: MaelstromError | None) -> None:
        """The connection is gone; its owner, perhaps, is not."""
        super().lost(error)
        if self._owner.blobs is self.connection:
            self._owner.blobs = None
        self._sender.lost()
        self._intake.lost()
