"""An event loop whose time is a number: nothing waits, and equal beginnings have equal endings."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from maelstrom.store import depot
from maelstrom.wire import parcel
from maelstrom.worker import fetcher
from tests.sim.disk import Builder

T = TypeVar("T")


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
        self.troubles: list[str] = []
        """What nobody took care of: exceptions in callbacks, tasks that were forgotten."""
        super().__init__(self._clock)
        self.set_exception_handler(lambda _, about: self.troubles.append(str(about)))

    def time(self) -> float:
        return self._clock.now_s

    def _write_to_self(self) -> None:
        """Nobody needs to be woken who does not sleep."""


async def at_once(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Stand in for `asyncio.to_thread`."""
    await asyncio.sleep(0)
    return work(*arguments, **named)


def outside_of_time(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do it on a loop of its own; what nobody took care of is an error."""
    loop = SimLoop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", at_once)
        patch.setattr(fetcher, "LayerBuilder", Builder)
        # Small enough for contents to be packed, to come in pieces, and to be cut in between.
        patch.setattr(parcel, "PARCEL_BYTES_MAX", 20_000)
        patch.setattr(depot, "PARTIAL_BYTES_MIN", 30_000)
        try:
            done = loop.run_until_complete(work())
        finally:
            # What is cancelled may begin something else that ends it.
            while rest := asyncio.all_tasks(loop):
                for task in rest:
                    task.cancel()
                loop.run_until_complete(asyncio.wait(rest, timeout=10.0))
            loop.close()
    assert not loop.troubles, loop.troubles
    return done
