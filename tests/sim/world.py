"""A whole cluster in one process, from a seed: our cores, and a network that delays and breaks.

Connections keep the order of their messages, as sockets do; what a broken one carried is lost, and
each end hears of the loss at a time of its own. An answer may be delivered twice, as by a
worker that was taken for lost. Time is a number; nothing here depends on anything but the seed.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from maelstrom.broker import events, gatherer
from maelstrom.broker.gatherer import Gatherer
from maelstrom.broker.scheduler import Scheduler
from maelstrom.client import router
from maelstrom.client.router import Router
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId, WorkerId
from maelstrom.model.outcome import (
    Cancelled,
    Effects,
    Exited,
    InfrastructureFault,
    Outcome,
)
from maelstrom.worker import dispatcher
from maelstrom.worker.dispatcher import Dispatcher

LAYERS = tuple(Digest.of(b"layer %d" % number) for number in range(6))
CONTENTS = {
    layer: tuple(Digest.of(b"content %d" % (number + step)) for step in range(3))
    for number, layer in enumerate(LAYERS)
}


@dataclass
class Client:
    """A client: its router, and what its test run was told."""

    id: ClientId
    core: Router = field(default_factory=Router)
    submitted: dict[int, tuple[Digest, ...]] = field(default_factory=dict)
    told: dict[int, Outcome] = field(default_factory=dict)
    is_gone: bool = False


@dataclass
class Worker:
    """A worker: its dispatcher, and the jobs in its slots."""

    id: WorkerId
    slots: int
    core: Dispatcher
    running: dict[tuple[JobId, int], None] = field(default_factory=dict)
    is_gone: bool = False


class World:
    """The cluster; `tick` moves it on by one event, `settle` until nothing is left to happen."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.time = 0.0
        self.trace: list[str] = []
        self.scheduler = Scheduler()
        self.gatherer = Gatherer()
        self.clients: dict[ClientId, Client] = {}
        self.workers: dict[WorkerId, Worker] = {}
        self.broker_clients: dict[ClientId, dict[int, None]] = {}
        self.broker_workers: dict[WorkerId, None] = {}
        self.blobs: dict[Digest, None] = {}
        self.runs: dict[JobId, int] = {}
        self.fault_share = 0.1
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._arrivals: dict[object, float] = {}
        self._numbers = 0

    # Time and network

    def later(self, delay: float, what: Callable[[], None]) -> None:
        """Let something happen after a while."""
        self._count += 1
        heapq.heappush(self._agenda, (self.time + delay, self._count, what))

    def carry(self, link: object, what: Callable[[], None]) -> None:
        """Deliver over a connection: late, but in order."""
        arrival = max(self.time + self.random.expovariate(2.0), self._arrivals.get(link, 0.0))
        self._arrivals[link] = arrival
        self.later(arrival - self.time, what)

    def tick(self) -> bool:
        """Let the next thing happen; False if nothing is left."""
        if not self._agenda:
            return False
        self.time, _, what = heapq.heappop(self._agenda)
        what()
        self.check()
        return True

    def settle(self, ticks_max: int) -> None:
        """Let everything happen that is still to come."""
        for _ in range(ticks_max):
            if not self.tick():
                return
        raise AssertionError(f"the cluster is still busy after {ticks_max} ticks")

    def check(self) -> None:
        """Check every core."""
        self.scheduler.check()
        self.gatherer.check()
        for client in self.clients.values():
            client.core.check()
        for worker in self.workers.values():
            worker.core.check()
            assert len(worker.running) <= worker.slots, "no slot runs two jobs"

    def note(self, *what: object) -> None:
        """Write a line of history."""
        self.trace.append(f"{self.time:.3f} " + " ".join(map(str, what)))

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    # Clients

    def add_client(self) -> Client:
        """Let a client come."""
        client = Client(ClientId(self._number()))
        self.clients[client.id] = client
        self.note("client", client.id)
        self.carry((client.id, "up"), lambda: self._greet_client(client))
        return client

    def _greet_client(self, client: Client) -> None:
        self.broker_clients[client.id] = {}
        self.schedule(events.ClientJoined(client.id))
        self.carry((client.id, "down"), lambda: self.route(client, router.Connected()))

    def submit(self, client: Client) -> int:
        """Let a client submit a job in some layers."""
        number = len(client.submitted) + 1
        count = self.random.randrange(4)
        client.submitted[number] = tuple(self.random.sample(LAYERS, count))
        self.route(client, router.Submitted(number))
        return number

    def route(self, client: Client, event: router.Event) -> None:
        """Give a client's router an event, and do what it says."""
        if client.is_gone:
            return
        for said in client.core.handle(event):
            match said:
                case router.SendJob(number):
                    self._up(client, lambda n=number: self._arrive(client, n))  # type: ignore[misc]
                case router.SendCancel(number, even):
                    self._up(client, lambda n=number, e=even: self._cancel(client, n, e))  # type: ignore[misc]
                case router.SendContents(digests):
                    for digest in digests:
                        self._up(client, lambda d=digest: self._put(client, d))  # type: ignore[misc]
                case router.TellOutcome(number, outcome):
                    assert number not in client.told, "an outcome is told once"
                    assert number in client.submitted, "nobody hears of what he did not submit"
                    client.told[number] = outcome
                    self.note("told", client.id, number, type(outcome).__name__)
                case router.TellStatus():
                    pass

    def _up(self, client: Client, what: Callable[[], None]) -> None:
        def arrive() -> None:
            if client.id in self.broker_clients:
                what()

        self.carry((client.id, "up"), arrive)

    def lose_client(self, client: Client) -> None:
        """Let a client go without a word."""
        client.is_gone = True
        self.note("lost client", client.id)
        self.carry((client.id, "up"), lambda: self._forget_client(client))

    def _forget_client(self, client: Client) -> None:
        if self.broker_clients.pop(client.id, None) is not None:
            self.schedule(events.ClientLeft(client.id))
            self.gather(gatherer.ClientLeft(client.id))

    # Broker

    def _arrive(self, client: Client, number: int) -> None:
        self.broker_clients[client.id][number] = None
        job = JobId(client.id, number)
        self.gather(gatherer.JobArrived(job, client.submitted[number]))

    def _cancel(self, client: Client, number: int, even_running: bool) -> None:
        job = JobId(client.id, number)
        if number not in self.broker_clients[client.id]:
            return
        if self.gatherer.is_waiting(job):
            self.gather(gatherer.JobWithdrawn(job))
            self._tell(job, Cancelled())
        else:
            self.schedule(events.JobCancelled(job, even_running))

    def _put(self, client: Client, digest: Digest) -> None:
        if self.random.random() < self.fault_share:
            self.gather(gatherer.ArtifactRefused(digest, client.id, "it is not what it was"))
        else:
            self.blobs[digest] = None
            self.gather(gatherer.ArtifactArrived(digest))

    def gather(self, event: gatherer.Event) -> None:
        """Give the gatherer an event, and do what it says."""
        for said in self.gatherer.handle(event):
            match said:
                case gatherer.JobReady(job):
                    self.schedule(
                        events.JobQueued(job, estimate_s=float(job.number % 3), priority=0)
                    )
                case gatherer.CheckLayer(layer):
                    self.later(self.random.random(), lambda d=layer: self._check_layer(d))  # type: ignore[misc]
                case gatherer.AskClient(client, digests):
                    asked = self.clients[client]
                    self.carry(
                        (client, "down"),
                        lambda a=asked, d=digests: self.route(a, router.Wanted(d)),  # type: ignore[misc]
                    )
                case gatherer.JobFailed(job, message, _):
                    self._tell(job, InfrastructureFault(message))
                case gatherer.PinLayer() | gatherer.UnpinLayer():
                    pass

    def _check_layer(self, layer: Digest) -> None:
        wanted = (layer,) if layer not in self.blobs else CONTENTS[layer]
        lacking = tuple(digest for digest in wanted if digest not in self.blobs)
        self.gather(gatherer.LayerChecked(layer, lacking))

    def schedule(self, event: events.Event, outcome: Outcome | None = None) -> None:
        """Give the scheduler an event, and do what it says."""
        for said in self.scheduler.handle(event):
            self.note(said)
            match said:
                case events.Assign(worker, job, attempt):
                    layers = self.clients[job.client].submitted[job.number]
                    sent = dispatcher.JobAssigned(job, attempt, layers)
                    self._down(worker, sent)
                case events.Recall(worker, job, attempt):
                    self._down(worker, dispatcher.JobRecalled(job, attempt))
                case events.Kill(worker, job, attempt):
                    self._down(worker, dispatcher.JobKilled(job, attempt))
                case events.Tell(job):
                    assert outcome is not None, "an outcome is told when there is one"
                    self._tell(job, outcome)
                case events.TellCancelled(job):
                    self._tell(job, Cancelled())
                case events.Fail(job, message):
                    self._tell(job, InfrastructureFault(message))

    def _tell(self, job: JobId, outcome: Outcome) -> None:
        del self.broker_clients[job.client][job.number]
        client = self.clients[job.client]
        self.carry(
            (job.client, "down"), lambda: self.route(client, router.Ended(job.number, outcome))
        )

    # Workers

    def add_worker(self) -> Worker:
        """Let a worker come."""
        slots = self.random.randrange(1, 4)
        worker = Worker(WorkerId(self._number()), slots, Dispatcher(slots))
        self.workers[worker.id] = worker
        self.note("worker", worker.id, slots)
        self.carry((worker.id, "up"), lambda: self._greet_worker(worker))
        return worker

    def _greet_worker(self, worker: Worker) -> None:
        if not worker.is_gone:
            self.broker_workers[worker.id] = None
            self.schedule(events.WorkerJoined(worker.id, worker.slots))

    def lose_worker(self, worker: Worker) -> None:
        """Let a worker go without a word."""
        worker.is_gone = True
        worker.running.clear()
        self.note("lost worker", worker.id)
        self.carry((worker.id, "up"), lambda: self._forget_worker(worker))

    def _forget_worker(self, worker: Worker) -> None:
        if worker.id in self.broker_workers:
            del self.broker_workers[worker.id]
            self.schedule(events.WorkerLost(worker.id))

    def _down(self, worker: WorkerId, event: dispatcher.Event) -> None:
        to = self.workers[worker]
        self.carry((worker, "down"), lambda: self.dispatch(to, event))

    def dispatch(self, worker: Worker, event: dispatcher.Event) -> None:
        """Give a worker's dispatcher an event, and do what it says."""
        if worker.is_gone:
            return
        for said in worker.core.handle(event):
            match said:
                case dispatcher.PrepareLayer(layer):
                    self.later(self.random.random(), lambda d=layer: self._prepare(worker, d))  # type: ignore[misc]
                case dispatcher.StartJob(job, attempt):
                    worker.running[job, attempt] = None
                    self.runs[job] = self.runs.get(job, 0) + 1
                    delay = self.random.expovariate(0.5)
                    self.later(delay, lambda j=job, a=attempt: self._finish(worker, j, a))  # type: ignore[misc]
                case dispatcher.KillJob(job, attempt):
                    self.later(0.1, lambda j=job, a=attempt: self._finish(worker, j, a))  # type: ignore[misc]
                case dispatcher.ReportJob(job, attempt, outcome):
                    self._report(worker, job, attempt, outcome)
                case dispatcher.ReturnJob(job, attempt):
                    back = events.JobReturned(worker.id, job, attempt)
                    self._heard(worker, back, None)
                case dispatcher.ReleaseLayer():
                    pass

    def _prepare(self, worker: Worker, layer: Digest) -> None:
        if self.random.random() < self.fault_share:
            self.dispatch(worker, dispatcher.LayerFailed(layer, "the disk is full"))
        else:
            self.dispatch(worker, dispatcher.LayerPrepared(layer))

    def _finish(self, worker: Worker, job: JobId, attempt: int) -> None:
        if worker.is_gone or (job, attempt) not in worker.running:
            return
        del worker.running[job, attempt]
        is_fault = self.random.random() < self.fault_share
        outcome = InfrastructureFault("the slot was lost") if is_fault else Exited(0, Effects())
        self.dispatch(worker, dispatcher.JobEnded(job, attempt, outcome))

    def _report(self, worker: Worker, job: JobId, attempt: int, outcome: Outcome) -> None:
        is_fault = isinstance(outcome, InfrastructureFault)
        event = events.JobEnded(worker.id, job, attempt, is_fault)
        self._heard(worker, event, outcome)
        if self.random.random() < self.fault_share:
            self._heard(worker, event, outcome)

    def _heard(self, worker: Worker, event: Any, outcome: Outcome | None) -> None:
        def arrive() -> None:
            if worker.id in self.broker_workers:
                self.schedule(event, outcome)

        self.carry((worker.id, "up"), arrive)
