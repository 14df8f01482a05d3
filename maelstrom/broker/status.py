"""What a broker is doing, as values: for the page, for programs, for `maelstrom-admin status`.

Rules of this file:
1. Nothing here knows how it is shown.
2. What is shown is what all may see who may look: names, counts and sizes; no specs, no contents.
"""

import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from maelstrom import __version__

if TYPE_CHECKING:
    from maelstrom.broker.daemon import Broker
    from maelstrom.broker.peers import ClientPeer

SAMPLE_S = 1.0
SAMPLES_MAX = 600
RATE_S = 10


class WorkerState(msgspec.Struct, frozen=True):
    """One worker."""

    name: str
    peer: str
    slots: int
    running: int
    ahead: int
    """Jobs that were sent and wait for a slot there."""
    state: str
    """here, draining, or absent."""
    labels: tuple[str, ...] = ()


class ClientState(msgspec.Struct, frozen=True):
    """One session of a client."""

    name: str
    peer: str
    jobs: int
    size_bytes: int
    """What its holder gave for the jobs of all his sessions."""
    is_absent: bool
    slots: int = 0
    """That all his sessions hold."""
    slots_max: int = 0
    """0 for any number."""
    jobs_max: int = 0
    priority: int = 0


class NextJob(msgspec.Struct, frozen=True):
    """A job that waits, and what its place comes from; see order.py."""

    job: str
    client: str
    held: int
    served: int
    client_priority: int
    priority: int
    estimate_s: float
    is_retry: bool
    waits_for: str


class Sample(msgspec.Struct, frozen=True):
    """One moment."""

    at_s: float
    ended: int
    """Since the start."""
    running: int
    waiting: int
    slots: int


class State(msgspec.Struct, frozen=True):
    """Everything."""

    build: str
    name: str
    up_s: float
    gathering: int
    """Jobs that lack contents."""
    queued: int
    running: int
    ended: int
    faults: int
    """Infrastructure faults that were told to clients."""
    per_s: float
    """Jobs that ended each second, lately."""
    slots: int
    store_limit_bytes: int
    workers: tuple[WorkerState, ...]
    clients: tuple[ClientState, ...]
    history: tuple[Sample, ...]
    store_bytes: int = 0
    results: int = 0
    """Outcomes that are remembered for equal jobs."""
    hits: int = 0
    """Jobs that were answered so, since the start, and those that could have been."""
    misses: int = 0
    ending: str = ""
    """draining if it is about to end; finishing if all jobs are to end before."""


class Observer:
    """Looks at a broker, and remembers a little."""

    def __init__(self, broker: "Broker", *, name: str = "") -> None:
        self._broker = broker
        self._name = name
        self._begun_s = time.monotonic()
        self._history: deque[Sample] = deque(maxlen=SAMPLES_MAX)

    def sample(self) -> None:
        """Remember this moment."""
        self._history.append(self._now())

    def _now(self) -> Sample:
        running = slots = 0
        for number in self._broker.workers:
            books = self._broker.scheduler.worker(number)
            running += min(len(books.jobs), books.slots)
            slots += books.slots if books.is_open else 0
        at_s = time.monotonic() - self._begun_s
        waiting = max(0, self._broker.jobs - running)
        return Sample(at_s, self._broker.counts.ended, running, waiting, slots)

    def _workers(self) -> tuple[WorkerState, ...]:
        found = []
        for number, peer in self._broker.workers.items():
            books = self._broker.scheduler.worker(number)
            running = min(len(books.jobs), books.slots)
            kind = "absent" if books.is_absent else "draining" if books.is_draining else "here"
            found.append(
                WorkerState(
                    peer.name,
                    peer.connection.peer,
                    books.slots,
                    running,
                    len(books.jobs) - running,
                    kind,
                    books.labels,
                )
            )
        return tuple(sorted(found, key=lambda worker: worker.name))

    def order(self, count: int) -> tuple[NextJob, ...]:
        """Return the jobs that are next, and why."""
        clients = self._broker.clients
        return tuple(
            NextJob(
                str(each.job),
                clients[each.job.client].owner,
                each.held,
                each.served,
                each.owner_priority,
                each.priority,
                each.estimate_s,
                each.is_retry,
                each.waits_for,
            )
            for each in self._broker.scheduler.order(count)
        )

    def _client(self, client: "ClientPeer") -> ClientState:
        quotas = self._broker.quotas
        quota = quotas.of(client.owner)
        return ClientState(
            client.owner,
            client.connection.peer,
            len(client.jobs),
            quotas.usage(client.owner)[1],
            client.is_absent,
            self._broker.scheduler.held(client.id),
            quota.slots,
            quota.jobs,
            quota.priority,
        )

    def look(self) -> State:
        """Return what there is to see now."""
        broker = self._broker
        now = self._now()
        gathering = broker.gatherer.waiting
        results = broker.results
        before = next((s for s in self._history if now.at_s - s.at_s <= RATE_S), now)
        spent_s = max(now.at_s - before.at_s, SAMPLE_S)
        clients = tuple(self._client(client) for client in broker.clients.values())
        return State(
            build=__version__,
            name=self._name,
            up_s=now.at_s,
            gathering=gathering,
            queued=max(0, now.waiting - gathering),
            running=now.running,
            ended=now.ended,
            faults=broker.counts.faults,
            per_s=(now.ended - before.ended) / spent_s,
            slots=now.slots,
            store_limit_bytes=broker.store.size_bytes_max,
            workers=self._workers(),
            clients=clients,
            history=tuple(self._history),
            store_bytes=broker.store.used_bytes,
            results=len(results) if results is not None else 0,
            hits=results.hits if results is not None else 0,
            misses=results.misses if results is not None else 0,
            ending=broker.ending.state,
        )
