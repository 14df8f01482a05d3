"""Carry messages to the cores and their instructions to the sockets; decides nothing."""

import asyncio
import itertools
import os
import secrets
import socket
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from maelstrom import __version__
from maelstrom.broker import events, gatherer
from maelstrom.broker.access import Access
from maelstrom.broker.claims import check_job, check_worker
from maelstrom.broker.ending import Ending
from maelstrom.broker.gatherer import Gatherer
from maelstrom.broker.outputs import Outputs
from maelstrom.broker.peers import ClientPeer, Greeter, WorkerPeer
from maelstrom.broker.quota import NO_QUOTA, Busy, Quota, Quotas
from maelstrom.broker.results import Results
from maelstrom.broker.scheduler import Scheduler
from maelstrom.broker.status import Observer
from maelstrom.errors import (
    ConnectionLost,
    InfrastructureError,
    SpecError,
    StoreError,
    TrustError,
)
from maelstrom.log import Log
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId, WorkerId
from maelstrom.model.manifest import Manifest
from maelstrom.model.outcome import Cancelled, ExecutionError, InfrastructureFault, Outcome
from maelstrom.store.disk import DiskStore
from maelstrom.wire import messages
from maelstrom.wire.connection import Connection, encode
from maelstrom.wire.greeting import Role, hello
from maelstrom.wire.parcel import batches

if TYPE_CHECKING:  # A stand-alone broker keeps none, and need not load what it takes.
    from maelstrom.broker.journal import Journal

COPIES_AT_ONCE_MAX = 4
CLIENT_GRACE_S = 120.0
WORKER_GRACE_S = 2.0
RESTORE_GRACE_S = 8.0
TIME_S = 1.0
"""How long we wait for one whose connection broke. A worker that comes later may still keep those
of its jobs that nobody else was given. After our restart workers have a little longer, since they
try less often when nobody answers."""


class Counts(msgspec.Struct):
    """What happened since the start."""

    ended: int = 0
    faults: int = 0


