"""The other ends of the broker's connections: each turns its messages into calls of the daemon."""

import asyncio
from typing import TYPE_CHECKING, Any, assert_never

from maelstrom.broker import events, gatherer, misses
from maelstrom.errors import MaelstromError, ProtocolError
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId, WorkerId
from maelstrom.model.outcome import Exited, InfrastructureFault, Outcome, blobs_of
from maelstrom.trust.identity import Identity
from maelstrom.wire import messages
from maelstrom.wire.connection import Codec, Connection, encode
from maelstrom.wire.greeting import Hello, Role
from maelstrom.wire.outbox import Outbox

if TYPE_CHECKING:
    from maelstrom.broker.daemon import Broker

UNHEARD_BYTES_HIGH = 32 << 20
"""Of outcomes that a client does not say it has: beyond that none of its jobs is begun."""
MANY_JOBS = 16
UNHEARD_BYTES_MAX = 256 << 20
"""Beyond that it is given up: what ran still ended, and it asked for yet more."""
OUTCOME_BYTES = 128
"""What an outcome counts besides its content."""

_FROM_CLIENT: Codec[messages.ClientToBroker] = Codec(messages.ClientToBroker)
_FROM_WORKER: Codec[messages.WorkerToBroker] = Codec(messages.WorkerToBroker)
_OUTCOMES: Codec[Outcome] = Codec(Outcome)


class Peer:
    """What all ends have in common."""

    def __init__(self, broker: "Broker", connection: Connection) -> None:
        self.broker = broker
        self.connection = connection

    def greeted(self, theirs: Hello) -> None:
        """Hear who the other end is."""

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
        """Make it what it says it is, if it may be that."""
        self.broker.access.check(self.connection, theirs.role)
        if theirs.role is Role.ADMIN:
            from maelstrom.broker.operator import FROM_OPERATOR, OperatorPeer

            self.connection.owner = OperatorPeer(self.broker, self.connection)
            self.connection.codec = FROM_OPERATOR
            return
        if theirs.role is Role.JOIN:
            from maelstrom.broker.enrolment import FROM_NEWCOMER, JoinPeer

            self.connection.owner = JoinPeer(self.broker, self.connection)
            self.connection.codec = FROM_NEWCOMER
            return
        owner = self.broker.tokens.get(theirs.token)
        if owner is not None and not owner.is_holder(self.connection):
            owner = None  # A token is good for the one it was given to.
        if theirs.role is Role.CLIENT:
            self.connection.codec = _FROM_CLIENT
            if isinstance(owner, ClientPeer):
                owner.attach(self.connection)
                self.broker.resume(owner, is_local=self._is_local)
            else:
                self.broker.ending.admit_client()
                client = ClientPeer(self.broker, self.connection)
                self.broker.welcome(client, is_local=self._is_local)
                self.broker.client_joined(client)
        elif theirs.role is Role.WORKER:
            self.connection.codec = _FROM_WORKER
            if isinstance(owner, WorkerPeer):
                owner.attach(self.connection)
                self.broker.resume(owner, is_local=self._is_local)
            else:
                worker = WorkerPeer(self.broker, self.connection)
                self.broker.welcome(worker, is_local=self._is_local)
        else:
            from maelstrom.broker.blobs import attach_blobs

            if owner is None:
                raise ProtocolError("a blob connection with a token that was not given to anybody")
            attach_blobs(self.broker, self.connection, owner)


class Former(Peer):
    """The old connection of a peer that has come by a new one."""

    def received(self, message: object) -> None:
        """Nothing that comes late by the old one counts."""


