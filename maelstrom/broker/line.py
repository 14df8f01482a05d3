"""Keep queued jobs in order, so that the first is known at once and to come in order is cheap.

Most jobs come in the order in which they are given out: those stand in a row. The others are in a
heap beside it.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from typing import TypeAlias

from maelstrom.broker.books import Job

Place: TypeAlias = tuple[float, int, int, Job]
"""The rank, for equal ones a number that tells who came first, and the job's ticket for this."""


class Line:
    """Jobs of one client and one shape; one whose ticket is another by now is out of it."""

    __slots__ = ("_heap", "_row")

    def __init__(self) -> None:
        self._row: deque[Place] = deque()
        self._heap: list[Place] = []

    def add(self, place: Place) -> None:
        """Let a job stand where it belongs."""
        if not self._row or self._row[-1] < place:
            self._row.append(place)
        else:
            heapq.heappush(self._heap, place)

    def first(self) -> Place | None:
        """Return who is the next, if anybody is left."""
        row, heap = self._row, self._heap
        while row and row[0][3].ticket != row[0][2]:
            row.popleft()
        while heap and heap[0][3].ticket != heap[0][2]:
            heapq.heappop(heap)
        if row and heap:
            return min(row[0], heap[0])
        return row[0] if row else heap[0] if heap else None

    def __iter__(self) -> Iterator[Place]:
        """Yield all in order; costs by how many are taken, not by how many there are."""
        return (place for place in heapq.merge(self._row, self._walk()) if _is_in(place))

    def _walk(self) -> Iterator[Place]:
        """Yield the heap in order without sorting it: whoever is next is below one that came."""
        heap = self._heap
        edge = [(heap[0], 0)] if heap else []
        while edge:
            place, at = heapq.heappop(edge)
            yield place
            for below in (2 * at + 1, 2 * at + 2):
                if below < len(heap):
                    heapq.heappush(edge, (heap[below], below))

    def remains(self) -> list[deque[Place] | list[Place]]:
        """Return what is to be thrown away of it, part by part."""
        return [self._row, self._heap]


def _is_in(place: Place) -> bool:
    return place[3].ticket == place[2]
