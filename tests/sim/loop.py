"""An event loop whose time is a number: nothing waits, and equal beginnings have equal endings."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class NothingLeft(Exception):
    """Somebody waits, and nothing will ever happen."""


class _Clock(selectors.DefaultSelector):
    """Instead of waiting for files, lets time pass."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise NothingLeft
        self.now_s += max(timeout, 0.0)
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """Runs in no time; threads have no place here."""

    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_s

    def _write_to_self(self) -> None:
        """Nobody needs to be woken who does not sleep."""


async def at_once(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Stand in for `asyncio.to_thread`."""
    await asyncio.sleep(0)
    return work(*arguments, **named)
