"""Keep the queued jobs of all clients in order, and tell which is the next that fits.

Rules of this file:
1. Clients take turns: first who holds the fewest slots, then who was served least, then the lower
   id. A client that comes or comes back is not owed what it did not ask for. The jobs of one that
   is absent wait.
2. Within a client: jobs that were taken back from a lost worker, then the higher priority, then the
   longest by estimate (unknown counts as longest), then first come.
3. Jobs of one shape (what they need) are in one heap, so that a job that fits nowhere now does not
   hide those behind it, and nothing is ever searched job by job.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from maelstrom.model.ids import ClientId, JobId


class Shape(NamedTuple):
    """What a job needs of a worker."""

    slots: int = 1
    tokens: tuple[tuple[str, int], ...] = ()
    is_alone: bool = False
    """Whether it gets a worker of its own, as one that may have killed others does."""


Order: TypeAlias = tuple[bool, int, float, int]


@dataclass(slots=True)
class _Share:
    held: int = 0
    served: int = 0
    queued: int = 0
    is_absent: bool = False
    heaps: dict[Shape, list[tuple[Order, JobId]]] = field(default_factory=dict)


class Queue:
    """All jobs that wait for a worker."""

    def __init__(self) -> None:
        self._shares: dict[ClientId, _Share] = {}
        self._where: dict[JobId, tuple[Order, Shape]] = {}
        self._waiting = 0

    def __len__(self) -> int:
        """How many jobs there are of clients that are here."""
        return self._waiting

    def __contains__(self, job: JobId) -> bool:
        return job in self._where

    def join(self, client: ClientId) -> None:
        """A client is here; it is served like the one served least so far."""
        served = min((share.served for share in self._shares.values()), default=0)
        self._shares[client] = _Share(served=served)

    def absent(self, client: ClientId, *, is_absent: bool) -> None:
        """A client went away for a while, or came back."""
        share = self._shares[client]
        if share.is_absent != is_absent:
            share.is_absent = is_absent
            self._waiting += -share.queued if is_absent else share.queued

    def leave(self, client: ClientId) -> None:
        """A client and all its queued jobs are gone."""
        self.absent(client, is_absent=True)
        for heap in self._shares.pop(client).heaps.values():
            for order, job in heap:
                if self._where.get(job, (None,))[0] == order:
                    del self._where[job]

    def push(self, job: JobId, shape: Shape, order: Order) -> None:
        """Queue a job."""
        share = self._shares[job.client]
        if not share.queued and not share.held:
            # It was idle: what it did not use then is not kept for it.
            busy = (other.served for other in self._shares.values() if other.queued or other.held)
            share.served = max(share.served, min(busy, default=share.served))
        share.queued += 1
        self._waiting += not share.is_absent
        self._where[job] = (order, shape)
        heapq.heappush(share.heaps.setdefault(shape, []), (order, job))

    def remove(self, job: JobId) -> bool:
        """Take a job out, wherever it stands; False if it is not queued."""
        if self._where.pop(job, None) is None:
            return False
        share = self._shares[job.client]
        share.queued -= 1
        self._waiting -= not share.is_absent
        return True  # Its place in the heap is skipped when it gets to the top.

    def hold(self, client: ClientId, slots: int) -> None:
        """Note that a client's jobs hold so many slots more, or fewer."""
        share = self._shares.get(client)
        if share is not None:
            share.held += slots
            share.served += max(slots, 0)

    def clients(self) -> list[ClientId]:
        """Return the clients that have queued jobs, in the order of their turns."""
        waiting = [
            (share.held, share.served, client)
            for client, share in self._shares.items()
            if share.queued and not share.is_absent
        ]
        if len(waiting) == 1:
            return [waiting[0][2]]
        return [client for _, _, client in sorted(waiting)]

    def heads(self, client: ClientId) -> list[tuple[Order, JobId, Shape]]:
        """Return the first job of each shape of a client, in order."""
        heads = []
        heaps = self._shares[client].heaps
        for shape in list(heaps):
            heap = heaps[shape]
            # A place may be stale: the job left the queue, or came back with another shape.
            while heap and self._where.get(heap[0][1]) != (heap[0][0], shape):
                heapq.heappop(heap)
            if heap:
                heads.append((*heap[0], shape))
            else:
                del heaps[shape]
        heads.sort()
        return heads

    def shapes(self) -> set[Shape]:
        """Return what the queued jobs need."""
        return {shape for client in self._shares for _, _, shape in self.heads(client)}

    def take_if(self, is_doomed: Callable[[Shape], bool]) -> list[tuple[JobId, Shape]]:
        """Take out all jobs of certain shapes."""
        taken = [(job, shape) for job, (_, shape) in self._where.items() if is_doomed(shape)]
        for job, _ in taken:
            self.remove(job)
        return taken

    def check(self) -> None:
        """Assert what must be true between two events."""
        count = dict.fromkeys(self._shares, 0)
        for job, (order, shape) in self._where.items():
            assert (order, job) in self._shares[job.client].heaps[shape], (
                "a queued job is in a heap"
            )
            count[job.client] += 1
        for client, share in self._shares.items():
            assert share.queued == count[client], "a share counts its queued jobs"
            assert share.held >= 0, "nobody holds less than nothing"
        present = [share.queued for share in self._shares.values() if not share.is_absent]
        assert self._waiting == sum(present), "jobs of those who are here are counted"
