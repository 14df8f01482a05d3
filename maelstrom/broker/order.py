"""Tell in which order queued jobs would be given out, and why; changes nothing.

It is the order in which slots that get free from now on would be filled, one by one. Jobs that
come, end or fit nowhere meanwhile make another of it.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from maelstrom.broker.books import UNKNOWN_S, Job
from maelstrom.broker.queue import Place, Queue
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
    jobs = {turn[3]: _in_order(queue.heaps(turn[3])) for turn in turns}
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


def _in_order(heaps: Iterable[list[Place]]) -> Iterator[Job]:
    """Yield the jobs of a client from the first to the last."""
    for place in heapq.merge(*map(_walk, heaps)):
        job = place[3]
        if job.ticket == place[2]:
            yield job


def _walk(heap: list[Place]) -> Iterator[Place]:
    """Yield a heap in order without sorting it: whoever comes next is below one that came."""
    edge = [(heap[0], 0)] if heap else []
    while edge:
        place, at = heapq.heappop(edge)
        yield place
        for below in (2 * at + 1, 2 * at + 2):
            if below < len(heap):
                heapq.heappush(edge, (heap[below], below))
