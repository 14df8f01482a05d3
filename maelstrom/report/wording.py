"""The words of every report for people: one case, its failure, and the summary at the end.

The layout follows cargo and nextest: a status in a right-aligned column, then what it is about.
"""

from collections.abc import Callable

from maelstrom.model.case import CaseResult, Status
from maelstrom.report import text
from maelstrom.report.events import TargetFailed
from maelstrom.report.summary import Summary

WIDTH = 12
"""Of the column with the status."""
INDENT = " " * 4
LISTED_FAILURES_MAX = 200
COMMANDS_MAX = 5

_WORDS = {
    Status.PASSED: "PASS",
    Status.FAILED: "FAIL",
    Status.TIMED_OUT: "TIMEOUT",
    Status.CRASHED: "CRASH",
    Status.SKIPPED: "SKIP",
    Status.DISABLED: "DISABLED",
    Status.EXECUTION_ERROR: "ERROR",
    Status.INFRASTRUCTURE_ERROR: "INFRA ERROR",
    Status.CANCELLED: "CANCELLED",
}
_COUNTED = {
    Status.EXECUTION_ERROR: ("execution error", "execution errors"),
    Status.INFRASTRUCTURE_ERROR: ("infrastructure error", "infrastructure errors"),
}
_SGR = {
    Status.PASSED: "1;32",
    Status.FAILED: "1;31",
    Status.TIMED_OUT: "1;31",
    Status.CRASHED: "1;31",
    Status.SKIPPED: "1;33",
    Status.DISABLED: "33",
    Status.EXECUTION_ERROR: "1;31",
    Status.INFRASTRUCTURE_ERROR: "1;35",
    Status.CANCELLED: "1;33",
}
_NOT_RUN = (Status.EXECUTION_ERROR, Status.INFRASTRUCTURE_ERROR)
BOLD, DIM, RED = "1", "2", "31"


