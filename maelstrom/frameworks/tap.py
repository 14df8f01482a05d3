"""TAP: the program is one case; its test points must all be there and good.

The points cannot be run one by one, so they are no cases of their own; the verdict names those
that failed. Indented lines (subtests, diagnostics) are for people: the point above sums them up.
"""

import re
from typing import NamedTuple

from maelstrom.frameworks.base import (
    Invocation,
    ListingError,
    Streams,
    Target,
    exit_reason,
    judge,
    one_line,
    without_lines,
)
from maelstrom.frameworks.plain import whole_program
from maelstrom.model.case import Case, Status, Verdict
from maelstrom.model.outcome import Outcome, Ran

NAMED_MAX = 5
"""So many failed points are named; the others are counted."""


class Tap:
    """Programs that speak the Test Anything Protocol, version 12 to 14."""

    name = "tap"

    def listing(self, target: Target) -> Invocation | None:
        """Return None: the program is its only case."""

    def cases(self, outcome: Ran) -> list[Case]:
        """Refuse: there is nothing to list."""
        raise ListingError("a TAP program has no cases to list")

    def invocation(self, target: Target, case: Case) -> Invocation:
        """Return how to run the program."""
        return whole_program(target)

    def verdict(self, case: Case, outcome: Outcome) -> Verdict:
        """Read the plan and the points."""
        return judge(outcome, _read)


class Point(NamedTuple):
    """One test point."""

    number: int
    is_ok: bool
    title: str
    directive: str
    """`todo`, `skip` or nothing."""
    reason: str
    diagnostic: str
    """The first line of it."""


def _read(status: int, raw: Streams) -> Verdict:
    points = _points(raw.stdout)
    bad = [point for point in points if not point.is_ok and point.directive != "todo"]
    reason = _bail_out(raw.stdout) or _failed(bad) or _incomplete(raw.stdout, points)
    if status != 0 and not (bad or _BAIL_OUT.search(raw.stdout)):
        told = exit_reason(status, raw.stderr)
        reason = f"{told}; {reason}" if reason else told
    if reason:
        return Verdict(Status.FAILED, reason, without_lines(raw.stdout, _NOISE), raw.stderr)
    if not points:
        plan = _PLAN.search(raw.stdout)
        why = plan[2] if plan else None
        return Verdict(Status.SKIPPED, one_line(why or "the plan is empty"), *raw)
    if all(point.directive == "skip" for point in points):
        return Verdict(Status.SKIPPED, one_line(points[0].reason or "skipped"), *raw)
    return Verdict(Status.PASSED, "", *raw)


def _points(stdout: str) -> list[Point]:
    points: list[Point] = []
    for found in _POINT.finditer(stdout):
        number = int(found["number"] or len(points) + 1)
        title, directive, reason = _split(found["title"])
        below = [line.lstrip("# \t").rstrip() for line in found["below"].splitlines()]
        # The fences of a YAML block say nothing.
        diagnostic = next((line for line in below if line not in ("", "---", "...")), "")
        points.append(Point(number, not found["not"], title, directive, reason, diagnostic))
    return points


def _split(title: str) -> tuple[str, str, str]:
    """Cut a title into what it is, its directive and the reason for it."""
    if found := re.search(r"(?<!\\)#\s*(TODO|SKIP)\S*\s*(.*)$", title, re.IGNORECASE):
        return title[: found.start()].strip(), found[1].lower(), found[2].strip()
    return title.strip(), "", ""


def _bail_out(stdout: str) -> str:
    found = _BAIL_OUT.search(stdout)
    return one_line(f"bailed out: {found[1]}".rstrip(": ")) if found else ""


def _failed(bad: list[Point]) -> str:
    told = []
    for point in bad[:NAMED_MAX]:
        title = f"not ok {point.number}" + (f" - {point.title}" if point.title else "")
        told.append(title + (f" ({point.diagnostic})" if point.diagnostic else ""))
    if len(bad) > NAMED_MAX:
        told.append(f"and {len(bad) - NAMED_MAX} more")
    return one_line("; ".join(told))


def _incomplete(stdout: str, points: list[Point]) -> str:
    """Say how the points differ from the plan."""
    plans = _PLAN.findall(stdout)
    if not plans:
        return "it printed no plan: neither `1..N` nor why it was skipped"
    if len(plans) > 1:
        return f"it printed {len(plans)} plans"
    planned = int(plans[0][0])
    if planned != len(points):
        return f"planned {planned} points but told of {len(points)}"
    if [point.number for point in points] != list(range(1, planned + 1)):
        return f"the points are not numbered from 1 to {planned} in their order"
    return ""


_POINT = re.compile(
    r"^(?P<not>not )?ok\b(?: +(?P<number>\d+))?(?: +-(?= |$))?(?P<title>.*)\n?"
    r"(?P<below>(?:(?:#| +\S).*\n?)*)",
    re.MULTILINE,
)
_PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*(?:SKIP\S*)?\s*(.*))?$", re.MULTILINE | re.IGNORECASE)
_BAIL_OUT = re.compile(r"^Bail out!\s*(.*)$", re.MULTILINE | re.IGNORECASE)
_NOISE = re.compile(r"ok\b(?!.*#\s*(?:TODO|SKIP))|1\.\.\d+\s*$|TAP version \d+\s*$|pragma ")
