"""Keep messages until the other end is known to have them.

The other end counts what comes by a connection and says the count from time to time. When the
connection breaks, what was not counted is sent again by the next; so each message comes at least
once, and whoever takes it must not mind to get it twice.
"""

from collections import deque
from typing import Generic, TypeVar

from maelstrom.errors import ProtocolError

T = TypeVar("T")


class Outbox(Generic[T]):
    """What was sent and may have to be sent again, oldest first."""

    def __init__(self) -> None:
        self._kept: deque[T] = deque()
        self._heard = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, item: T) -> None:
        """Note that something is sent."""
        self._kept.append(item)

    def heard(self, count: int) -> list[T]:
        """Forget, and return, what the other end has by now; it got `count` by this connection."""
        fresh = count - self._heard
        if not 0 <= fresh <= len(self._kept):
            raise ProtocolError(f"{count} messages are said to have come; so many were not sent")
        self._heard = count
        return [self._kept.popleft() for _ in range(fresh)]

    def restart(self) -> list[T]:
        """Take everything out, for a new connection: what is still wanted must be kept again."""
        kept = list(self._kept)
        self._kept.clear()
        self._heard = 0
        return kept