class LastingPeer(Peer):
    """A peer that outlives its connections: it may come back by another one for a while."""

    def received(self, message: Any) -> None:
        """Take a message of its kind."""
        raise NotImplementedError

    def __init__(self, broker: "Broker", connection: Connection) -> None:
        super().__init__(broker, connection)
        connection.owner = self
        self.name = ""
        self.token = ""
        certificate = connection.certificate
        self.identity = certificate.identity if certificate is not None else None
        self.is_absent = False
        self.blobs: Connection | None = None
        """Its connection for contents."""
        self.timer: asyncio.TimerHandle | None = None

    @property
    def may_return(self) -> bool:
        """Whether it is worth waiting for, now that its connection is lost."""
        return self.connection.is_watched and not self.connection.is_final

    def is_holder(self, connection: Connection) -> bool:
        """Whether a connection is of the same holder of a certificate."""
        certificate = connection.certificate
        return self.identity is None or (
            certificate is not None and certificate.identity == self.identity
        )

    def attach(self, connection: Connection) -> None:
        """Go on with another connection; the old one, if it is not known to be broken, goes."""
        old, self.connection = self.connection, connection
        if connection.certificate is not None:
            self.identity = connection.certificate.identity
        connection.owner = self
        if not self.is_absent:
            old.owner = Former(self.broker, old)
            old.abort(ProtocolError("the other end has come by another connection"))
            self.absent()

    def absent(self) -> None:
        """Hear that it cannot be reached for now."""
        self.is_absent = True

    def back(self) -> None:
        """Hear that it can be reached again."""
        self.is_absent = False
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class ClientPeer(LastingPeer):
    """A client; what it was told is kept until it says that it has it."""

    def __init__(
        self, broker: "Broker", connection: Connection, client: ClientId | None = None
    ) -> None:
        super().__init__(broker, connection)
        self.id = ClientId(broker.next_number()) if client is None else client
        # Whom its limits are for.
        self.owner = str(self.identity) if self.identity is not None else f"client {self.id}"
        self.name = self.owner
        self.jobs: dict[int, messages.Submit] = {}
        """Those that have not ended."""
        self.layers: tuple[Digest, ...] = ()
        """Those of its last job."""
        # Why its jobs that have not ended could not be told at once.
        self._missed: dict[int, str] = {}
        self._outbox: Outbox[tuple[int, bytes]] = Outbox()
        self._unsure: list[tuple[int, bytes]] = []
        self._unheard_bytes = 0
        # Outcomes it was told, whose outputs it has not fetched yet.
        self._fetching: dict[int, bytes] = {}
        self.is_held_up = False
        """Whether its jobs wait until it takes the outcomes it has."""
        connection.on_heard = self._heard

    @property
    def jobs_max(self) -> int:
        """How many jobs it may have."""
        return self.broker.quotas.of(self.owner).jobs

    def belong(self, owner: str) -> None:
        """Know whose it was before our restart, if he had a certificate."""
        if owner:
            self.identity, self.owner, self.name = Identity.parse(owner), owner, owner

    def attach(self, connection: Connection) -> None:
        """Keep what was told by the old connection until Resume says what came of it."""
        super().attach(connection)
        connection.on_heard = self._heard
        self._unsure += self._outbox.restart()
        self._unheard_bytes = 0
        self.is_held_up = False

    def tell(self, number: int, outcome: bytes, *, is_cached: bool = False) -> None:
        """Send it an outcome."""
        if self.broker.outputs.is_kept(JobId(self.id, number)):
            self._fetching[number] = outcome
            self._weigh()
        if self.connection.is_watched:
            self._outbox.keep((number, outcome))
            self._unheard_bytes += len(outcome) + OUTCOME_BYTES
            if self._unheard_bytes > UNHEARD_BYTES_HIGH:
                self._weigh()
            if self._unheard_bytes > UNHEARD_BYTES_MAX:
                self.connection.refuse(ProtocolError("outcomes are not said to have come"))
        # A client that waits for many jobs does not wait for one of them.
        may_wait = len(self.jobs) >= MANY_JOBS
        missed = self._missed.pop(number, "") if self._missed else ""
        ended = messages.Ended(number, outcome, is_cached, missed)
        self.connection.send(ended, may_wait=may_wait)

    def show(self, number: int, worker: str = "") -> None:
        """Send it how far a job is, for a person."""
        self.connection.send(messages.Status(number, worker), may_wait=True)

    def _heard(self, count: int) -> None:
        for number, outcome in self._outbox.heard(count):
            self._unheard_bytes -= len(outcome) + OUTCOME_BYTES
            if number not in self._fetching:
                self.broker.heard(self, number)
        self._weigh()

    def tell_known(self, submit: messages.Submit) -> bool:
        """Tell how an equal job ended, if that is known and all it refers to is here still."""
        results = self.broker.results
        if results is None:
            return False
        # One who does not take his outcomes gets no more of them than his jobs have slots.
        held_up = misses.NOT_TAKEN if self.is_held_up else ""
        known = held_up or results.find(submit.spec, self.owner)
        if isinstance(known, str):
            self._missed[submit.number] = known
            return False
        job = JobId(self.id, submit.number)
        blobs = blobs_of(_OUTCOMES.read(known))
        if blobs and self.broker.outputs.keep(job, blobs, self.owner):
            self.broker.outputs.release(job)
            self._missed[submit.number] = misses.OUTPUTS
            return False
        if blobs and (refused := self.broker.outputs.refusal(self.id)) is not None:
            self.broker.outputs.release(job)
            self.tell(submit.number, encode(refused))
            return True
        self.tell(submit.number, known, is_cached=True)
        return True

    def is_fetching(self, number: int) -> bool:
        """Whether it was told of a job's outputs and does not have them all."""
        return number in self._fetching

    def _fetched(self, number: int) -> None:
        """Hear that it has all that an outcome refers to; only then is it told."""
        if self._fetching.pop(number, None) is not None:
            self.broker.outputs.release(JobId(self.id, number))
            self.broker.heard(self, number)
            self._weigh()

    def _weigh(self) -> None:
        """Let its jobs wait while it does not take what they left, and go on when it does."""
        limit = UNHEARD_BYTES_HIGH // 2 if self.is_held_up else UNHEARD_BYTES_HIGH
        is_much = self._unheard_bytes > limit or self.broker.outputs.is_too_much(self.id)
        if is_much != self.is_held_up:
            self.is_held_up = not self.is_held_up
            # Not now: the scheduler may be in the middle of saying what there is to tell.
            asyncio.get_running_loop().call_soon(self._hold_up)

    def _hold_up(self) -> None:
        # While it is absent, its jobs wait anyhow; and then it has what it has.
        if not self.is_absent and self.id in self.broker.clients:
            event = events.ClientAbsent if self.is_held_up else events.ClientBack
            self.broker.schedule(event(self.id))

    def restore(self, number: int, outcome: bytes) -> None:
        """Know an outcome from before our restart, of which it did not hear."""
        self._unsure.append((number, outcome))
        if blobs := blobs_of(_OUTCOMES.read(outcome)):
            self.broker.outputs.keep(JobId(self.id, number), blobs, self.owner)

    def _resume(self, numbers: tuple[int, ...]) -> None:
        """Make its books and ours equal: what it has no outcome of, and what it wants."""
        wanted = dict.fromkeys(numbers)
        # What it was told and has not fetched counts as little as what it was not told.
        unsure = {**dict(self._unsure), **self._fetching}
        self._unsure, self._fetching = [], {}
        told = {number: outcome for number, outcome in unsure.items() if number in wanted}
        for number, outcome in unsure.items():
            if number in wanted:
                self.tell(number, outcome)
            else:
                self.broker.outputs.release(JobId(self.id, number))
                self.broker.heard(self, number)
        for number in [number for number in self.jobs if number not in wanted]:
            self.broker.cancelled(self, messages.Cancel(number, even_running=True))
        unknown = tuple(n for n in wanted if n not in told and n not in self.jobs)
        if unknown:
            self.connection.send(messages.Unknown(unknown))

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
            case messages.Fetched(number):
                self._fetched(number)
            case messages.Resume(numbers):
                self._resume(numbers)
            case messages.Withhold(digest, reason):
                self.broker.gather(gatherer.ArtifactRefused(digest, self.id, reason[:1000]))
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)

    def lost(self, error: MaelstromError | None) -> None:
        """The client left, or the connection broke."""
        super().lost(error)
        if self.may_return:
            self.absent()
        else:
            self.broker.client_left(self)

    def absent(self) -> None:
        """Have its jobs wait."""
        super().absent()
        self.broker.client_absent(self)


