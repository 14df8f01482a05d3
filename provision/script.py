"""Put changes together into one shell script for a host, and read how far it came.

Pure. Nothing of a script runs before all of it has arrived, because its last line calls the rest;
and two scripts never run at once on a host, even when the connection of the first was cut.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from maelstrom.errors import InfrastructureError
from provision.actions import Action

# The directory itself is locked, so that nothing is left behind.
_LOCK = "/run/lock"
LOCK_S_MAX = 60
# sysexits' EX_TEMPFAIL: somebody else is at it.
BUSY = 75


class ChangeFailed(InfrastructureError):
    """A change that could not be made; `done` were made before it."""

    def __init__(self, message: str, *, done: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.done = done


@dataclass(frozen=True, slots=True)
class Step:
    """A line of progress: a change begins, or is done."""

    number: int
    is_done: bool


def apply_script(actions: Sequence[Action]) -> str:
    """Return the script that makes the changes, in order, until one fails."""
    lines = ["set -eu", "umask 022", "export LC_ALL=C"]
    for number, action in enumerate(actions):
        lines += [f"change_{number}() {{", action.script(), "}"]
    lines += ["main() {", f"exec 8<{_LOCK}", f"flock -w {LOCK_S_MAX} 8 || exit {BUSY}"]
    for number in range(len(actions)):
        # Daemons that are started must not keep our lock.
        lines += [
            f"echo @begin {number}",
            f"change_{number} </dev/null 8>&-",
            f"echo @done {number}",
        ]
    return "\n".join([*lines, "}", "main", ""])


def facts_script(script: str, **names: Sequence[str]) -> str:
    """Return the script that tells the facts, with the names that it is to look at."""
    given = [f"{name.upper()}={shlex.quote(' '.join(values))}" for name, values in names.items()]
    return "\n".join(["main() {", *given, script, "}", "main", ""])


def read_step(line: str) -> Step | None:
    """Return the step that a line of output tells, if it tells one."""
    word, _, number = line.partition(" ")
    if word not in {"@begin", "@done"} or not number.isdecimal():
        return None
    return Step(int(number), word == "@done")
