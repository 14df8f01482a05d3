"""Throw away what a client left behind, a little at a time.

To free a million jobs at once would hold up everybody.
"""

from typing import Any

PER_EVENT = 1000


class Trash:
    """Lists and dicts that nobody looks at any more."""

    def __init__(self) -> None:
        self.heaps: list[list[Any] | dict[int, Any]] = []

    def throw_some_away(self) -> None:
        """Free a part of what is there."""
        heap = self.heaps[-1]
        if isinstance(heap, dict):
            for _ in range(min(PER_EVENT, len(heap))):
                heap.popitem()
        else:
            del heap[-PER_EVENT:]
        if not heap:
            self.heaps.pop()
