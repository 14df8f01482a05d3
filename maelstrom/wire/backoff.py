"""How long to wait for the next try, so that all who lost one broker do not come at once."""

from collections.abc import Callable

FIRST_S = 0.05
LONGEST_S = 5.0


class Backoff:
    """Waits double with every try, and none is like another's."""

    def __init__(self, dice: Callable[[], float]) -> None:
        self._dice = dice
        self._longest_s = FIRST_S

    def next_s(self) -> float:
        """Return how long to wait now: between half of what it may be and all of it."""
        wait_s = self._longest_s * (0.5 + self._dice() / 2)
        self._longest_s = min(2 * self._longest_s, LONGEST_S)
        return wait_s

    def reset(self) -> None:
        """Begin anew: it went well."""
        self._longest_s = FIRST_S
