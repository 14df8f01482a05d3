"""Play scripts on a core: lines of (event, the instructions it must give)."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Core(Protocol):
    """What all cores are."""

    def handle(self, event: Any) -> list[Any]:
        """Take an event in, give instructions out."""

    def check(self) -> None:
        """Assert what must be true between two events."""


Line = tuple[Any, Sequence[Any]]
Script = Sequence[Line]


def play(core: Core, script: Script) -> None:
    """Play a script; every line must give what it says."""
    for number, (event, expected) in enumerate(script, 1):
        found = core.handle(event)
        core.check()
        assert found == list(expected), f"line {number}: {event}"


def play_interrupted(
    make: Callable[[], Core], script: Script, interrupt: Callable[[Core], Sequence[Any]]
) -> None:
    """Play a script once for each line, with other events before that line.

    What comes out is another story then; but nothing may break, and every invariant must hold.
    """
    for at in range(len(script)):
        core = make()
        for number, (event, _) in enumerate(script):
            if number == at:
                for extra in interrupt(core):
                    core.handle(extra)
                    core.check()
            core.handle(event)
            core.check()