class WorkerPeer(LastingPeer):
    """A worker."""

    def __init__(self, broker: "Broker", connection: Connection) -> None:
        super().__init__(broker, connection)
        self.id = WorkerId(broker.next_number())
        self.jobs_max = 0
        self.is_leaving = False

    def received(self, message: messages.WorkerToBroker) -> None:
        """Hand a message on."""
        if self.is_absent or self.id not in self.broker.workers:
            if not isinstance(message, messages.Join):
                raise ProtocolError("a worker spoke of jobs before it joined")
            self._join(message)
            return
        match message:
            case messages.Report():
                self._report(message)
            case messages.Started():
                self.broker.started(self, message)
            case messages.Return(job, attempt):
                self.broker.schedule(events.JobReturned(self.id, job, attempt))
            case messages.Leave():
                self.is_leaving = True
                self.broker.schedule(events.WorkerDraining(self.id))
            case messages.Join():
                raise ProtocolError("a worker joined twice")
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)
        if not self.broker.scheduler.worker(self.id).jobs:
            self.broker.outputs.forget_worker(self.id)
            if self.is_leaving:
                self.connection.leave()

    def _report(self, report: messages.Report) -> None:
        if self.connection.is_watched:
            self.connection.count(len(report.outcome))
        # Its client, and all who would be given it from the cache, could not read it either.
        outcome = _OUTCOMES.read(report.outcome)
        blobs = blobs_of(outcome)
        encoded = report.outcome
        is_fault = isinstance(outcome, InfrastructureFault)
        if blobs:
            refused, is_fault = self._admit(report.job, blobs)
            if refused is not None:
                self.broker.outputs.release(report.job)
                outcome, encoded = refused, encode(refused)
        is_pass = isinstance(outcome, Exited) and outcome.status == 0
        if is_fault and isinstance(outcome, InfrastructureFault):
            from maelstrom.broker.telling import tell_fault

            tell_fault(self.broker, self, report, outcome)
        self.broker.schedule(
            events.JobEnded(self.id, report.job, report.attempt, is_fault),
            encoded,
            is_keepable=report.is_keepable and is_pass,
        )
        if blobs:
            self._keep_outputs(report, blobs)

    def _admit(
        self, job: JobId, blobs: tuple[Digest, ...]
    ) -> tuple[InfrastructureFault | None, bool]:
        """Keep outputs; else return why not, and whether another try might help."""
        outputs, client = self.broker.outputs, self.broker.clients.get(job.client)
        if lacking := outputs.keep(job, blobs, "" if client is None else client.owner):
            fault = f"{len(lacking)} outputs of the job are not in the store"
            return InfrastructureFault(fault), True
        return outputs.refusal(job.client), False

    def _keep_outputs(self, report: messages.Report, blobs: tuple[Digest, ...]) -> None:
        """Let the worker forget what its report refers to, and us, if nobody was told of it."""
        client = self.broker.clients.get(report.job.client)
        if client is None or not client.is_fetching(report.job.number):
            self.broker.outputs.release(report.job)
        self.broker.outputs.reported(self.id, blobs)
        self.connection.send(messages.Kept(report.job, report.attempt))

    def _join(self, join: messages.Join) -> None:
        if self.is_absent:
            self.back()
            self.broker.schedule(events.WorkerBack(self.id, join.holding))
        else:
            self.broker.worker_joined(self, join)

    def lost(self, error: MaelstromError | None) -> None:
        """The worker is gone, or the connection broke."""
        super().lost(error)
        if not self.may_return or self.id not in self.broker.workers:
            self.back()
            self.broker.worker_lost(self)
        elif not self.is_absent:
            self.absent()

    def absent(self) -> None:
        """Give it nothing until it has joined again."""
        if self.id in self.broker.workers:
            super().absent()
            self.broker.worker_absent(self)

    def give_up(self) -> None:
        """Wait no longer: if it comes back, it comes as another one."""
        self.connection.abort(ProtocolError("the worker did not join again in time"))
        self.broker.worker_lost(self)
