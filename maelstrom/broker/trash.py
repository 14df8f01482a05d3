"""Throw away what a client left behind, a little at a time.

To free a million jobs at once would hold up everybody.
"""

from collections import deque
from typing import Any

PER_EVENT = 1000


class Trash:
    """Lists and dicts that nobody looks at any more."""

    def __init__(self) -> None:
        self.heaps: list[deque[Any] | list[Any] | dict[int, Any]] = []

    def throw_some_away(self) -> None:
        """Free a part of what is there."""
        heap = self.heaps[-1]
        throw = heap.popitem if isinstance(heap, dict) else heap.pop
        for _ in range(min(PER_EVENT, len(heap))):
            throw()
        if not heap:
            self.heaps.pop()