class Broker:
    """One broker; `add` gives it connections, from wherever they come.

    `on_end` is called when it must end: because it failed, or because its one client left.
    """

    def __init__(
        self,
        store: DiskStore,
        on_end: Callable[[], None],
        *,
        has_one_client: bool = False,
        journal: "Journal | None" = None,
        access: Access | None = None,
        quota: Quota = NO_QUOTA,
    ) -> None:
        self.quotas = Quotas(quota)
        self.counts = Counts()
        self.observer = Observer(self)
        self.ending = Ending(self)
        self.drained: dict[str, None] = {}
        """Workers by name that get nothing until an operator says so."""
        self.log = Log("broker")
        self._tells_jobs = self.log.tells_all
        self.access = access or Access()
        self.store = store
        self.journal = journal
        self.results = None if journal is None else Results(journal, journal.results())
        self.on_end = on_end
        self.has_one_client = has_one_client
        self.scheduler = Scheduler(owner_slots_max=quota.slots)
        self.gatherer = Gatherer()
        self.outputs = Outputs(store, self.quotas)
        self.clients: dict[ClientId, ClientPeer] = {}
        self.workers: dict[WorkerId, WorkerPeer] = {}
        self.tokens: dict[str, ClientPeer | WorkerPeer] = {}
        # Of jobs from before our restart that may run somewhere.
        self._attempts: dict[JobId, int] = {}
        self._numbers = itertools.count(1 if journal is None else journal.first_number)
        self._connections: dict[Connection, bool] = {}
        self._only_client: Connection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._copying = asyncio.Semaphore(COPIES_AT_ONCE_MAX)
        self.failure: InfrastructureError | None = None
        if not has_one_client:
            self._pass_time()
        self._pins: dict[Digest, str] = {}

    # Connections

    def add(self, *, is_local: bool, is_watched: bool = True) -> Connection:
        """Return the protocol for a new connection."""
        connection = Connection(
            hello(Role.BROKER, __version__),
            expects=(Role.CLIENT, Role.WORKER, Role.BLOBS, Role.JOIN, Role.ADMIN),
            is_watched=is_watched,
        )
        connection.owner = Greeter(self, connection, is_local=is_local)

        def guard(transport: asyncio.BaseTransport) -> None:
            # Not before: nobody tells us of the end of what never got through TLS.
            self._connections[connection] = is_local
            self.access.guard(connection, transport)

        connection.guard = guard
        return connection

    def watch_access(self) -> None:
        """Take up new certificates while we run."""
        self.spawn(self.access.watch(self._connections))

    def is_local(self, connection: Connection) -> bool:
        """Whether the other end is a program of the same user on this machine."""
        return self._connections[connection]

    async def adopt(self, descriptor: int) -> None:
        """Take over a connected socket from the program that started us: its own one first.

        When the only client is gone there is nothing left to do, be it before it has said hello.
        """
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        connection = self.add(is_local=True, is_watched=False)
        if self.has_one_client and self._only_client is None:
            self._only_client = connection
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: connection, sock)

    def ended(self, connection: Connection) -> None:
        """A connection is over."""
        self._connections.pop(connection, None)
        if connection is self._only_client:
            self.on_end()

    def welcome(self, peer: ClientPeer | WorkerPeer, *, is_local: bool) -> None:
        """Let a client or worker in."""
        token = secrets.token_hex(16)
        self.tokens[token] = peer
        peer.token = token
        peer.connection.send(messages.Welcome(token, is_local, jobs_max=peer.jobs_max))

    def resume(self, peer: ClientPeer | WorkerPeer, *, is_local: bool) -> None:
        """Let one in that is back by another connection."""
        welcome = messages.Welcome(peer.token, is_local, is_resumed=True, jobs_max=peer.jobs_max)
        peer.connection.send(welcome)
        if isinstance(peer, ClientPeer):
            peer.back()
            self.schedule(events.ClientBack(peer.id))
            self.gather(gatherer.ClientBack(peer.id))

    def _pass_time(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(TIME_S, self._pass_time)
        self.schedule(events.TimePassed(loop.time()))
        self.observer.sample()

    def note(self, event: str, peer: ClientPeer | WorkerPeer, **fields: object) -> None:
        """Write down what happened to somebody."""
        kind = "client" if isinstance(peer, ClientPeer) else "worker"
        told = {kind: peer.name, "id": peer.id, "peer": peer.connection.peer, **fields}
        self.log.info(event, **told)

    @property
    def jobs(self) -> int:
        """How many jobs have not ended."""
        return sum(len(client.jobs) for client in self.clients.values())

    def next_number(self) -> int:
        """Return an id that was never used."""
        return next(self._numbers)

    async def close(self) -> None:
        """End all connections and leave the store."""
        for connection in list(self._connections):
            connection.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.store.close()
        if self.journal is not None:
            await asyncio.to_thread(self.journal.close)
        if self.failure is not None:
            raise self.failure

    async def restore(self) -> None:
        """Go on where an earlier broker was killed; nobody may connect before that is done."""
        if self.journal is None:
            return
        from maelstrom.broker.operator import restore

        restore(self, self.journal)
        owners = self.journal.owners()
        for name, token in self.journal.clients():
            connection = self.add(is_local=False)
            connection.abort(ConnectionLost("the broker was restarted"))
            client = ClientPeer(self, connection, name)
            client.belong(owners.get(name, ""))
            client.token = token
            self.tokens[token] = client
            self.clients[client.id] = client
            self.schedule(events.ClientJoined(client.id, client.owner))
            client.absent()
        for job, submit, attempt, outcome in self.journal.jobs():
            if outcome is not None:
                self.clients[job.client].restore(job.number, outcome)
            elif submit is not None:
                self.clients[job.client].jobs[job.number] = submit
                self._attempts[job] = attempt
                self.quotas.restore_job(self.clients[job.client].owner, len(submit.spec))
                self.gather(gatherer.JobArrived(job, submit.layers))
        while self._tasks:
            await asyncio.gather(*self._tasks)
        loop = asyncio.get_running_loop()
        loop.call_later(RESTORE_GRACE_S, self.schedule, events.RestoreEnded())

    # Clients

    def client_joined(self, client: ClientPeer) -> None:
        """A client said hello."""
        self.clients[client.id] = client
        if self.journal is not None:
            owner = "" if client.identity is None else client.owner
            self.journal.join(client.id, client.token, owner)
        self.note("client joined", client)
        self.schedule(events.ClientJoined(client.id, client.owner))

    def client_absent(self, client: ClientPeer) -> None:
        """A client cannot be reached."""
        loop = asyncio.get_running_loop()
        client.timer = loop.call_later(CLIENT_GRACE_S, self.client_left, client)
        self.schedule(events.ClientAbsent(client.id))

    def client_left(self, client: ClientPeer) -> None:
        """A client is gone."""
        del self.clients[client.id]
        del self.tokens[client.token]
        self.note("client left", client, jobs=len(client.jobs))
        if self.journal is not None:
            self.journal.leave(client.id)
        for submit in client.jobs.values():
            self.quotas.end_job(client.owner, len(submit.spec))
        self.outputs.client_left(client.id)
        self.schedule(events.ClientLeft(client.id))
        self.gather(gatherer.ClientLeft(client.id))
        self.ending.look()

    def submitted(self, client: ClientPeer, submit: messages.Submit) -> None:
        """A client wants a job to be run."""
        check_job(submit)
        if submit.number in client.jobs:
            raise SpecError(f"job {submit.number} was submitted twice")
        if submit.may_be_cached and client.tell_known(submit):
            return
        try:
            self.ending.admit_job()
            self.quotas.take_job(client.owner, len(submit.spec))
        except Busy as busy:
            self.log.debug("job refused", client=client.owner, reason=busy.message)
            client.tell(submit.number, encode(InfrastructureFault(busy.message, busy.hint)))
            return
        if submit.layers == client.layers:
            # Most jobs are like the one before. With a million of them it counts to keep it once.
            msgspec.structs.force_setattr(submit, "layers", client.layers)
        client.layers = submit.layers
        job = JobId(client.id, submit.number)
        client.jobs[submit.number] = submit
        if self.journal is not None:
            self.journal.submit(job, submit)
        self.gather(gatherer.JobArrived(job, submit.layers))

    def heard(self, client: ClientPeer, number: int) -> None:
        """A client has an outcome."""
        if self.journal is not None:
            self.journal.forget(JobId(client.id, number))

    def cancelled(self, client: ClientPeer, cancel: messages.Cancel) -> None:
        """A client takes a job back."""
        job = JobId(client.id, cancel.number)
        if cancel.number not in client.jobs:
            return  # Its end is on its way.
        if self.gatherer.is_waiting(job):
            self.gather(gatherer.JobWithdrawn(job))
            self.tell(job, Cancelled())
        else:
            self.schedule(events.JobCancelled(job, cancel.even_running))

    def offered(self, client: ClientPeer, files: Iterable[tuple[Digest, bytes]]) -> None:
        """A client of this machine says in which files contents are."""
        wanted = [f for f in files if self.gatherer.is_wanted(f[0], client.id)]
        size = max(1, -(-len(wanted) // COPIES_AT_ONCE_MAX))
        for start in range(0, len(wanted), size):
            self.spawn(self._copy(client.id, wanted[start : start + size]))

    async def _copy(self, client: ClientId, files: list[tuple[Digest, bytes]]) -> None:
        async with self._copying:
            for digest, path in files:
                try:
                    await asyncio.to_thread(self.store.put_file, digest, os.fsdecode(path))
                except (StoreError, OSError) as error:
                    reason = error.message if isinstance(error, StoreError) else str(error)
                    self.gather(gatherer.ArtifactRefused(digest, client, reason))
                else:
                    self.gather(gatherer.ArtifactArrived(digest))

    # Cores

    def gather(self, event: gatherer.Event) -> None:
        """Give the gatherer an event, and do what it says."""
        for instruction in self.gatherer.handle(event):
            match instruction:
                case gatherer.JobReady():
                    self._queue(instruction.job)
                case gatherer.CheckLayer(layer):
                    self.spawn(self._check_layer(layer))
                case gatherer.AskClient(client, digests):
                    for batch in batches(digests):
                        self.clients[client].connection.send(messages.Want(batch))
                case gatherer.PinLayer(layer):
                    self._pins[layer] = f"{layer.hash}:{self.next_number()}"
                case gatherer.UnpinLayer(layer):
                    self.spawn(self._unpin(self._pins.pop(layer)))
                case gatherer.JobFailed(job, message, is_clients_fault):
                    kind = ExecutionError if is_clients_fault else InfrastructureFault
                    self.tell(job, kind(f"a layer of the job cannot be had: {message}"))
                case _:
                    assert_never(instruction)

    async def _check_layer(self, layer: Digest) -> None:
        try:
            lacking = await asyncio.to_thread(self._find_lacking, layer, self._pins.get(layer))
        except (SpecError, StoreError) as error:
            self.gather(gatherer.LayerBroken(layer, error.message))
        else:
            self.gather(gatherer.LayerChecked(layer, tuple(lacking)))

    def _find_lacking(self, layer: Digest, pin: str | None) -> list[Digest]:
        if pin is not None:
            self.store.pin([layer], pin)
        if self.store.has_layer(layer):
            return []
        if lacking := self.store.missing([layer]):
            return lacking
        contents = Manifest.decode(self.store.read(layer)).contents()
        return self.store.missing(contents)

    async def _unpin(self, pin: str) -> None:
        await asyncio.to_thread(self.store.unpin, pin)

    def _queue(self, job: JobId) -> None:
        client = self.clients[job.client]
        submit = client.jobs[job.number]
        if submit.wants_status:
            client.show(job.number)
        self.schedule(
            events.JobQueued(
                job,
                submit.priority,
                submit.estimate_s,
                submit.resources,
                self._attempts.pop(job, 0),
                submit.layers,
            )
        )

    def schedule(
        self, event: events.Event, outcome: bytes = b"", *, is_keepable: bool = False
    ) -> None:
        """Give the scheduler an event, and do what it says; `outcome` is what came with it."""
        instructions = self.scheduler.handle(event)
        if self._tells_jobs:
            from maelstrom.broker import telling

            telling.tell(self, event, instructions)
        for instruction in instructions:
            match instruction:
                # These two come for each job: patterns with places take three times as long.
                case events.Assign():
                    self._assign(instruction)
                case events.Tell():
                    job = instruction.job
                    if is_keepable and self.results is not None:
                        submit = self.clients[job.client].jobs[job.number]
                        if submit.may_be_cached:
                            self.results.keep(submit.spec, outcome)
                    self._tell_encoded(job, outcome)
                case events.TellCancelled(job):
                    self.tell(job, Cancelled())
                case events.Fail(job, message, hint, is_clients_fault):
                    kind = ExecutionError if is_clients_fault else InfrastructureFault
                    self.tell(job, kind(message, hint))
                case events.Recall(worker, job, attempt):
                    self.workers[worker].connection.send(messages.Recall(job, attempt))
                case events.Kill(worker, job, attempt):
                    self.workers[worker].connection.send(messages.Kill(job, attempt))
                case _:
                    assert_never(instruction)

    def _assign(self, assign: events.Assign) -> None:
        submit = self.clients[assign.job.client].jobs[assign.job.number]
        if self.journal is not None:
            self.journal.assign(assign.job, assign.attempt)
        self.workers[assign.worker].connection.send(
            messages.Assign(assign.job, assign.attempt, submit.spec, submit.wants_status)
        )

    def tell(self, job: JobId, outcome: Outcome) -> None:
        """Tell a client the only outcome of its job."""
        self.counts.faults += isinstance(outcome, InfrastructureFault)
        self._tell_encoded(job, encode(outcome))

    def _tell_encoded(self, job: JobId, outcome: bytes) -> None:
        client = self.clients[job.client]
        submit = client.jobs.pop(job.number)
        self.quotas.end_job(client.owner, len(submit.spec))
        self.counts.ended += 1
        if self.journal is not None:
            self.journal.end(job, outcome)
        client.tell(job.number, outcome)
        self.ending.look()

    # Workers

    def worker_joined(self, worker: WorkerPeer, join: messages.Join) -> None:
        """A worker is ready for jobs."""
        check_worker(join)
        worker.name = worker.identity.name if worker.identity is not None else join.name
        self._check_name(worker)
        self.workers[worker.id] = worker
        self.note("worker joined", worker, slots=join.slots)
        is_drained = worker.name in self.drained
        self.schedule(
            events.WorkerJoined(worker.id, join.slots, join.resources, join.holding, is_drained)
        )

    def _check_name(self, worker: WorkerPeer) -> None:
        """Refuse a second worker with one certificate, unless the first one may be gone."""
        for other in self.workers.values():
            if worker.identity is None or other.identity != worker.identity or other.is_absent:
                continue
            raise TrustError(
                f"{worker.identity} is here already, from {other.connection.peer}",
                hint="every worker needs a certificate of its own",
            )

    def worker_absent(self, worker: WorkerPeer) -> None:
        """A worker cannot be reached."""
        loop = asyncio.get_running_loop()
        worker.timer = loop.call_later(WORKER_GRACE_S, worker.give_up)
        self.schedule(events.WorkerAbsent(worker.id))

    def worker_lost(self, worker: WorkerPeer) -> None:
        """A worker is gone."""
        self.tokens.pop(worker.token, None)
        self.outputs.forget_worker(worker.id)
        if self.workers.pop(worker.id, None) is not None:
            self.note("worker lost", worker)
            self.schedule(events.WorkerLost(worker.id))

    def started(self, worker: WorkerPeer, started: messages.Started) -> None:
        """A worker began a job."""
        client = self.clients.get(started.job.client)
        submit = None if client is None else client.jobs.get(started.job.number)
        if client is not None and submit is not None and submit.wants_status:
            client.show(started.job.number, worker.name)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside; `close` ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Somebody waits for what this should have done: better an end than a silence.
            self.failure = InfrastructureError(f"the broker failed: {error!r}")
            self.failure.__cause__ = error
            self.on_end()
