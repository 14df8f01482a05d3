"""A plain program: one case, its exit status the verdict; 77 says that it was skipped."""

from maelstrom.frameworks.base import (
    Invocation,
    ListingError,
    Streams,
    Target,
    exit_reason,
    judge,
    one_line,
)
from maelstrom.model.case import Case, Status, Verdict
from maelstrom.model.outcome import Outcome, Ran

SKIPPED_STATUS = 77


class Plain:
    """Any program, or a Python script, that tells success by its exit status."""

    name = "plain"

    def listing(self, target: Target) -> Invocation | None:
        """Return None: the program is its only case."""

    def cases(self, outcome: Ran) -> list[Case]:
        """Refuse: there is nothing to list."""
        raise ListingError("a plain program has no cases to list")

    def invocation(self, target: Target, case: Case) -> Invocation:
        """Return how to run the program as it is."""
        return whole_program(target)

    def verdict(self, case: Case, outcome: Outcome) -> Verdict:
        """Read the exit status."""
        return judge(outcome, _read)


def whole_program(target: Target) -> Invocation:
    """Return how to run a program, or a script through its interpreter."""
    if target.python and target.program.endswith(".py"):
        environment = (("PYTHONDONTWRITEBYTECODE", "1"),)
        return Invocation(target.python, (target.program, *target.arguments), environment)
    return Invocation(target.program, target.arguments)


def _read(status: int, streams: Streams) -> Verdict:
    if status == 0:
        return Verdict(Status.PASSED, "", *streams)
    if status == SKIPPED_STATUS:
        # Where there is no other way to say why, programs print it last.
        lines = (streams.stderr.strip() or streams.stdout.strip()).splitlines()
        reason = one_line(lines[-1]) if lines else f"exited with status {SKIPPED_STATUS}"
        return Verdict(Status.SKIPPED, reason, *streams)
    return Verdict(Status.FAILED, exit_reason(status, streams.stderr), *streams)
