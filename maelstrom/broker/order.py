"""Tell in which order queued jobs would be given out, and why; changes nothing.

It is the order in which slots that get free from now on would be filled, one by one. Jobs that
come, end or fit nowhere meanwhile make another of it.
"""

import heapq
from collections.abc import Callable, Iterator
from typing import NamedTuple

from maelstrom.broker.books import UNKNOWN_S, Job
from maelstrom.broker.queue import Queue
from maelstrom.model.ids import JobId


class Planned(NamedTuple):
    """One job that waits."""

    job: JobId
    held: int
    """Slots that its client would hold before it."""
    served: int
    owner_priority: int
    priority: int
    estimate_s: float
    """0 for unknown, which counts as the longest."""
    is_retry: bool
    waits_for: str
    """Why it could not be given out now; empty if it could."""


def explain(queue: Queue, count: int, waits_for: Callable[[Job], str]) -> Iterator[Planned]:
    """Yield the first jobs of clients that take turns; costs by `count`, not by the queue."""
    turns = queue.turns()
    heapq.heapify(turns)
    jobs = {turn[3]: queue.jobs(turn[3]) for turn in turns}
    while turns and count > 0:
        before, held, served, client = heapq.heappop(turns)
        job = next(jobs[client], None)
        if job is None:
            continue
        count -= 1
        estimate_s = 0.0 if job.estimate_s == UNKNOWN_S else job.estimate_s
        yield Planned(
            job.name, held, served, -before, job.priority, estimate_s, job.attempts > 0,
            waits_for(job),
        )  # fmt: skip
        slots = job.shape.slots
        heapq.heappush(turns, (before, held + slots, served + slots, client))
