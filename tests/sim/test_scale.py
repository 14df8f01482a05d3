"""Ten thousand workers, a thousand clients, a million queued jobs: `nox -s sim` plays them.

All times are of the processor, since what else the machine does is nobody's concern here.
"""

import gc
import os
import time
from collections import deque
from pathlib import Path

import pytest

from maelstrom.broker.events import (
    Assign,
    ClientJoined,
    ClientLeft,
    JobEnded,
    JobQueued,
    TimePassed,
    WorkerJoined,
)
from maelstrom.broker.scheduler import Scheduler
from maelstrom.cli.broker import TIDY_JOBS_MAX
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId, WorkerId
from maelstrom.wire.messages import Submit

LAYERS = [(Digest.of(b"%d" % number),) for number in range(50)]
SLOTS = 4
AHEAD = 4
ROUNDS = 15
JOBS_A_ROUND = 4_000

pytestmark = pytest.mark.skipif(
    "MAELSTROM_SCALE" not in os.environ, reason="takes a minute; `nox -s sim` plays it"
)


class Load:
    """A scheduler with so many jobs queued; each that ends is followed by a new one."""

    def __init__(self, workers: int, clients: int, queued: int) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()
        self.core = Scheduler()
        self.pause_s = 0.0
        self._clients = clients
        self._count = 0
        self._running: deque[Assign] = deque()
        for number in range(clients):
            self.core.handle(ClientJoined(ClientId(number + 1)))
        for number in range(workers):
            self.core.handle(WorkerJoined(WorkerId(1_000_000 + number), SLOTS))
        before = _memory_bytes()
        total = workers * (SLOTS + AHEAD) + queued
        for _ in range(total):
            self.queue()
        self.bytes_per_job = (_memory_bytes() - before) / total

    def _handle(self, event: JobQueued | JobEnded | ClientLeft) -> None:
        begin = time.thread_time()
        said = self.core.handle(event)
        self.pause_s = max(self.pause_s, time.thread_time() - begin)
        self._running += [instruction for instruction in said if isinstance(instruction, Assign)]

    def queue(self) -> None:
        """Let a job come."""
        self._count += 1
        number = self._count
        job = JobId(ClientId(number % self._clients + 1), number // self._clients + 1)
        layers = LAYERS[number % len(LAYERS)]
        self._handle(JobQueued(job, number % 3, 1.0 + number % 17, layers=layers))

    def cpu_s_per_job(self) -> float:
        """Let some jobs end, and as many come."""
        begin = time.process_time()
        for _ in range(JOBS_A_ROUND):
            job = self._running.popleft()
            self._handle(JobEnded(job.worker, job.job, job.attempt))
            self.queue()
        return (time.process_time() - begin) / JOBS_A_ROUND

    def leave(self) -> None:
        """Let a client go with all its jobs."""
        self._handle(ClientLeft(ClientId(1)))
        for _ in range(2000):
            begin = time.thread_time()
            self.core.handle(TimePassed(1.0))
            self.pause_s = max(self.pause_s, time.thread_time() - begin)


def test_no_garbage_is_collected_for_long() -> None:
    """The broker collects while it has fewer jobs than this; with more it lets all be."""
    load = Load(1000, 1000, TIDY_JOBS_MAX - 1000 * (SLOTS + AHEAD))
    for number in range(9000):
        load.core.handle(WorkerJoined(WorkerId(2_000_000 + number), SLOTS))
    spec = [bytes([number % 256]) * 500 for number in range(TIDY_JOBS_MAX)]
    jobs = [Submit(number, spec[number], LAYERS[number % 50]) for number in range(TIDY_JOBS_MAX)]
    begin = time.thread_time()
    gc.collect()
    pause_s = time.thread_time() - begin
    print(f"\ngarbage collected in {pause_s * 1e3:.1f} ms beside {len(jobs)} jobs")
    assert pause_s <= 0.1


def _memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(("workers", "clients"), [(100, 1), (100, 10), (10_000, 1000)])
def test_a_million_queued_jobs_cost_each_what_a_thousand_do(workers: int, clients: int) -> None:
    small, load = Load(workers, clients, 1_000), Load(workers, clients, 1_000_000)
    # By turns, and the least of each: what else runs here takes the caches from both.
    rounds = [(small.cpu_s_per_job(), load.cpu_s_per_job()) for _ in range(ROUNDS)]
    few, many = map(min, zip(*rounds, strict=True))
    load.leave()
    print(
        f"\n{workers} workers, {clients} clients: {few * 1e6:.1f} us a job with 1 000 queued, "
        f"{many * 1e6:.1f} with 1 000 000; {load.bytes_per_job:.0f} bytes each; "
        f"longest pause {load.pause_s * 1e3:.1f} ms"
    )
    assert many <= 1.5 * few
    assert load.bytes_per_job <= 2048
    assert load.pause_s <= 0.1