class Wording:
    """Writes lines, with colours if its terminal has them."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def case(self, result: CaseResult) -> list[str]:
        """Return the line of a case, followed by its output if it is not good.

        A cancelled case has none: it did not happen.
        """
        verdict = result.verdict
        if verdict.status is Status.CANCELLED:
            return []
        head = [
            self._status(verdict.status, _WORDS[verdict.status]),
            self._paint(_time(result), DIM),
            self._place(result),
        ]
        line = " ".join(head)
        if verdict.status.is_good:
            reason = text.name(verdict.reason)
            return [f"{line}  {self._paint(f'({reason})', DIM)}" if reason else line]
        lines = [line]
        if verdict.reason:
            lines.append(INDENT + self._paint(text.name(verdict.reason), RED))
        for stream, content in (("stdout", verdict.stdout), ("stderr", verdict.stderr)):
            shown = text.output(content)
            if shown:
                # What could not be run has printed nothing: this is our hint.
                if verdict.status not in _NOT_RUN:
                    lines.append(INDENT + self._paint(f"--- {stream} ---", DIM))
                lines += [(INDENT + row).rstrip() for row in shown]
        lines += _hint(result.hint)
        return [*lines, ""] if len(lines) > 1 else lines

    def broken(self, target: TargetFailed) -> list[str]:
        """Return the lines of a target that could not be tested."""
        status = Status.INFRASTRUCTURE_ERROR if target.is_ours else Status.EXECUTION_ERROR
        shown = text.output(target.message) or ["it could not be tested"]
        head = (
            f"{self._status(status, _WORDS[status])} {self._paint(text.name(target.target), BOLD)}"
        )
        return [f"{head}: {shown[0]}", *(INDENT + row for row in shown[1:]), *_hint(target.hint)]

    def note(self, content: str) -> list[str]:
        """Return the lines of a note."""
        return [f"maelstrom: {row}" for row in text.output(content)]

    def summary(self, summary: Summary) -> list[str]:
        """Return the account of a finished run."""
        lines = [self._paint("-" * 60, DIM)]
        cases = _number(summary.done, "case", "cases")
        targets = _number(len(summary.targets), "target", "targets")
        told = f"{cases} of {targets} in {duration(summary.elapsed_s)}"
        if summary.where:
            told += f", {text.name(summary.where)}"
        if summary.up_to_date:
            told += f"; {_number(summary.up_to_date, 'target', 'targets')} up to date"
        if summary.unreached:
            told += f"; {_number(summary.unreached, 'target', 'targets')} not reached"
        if summary.interrupted:
            left = summary.total - summary.done
            told += f"; interrupted, {left} not run" if left else "; interrupted"
        lines.append(self._row("Summary", BOLD, told))
        lines.append(" " * (WIDTH + 1) + self.counts(summary))
        for i, slow in enumerate(summary.slowest):
            row = f"{duration(slow.duration_s):>8}  {place(slow.target, slow.case)}"
            lines.append(self._row("" if i else "Slowest", BOLD, row))
        return lines + self._failures(summary)

    def counts(self, summary: Summary) -> str:
        """Return how many cases had which verdict, the kinds told apart."""
        parts = []
        for status, count in summary.counts.items():
            if count:
                one, many = _COUNTED.get(status, (status.value, status.value))
                part = self._paint(_number(count, one, many), _SGR[status])
                if status is Status.PASSED and summary.cached:
                    part += f" ({summary.cached} from the record)"
                parts.append(part)
        if summary.broken:
            part = _number(len(summary.broken), "target", "targets") + " could not be tested"
            parts.append(self._paint(part, "1;31"))
        return ", ".join(parts) or "no cases"

    def _failures(self, summary: Summary) -> list[str]:
        if not summary.failed:
            return []
        lines = [self._row("Failures", "1;31", "")]
        for target in summary.broken:
            lines += self.broken(target)[:1]
        # Whoever interrupts a run knows that its cases were cancelled: the count is enough.
        failures = [r for r in summary.failures if r.verdict.status is not Status.CANCELLED]
        for result in failures[:LISTED_FAILURES_MAX]:
            status = result.verdict.status
            line = f"{self._status(status, _WORDS[status])} {self._place(result)}"
            reason = text.name(result.verdict.reason)
            lines.append(f"{line}: {reason}" if reason else line)
        if (left := len(failures) - LISTED_FAILURES_MAX) > 0:
            lines.append(self._row("", BOLD, f"... and {left} more"))
        return lines + self._again(summary) if len(lines) > 1 else []

    def _again(self, summary: Summary) -> list[str]:
        failed = (r.target for r in summary.failures if r.verdict.status is not Status.CANCELLED)
        targets = dict.fromkeys([*(target.target for target in summary.broken), *failed])
        commands = dict.fromkeys(summary.again[t] for t in targets if t in summary.again)
        lines = [
            self._row("" if i else "Run again", BOLD, text.name(command))
            for i, command in enumerate(list(commands)[:COMMANDS_MAX])
        ]
        if len(commands) > COMMANDS_MAX:
            lines.append(self._row("", BOLD, "or all as before: what has passed is not run again"))
        return lines

    def _place(self, result: CaseResult) -> str:
        return place(result.target, result.case, paint=lambda name: self._paint(name, BOLD))

    def _row(self, title: str, sgr: str, told: str) -> str:
        return f"{self._paint(title.rjust(WIDTH), sgr) if title else ' ' * WIDTH} {told}".rstrip()

    def _status(self, status: Status, word: str) -> str:
        return self._paint(word.rjust(WIDTH), _SGR[status])

    def _paint(self, told: str, sgr: str) -> str:
        return f"\x1b[{sgr}m{told}\x1b[0m" if self._colour and told else told


def duration(seconds: float) -> str:
    """Return a span of time for a person: `0.012 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.3f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def _hint(hint: str) -> list[str]:
    rows = text.output(hint) if hint else []
    return [INDENT + ("      " if i else "hint: ") + row for i, row in enumerate(rows)]


def _time(result: CaseResult) -> str:
    if result.is_cached:
        return "[  record]"
    if result.verdict.status is Status.DISABLED:
        return "[        ]"
    return f"[{result.duration_s:7.3f}s]"


def place(target: str, case: str, paint: Callable[[str], str] = str) -> str:
    """Return target and case; a program that is one case has one name for both."""
    painted = paint(text.name(target))
    return painted if case == target else f"{painted}  {text.name(case)}"


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
