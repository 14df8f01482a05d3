"""How good the schedules are: a cluster of nothing but the scheduler, in which time is a number."""

import heapq
import random
from collections import deque
from pathlib import Path

import pytest

from maelstrom.broker.events import (
    Assign,
    ClientJoined,
    Event,
    JobEnded,
    JobQueued,
    JobReturned,
    Recall,
    WorkerJoined,
)
from maelstrom.broker.scheduler import Scheduler
from maelstrom.model.ids import ClientId, JobId, WorkerId

DATA = Path(__file__).parents[1] / "data" / "durations"


class Cluster:
    """Workers that run what they are given, first come first served."""

    def __init__(self, workers: int, slots: int) -> None:
        self.core = Scheduler()
        self.durations: dict[JobId, float] = {}
        self.ended: dict[JobId, float] = {}
        self._now = 0.0
        self._free = {WorkerId(1000 + n): slots for n in range(workers)}
        self._waiting: dict[WorkerId, deque[Assign]] = {name: deque() for name in self._free}
        self._ends: list[tuple[float, int, Assign]] = []
        for name in self._free:
            self.handle(WorkerJoined(name, slots))

    def handle(self, event: Event) -> None:
        """Give the core an event, and do what it says."""
        for said in self.core.handle(event):
            match said:
                case Assign(worker):
                    self._waiting[worker].append(said)
                    self._begin(worker)
                case Recall(worker, job, attempt):
                    kept = [a for a in self._waiting[worker] if a.job != job]
                    if len(kept) < len(self._waiting[worker]):
                        self._waiting[worker] = deque(kept)
                        self.handle(JobReturned(worker, job, attempt))

    def _begin(self, worker: WorkerId) -> None:
        while self._free[worker] and self._waiting[worker]:
            job = self._waiting[worker].popleft()
            self._free[worker] -= 1
            end = self._now + self.durations[job.job]
            heapq.heappush(self._ends, (end, len(self.ended) * 1000 + len(self._ends), job))

    def run(self) -> float:
        """Let all of it end; return when."""
        while self._ends:
            self._now, _, job = heapq.heappop(self._ends)
            self._free[job.worker] += 1
            self.ended[job.job] = self._now
            self.handle(JobEnded(job.worker, job.job, job.attempt))
            self._begin(job.worker)
        return self._now


def lpt(durations: list[float], slots: int) -> float:
    """Return when the last ends if each free slot takes the longest that is left."""
    return one_by_one(sorted(durations, reverse=True), slots)


def one_by_one(durations: list[float], slots: int) -> float:
    """Return when the last ends if each free slot takes the next."""
    ends = [0.0] * slots
    for duration in durations:
        heapq.heapreplace(ends, ends[0] + duration)
    return max(ends)


SETS = {
    "all alike": lambda dice: 1.0,
    "a few long ones": lambda dice: 30.0 if dice.random() < 0.02 else 0.1,
    "spread evenly": lambda dice: dice.uniform(0.1, 10.0),
    "spread over decades": lambda dice: 10 ** dice.uniform(-2, 1.5),
    "a heavy tail": lambda dice: min(0.05 * dice.paretovariate(1.1), 60.0),
}


def recorded() -> dict[str, list[tuple[float, float]]]:
    """Return what cases took in one run and in the next, by where they are from."""
    found: dict[str, list[tuple[float, float]]] = {"all": []}
    for line in (DATA / "cases.txt").read_text().splitlines()[1:]:
        where, before_ms, after_ms = line.split()
        times = int(before_ms) / 1000, int(after_ms) / 1000
        found.setdefault(where, []).append(times)
        found["all"].append(times)
    return found


RECORDED = recorded()


@pytest.mark.parametrize("workers", [1, 2, 20])
@pytest.mark.parametrize("name", SETS)
def test_the_last_ends_within_5_percent_of_the_best_order(name: str, workers: int) -> None:
    dice = random.Random(f"{name} {workers}")
    cluster = Cluster(workers, slots=4)
    client = ClientId(1)
    cluster.handle(ClientJoined(client))
    durations = [SETS[name](dice) for _ in range(100 * workers)]
    for number, duration in enumerate(durations, 1):
        job = JobId(client, number)
        cluster.durations[job] = duration
        # The estimate is of the last run, and a little off.
        cluster.handle(JobQueued(job, estimate_s=duration * dice.uniform(0.9, 1.1)))
    assert cluster.run() <= 1.05 * lpt(durations, 4 * workers)
    assert len(cluster.ended) == len(durations)


@pytest.mark.parametrize("is_foreseen", [True, False])
@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_cases_end_within_5_percent_of_the_best_order(
    name: str, workers: int, is_foreseen: bool
) -> None:
    # A client tells of the longest first.
    times = sorted(((b if is_foreseen else a, b) for a, b in RECORDED[name]), reverse=True)
    cluster = Cluster(workers, slots=2)
    client = ClientId(1)
    cluster.handle(ClientJoined(client))
    for number, (estimate_s, duration_s) in enumerate(times, 1):
        job = JobId(client, number)
        cluster.durations[job] = duration_s
        cluster.handle(JobQueued(job, estimate_s=estimate_s))
    # What nobody could foresee counts for both alike: the order is by the same estimates.
    in_order = [duration_s for _, duration_s in times]
    assert cluster.run() <= 1.05 * one_by_one(in_order, 2 * workers)


@pytest.mark.parametrize("name", RECORDED)
def test_two_clients_with_the_same_recorded_cases_end_at_the_same_time(name: str) -> None:
    cluster = Cluster(workers=2, slots=2)
    clients = ClientId(1), ClientId(2)
    for client in clients:
        cluster.handle(ClientJoined(client))
    for number, (before_s, after_s) in enumerate(sorted(RECORDED[name], reverse=True), 1):
        for client in clients:
            job = JobId(client, number)
            cluster.durations[job] = after_s
            cluster.handle(JobQueued(job, estimate_s=before_s))
    cluster.run()
    first, second = (
        max(end for job, end in cluster.ended.items() if job.client == client) for client in clients
    )
    assert abs(first - second) <= 0.1 * max(first, second)


def test_two_clients_with_the_same_work_end_at_the_same_time() -> None:
    cluster = Cluster(workers=4, slots=4)
    for client in (ClientId(1), ClientId(2)):
        cluster.handle(ClientJoined(client))
        for number in range(1, 501):
            job = JobId(client, number)
            cluster.durations[job] = 1.0 + number % 7
            cluster.handle(JobQueued(job, estimate_s=1.0 + number % 7))
    cluster.run()
    first, second = (
        max(end for job, end in cluster.ended.items() if job.client == client) for client in (1, 2)
    )
    assert abs(first - second) <= 0.1 * max(first, second)


def test_one_who_comes_late_with_little_need_not_wait_for_one_with_much() -> None:
    cluster = Cluster(workers=1, slots=4)
    ann, bob = ClientId(1), ClientId(2)
    cluster.handle(ClientJoined(ann))
    for number in range(1, 1001):
        cluster.durations[JobId(ann, number)] = 1.0
        cluster.handle(JobQueued(JobId(ann, number), priority=9, estimate_s=1.0))
    cluster.handle(ClientJoined(bob))
    for number in range(1, 5):
        cluster.durations[JobId(bob, number)] = 1.0
        cluster.handle(JobQueued(JobId(bob, number), estimate_s=1.0))
    cluster.run()
    assert max(end for job, end in cluster.ended.items() if job.client == bob) <= 5.0
