"""Read what our own scripts in the container tell of Python cases.

A script prints one line: a separator that no test prints by accident, then JSON. The separator is
known on both sides because it is made from the name of the case.
"""

import functools
import importlib.resources
import json
import re

import msgspec

from maelstrom.frameworks.base import (
    Invocation,
    ListingError,
    Streams,
    Target,
    check_listing_ended,
    ended_early,
    exit_reason,
    failed_listing,
    judge,
    no_cases,
    not_found,
    one_line,
    separator,
)
from maelstrom.model.case import Case, Status, Verdict
from maelstrom.model.outcome import Exited, Outcome, Ran

_REFUSAL = re.compile(r"^ERROR: (?!usage:)(\S.*)", re.MULTILINE)
"""What pytest says of an option or a configuration that it does not take."""
_LISTING = ""
"""What stands for the name of a case in the separator of a listing."""


class _ToldListing(msgspec.Struct):
    cases: list[Case]
    error: str = ""
    hint: str = ""


class _ToldVerdict(msgspec.Struct):
    status: str
    reason: str = ""


class Scripted:
    """A framework whose cases a script of ours lists and runs inside the container."""

    def __init__(self, name: str) -> None:
        self.name = name

    def listing(self, target: Target) -> Invocation | None:
        """Return how to list the cases."""
        return self._call(target, "list", _LISTING)

    def cases(self, outcome: Ran) -> list[Case]:
        """Read the ids; a module that cannot be imported is a case of its own."""
        return listed_cases(self.name, outcome)

    def invocation(self, target: Target, case: Case) -> Invocation:
        """Return how to run one case."""
        return self._call(target, "run", case.name)

    def verdict(self, case: Case, outcome: Outcome) -> Verdict:
        """Read the outcome of one case."""
        return judge(
            outcome,
            lambda status, raw: read_verdict(self.name, case, status, raw),
            clean=lambda raw: Streams(without_verdict(self.name, case, raw.stdout), raw.stderr),
        )

    def _call(self, target: Target, mode: str, case: str) -> Invocation:
        # As ASCII, so that neither a leading dash nor an odd character is lost on the way.
        names = json.dumps([target.program, case])
        template = ("-c", script("start.py"), script(f"{self.name}_case.py"))
        arguments = (*template, mode, separator(self.name, case), names, *target.arguments)
        environment = (("PYTHONDONTWRITEBYTECODE", "1"),)
        return Invocation(target.python, arguments, environment, template_arguments=len(template))


@functools.cache
def script(name: str) -> str:
    """Return the text of a script, which `python -c` runs where our package is not installed."""
    path = importlib.resources.files("maelstrom.frameworks") / "scripts" / name
    return path.read_text(encoding="utf-8")


def listed_cases(framework: str, outcome: Ran) -> list[Case]:
    """Read a script's listing; raises ListingError."""
    check_listing_ended(outcome)
    assert isinstance(outcome, Exited)
    raw = Streams(outcome.effects.stdout.text(), outcome.effects.stderr.text())
    line = _told_line(framework, _LISTING, raw.stdout)
    try:
        told = msgspec.json.decode(line, type=_ToldListing) if line else None
    except msgspec.DecodeError:
        told = None
    if told is not None and told.error:
        raise ListingError(told.error, hint=told.hint)
    if outcome.status != 0 or told is None:
        raise _failed(framework, outcome.status, raw)
    if not told.cases:
        raise no_cases(framework)
    return told.cases


def _failed(framework: str, status: int, raw: Streams) -> ListingError:
    """Return the error for a listing in which the framework itself, or what it loads, failed."""
    if refusal := _REFUSAL.search(raw.stderr):
        raw = Streams("", refusal[1])
    hint = f"`python -m {framework}` in the project may tell more"
    return failed_listing(status, raw, hint=hint)


def read_verdict(framework: str, case: Case, status: int, raw: Streams) -> Verdict:
    """Read a script's verdict on one case."""
    shown = Streams(without_verdict(framework, case, raw.stdout), raw.stderr)
    line = _told_line(framework, case.name, raw.stdout)
    try:
        told = msgspec.json.decode(line, type=_ToldVerdict) if line else None
    except msgspec.DecodeError:
        told = None
    if told is None:
        if status == 0:
            return ended_early(shown)
        return Verdict(Status.FAILED, exit_reason(status, raw.stderr), *shown)
    reason = one_line(told.reason)
    match told.status:
        case "error":
            return Verdict(Status.EXECUTION_ERROR, reason, *shown)
        case "missing":
            return not_found(case, framework, shown)
        case "passed" | "skipped" if status != 0:
            reason = f"{exit_reason(status, raw.stderr)} after the case had {_PAST[told.status]}"
            return Verdict(Status.FAILED, reason, *shown)
        case "passed":
            return Verdict(Status.PASSED, reason, *shown)
        case "skipped":
            return Verdict(Status.SKIPPED, reason or "skipped", *shown)
        case _:
            return Verdict(Status.FAILED, reason or exit_reason(status, raw.stderr), *shown)


_PAST = {"passed": "passed", "skipped": "been skipped"}


def without_verdict(framework: str, case: Case, stdout: str) -> str:
    """Return what a case printed, without the line of the script."""
    before, found, after = stdout.rpartition("\n" + separator(framework, case.name) + " ")
    if not found:
        return stdout
    text = before + after.partition("\n")[2]
    return text if not text or text.endswith("\n") else text + "\n"


def _told_line(framework: str, name: str, stdout: str) -> str:
    # The last one counts: a script tells it when all is over.
    return (
        stdout.rpartition("\n" + separator(framework, name) + " ")[2].partition("\n")[0]
        if (separator(framework, name) in stdout)
        else ""
    )
