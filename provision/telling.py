"""Say what is planned, what is done and what went wrong: lines of text. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from maelstrom.errors import MaelstromError
from provision.actions import (
    InstallRelease,
    MakeDirectory,
    MakeUser,
    RemovePath,
    RemoveUnit,
    RemoveUser,
    WriteFile,
)
from provision.checks import Problem
from provision.plan import Change, HostPlan

_MARKS = {
    MakeUser: "+",
    MakeDirectory: "+",
    InstallRelease: "+",
    RemovePath: "-",
    RemoveUser: "-",
    RemoveUnit: "-",
}
DIFF_LINES_MAX = 60
# What is new and longer than this is no surprise, but a unit of ours.
NEW_LINES_MAX = 12
_NEW = "it is not there"


def plan_lines(plans: Mapping[str, HostPlan], *, with_diffs: bool) -> Iterator[str]:
    """Tell the changes of each host."""
    for name, plan in plans.items():
        if plan.changes:
            yield f"{name}:"
        for change in plan.changes:
            yield from _change_lines(change, with_diff=with_diffs)
    count = sum(len(plan.changes) for plan in plans.values())
    unchanged = [name for name, plan in plans.items() if not plan.changes]
    if not count:
        yield f"nothing to change on {_hosts(len(plans))}"
    else:
        rest = f"; nothing to change on {', '.join(unchanged)}" if unchanged else ""
        yield f"{_changes(count)} on {_hosts(len(plans) - len(unchanged))}{rest}"


def _change_lines(change: Change, *, with_diff: bool) -> Iterator[str]:
    mark = _MARKS.get(type(change.action), "~")
    is_new = isinstance(change.action, WriteFile) and change.reason == _NEW
    yield f"  {'+' if is_new else mark} {change.action.title}  ({change.reason})"
    if with_diff and change.diff:
        yield from (f"      {line}" for line in _shortened(change.diff.splitlines(), is_new=is_new))


def _shortened(lines: list[str], *, is_new: bool) -> list[str]:
    if is_new:
        lines = [line for line in lines if not line.startswith("@@")]
        return lines if len(lines) <= NEW_LINES_MAX else [f"{len(lines)} lines"]
    rest = len(lines) - DIFF_LINES_MAX
    return lines if rest <= 1 else [*lines[:DIFF_LINES_MAX], f"... and {rest} lines more"]


def failure_lines(failures: Mapping[str, MaelstromError]) -> Iterator[str]:
    """Tell what is wrong with each host that is left out."""
    for name, error in failures.items():
        yield f"{name}: {error.message}"
        if error.hint:
            yield f"  hint: {error.hint}"


def problem_lines(found: Mapping[str, Iterable[Problem]]) -> Iterator[str]:
    """Tell what has to be mended on each host."""
    for name, problems in found.items():
        for problem in problems:
            yield f"{name}: {problem.message}"
            yield f"  hint: {problem.hint}"


def _hosts(count: int) -> str:
    return f"{count} host{'s' * (count != 1)}"


def _changes(count: int) -> str:
    return f"{count} change{'s' * (count != 1)}"
