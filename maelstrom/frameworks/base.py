"""What a test framework is to us: how to list its cases, run one and read the verdict.

Rules of this part:
1. A framework is pure: a target becomes an invocation, an outcome becomes cases or a verdict.
2. The exit status rules. A job that did not exit with 0 is never green, whatever it printed; the
   one exception is the status that means "skipped" by convention (77 of a plain program).
3. Exit status 0 alone is not a pass where the framework tells what it ran: the case must be told
   as run and passed. A program that calls exit(0) in the middle is a failure.
4. A case that the framework does not find is an execution error, never a pass.
5. Names are valid Unicode: bytes of a listing that are no UTF-8 become U+FFFD, which the
   invocations turn into a wildcard.
"""

import re
import signal
from collections.abc import Callable
from typing import NamedTuple, Protocol, assert_never

import msgspec

from maelstrom.errors import UserError
from maelstrom.model.case import Case, Status, Verdict
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import (
    Cancelled,
    ExecutionError,
    Exited,
    InfrastructureFault,
    LimitExceeded,
    Outcome,
    Ran,
    Signaled,
    TimedOut,
)

REASON_LENGTH_MAX = 300
UNKNOWN = "\ufffd"
"""Stands in a name for what was no UTF-8."""


class ListingError(UserError):
    """A target whose cases could not be listed; the message says why."""


class Invocation(msgspec.Struct, frozen=True):
    """A program to run; `environment` is added to that of the target's spec."""

    program: str
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    template_arguments: int = 0
    """How many of the arguments start a template, of which the process may be a fork."""


class Target(msgspec.Struct, frozen=True):
    """A test program, or a Python file or directory with the interpreter that runs it.

    Paths are those in the container.
    """

    program: str
    arguments: tuple[str, ...] = ()
    python: str = ""
    case: str = ""
    """What its one case is called where nothing lists cases; empty for the target's own name."""


class Framework(Protocol):
    """One way in which programs tell their cases and verdicts."""

    @property
    def name(self) -> str:
        """What `framework=` calls it."""

    def listing(self, target: Target) -> Invocation | None:
        """Return how to list the cases; None if the target is exactly one case."""

    def cases(self, outcome: Ran) -> list[Case]:
        """Read the outcome of a listing; raises ListingError."""

    def invocation(self, target: Target, case: Case) -> Invocation:
        """Return how to run exactly this case."""

    def verdict(self, case: Case, outcome: Outcome) -> Verdict:
        """Read the outcome of a case's job, whatever it is."""


class Streams(NamedTuple):
    """The output of a job as text."""

    stdout: str
    stderr: str


def judge(
    outcome: Outcome,
    read: Callable[[int, Streams], Verdict],
    *,
    clean: Callable[[Streams], Streams] = lambda streams: streams,
) -> Verdict:
    """Return the verdict on any outcome; `read` is asked about programs that ended by themselves.

    `read` gets the exit status and the raw output; what it returns is shown as it is. `clean`
    removes the framework's noise from the output of programs that did not get that far.
    """
    match outcome:
        case Exited(status, effects):
            return read(status, Streams(effects.stdout.text(), effects.stderr.text()))
        case Signaled(number, effects):
            raw = Streams(effects.stdout.text(), effects.stderr.text())
            return Verdict(Status.CRASHED, crash_reason(number, raw.stderr), *clean(raw))
        case TimedOut(effects):
            shown = clean(Streams(effects.stdout.text(), effects.stderr.text()))
            return Verdict(Status.TIMED_OUT, f"timed out after {effects.duration_s:.1f} s", *shown)
        case LimitExceeded(limit, effects):
            shown = clean(Streams(effects.stdout.text(), effects.stderr.text()))
            return Verdict(Status.FAILED, f"stopped: it exceeded its limit of {limit}", *shown)
        case ExecutionError(message, hint):
            return Verdict(Status.EXECUTION_ERROR, message, "", _hint(hint))
        case InfrastructureFault(message, hint):
            return Verdict(Status.INFRASTRUCTURE_ERROR, message, "", _hint(hint))
        case Cancelled():
            return Verdict(Status.CANCELLED, "cancelled")
        case _:
            assert_never(outcome)


def disabled(case: Case) -> Verdict:
    """Return the verdict on a case that the framework lists as disabled; it needs no job."""
    return Verdict(Status.DISABLED, case.reason or "disabled in the source")


def not_found(case: Case, framework: str, shown: Streams) -> Verdict:
    """Return the verdict on a case that its program lists but does not find again."""
    reason = f"{framework} finds no case of the name `{one_line(case.name)}`"
    return Verdict(Status.EXECUTION_ERROR, reason, *shown)


def ended_early(shown: Streams) -> Verdict:
    """Return the verdict on a program that exited with 0 before its case was over."""
    return Verdict(Status.FAILED, "exited with status 0 before the case was over", *shown)


def exit_reason(status: int, stderr: str) -> str:
    """Say why a program exited with a status that means failure."""
    told = told_reason(stderr)
    if told:
        return told
    if status == 127:
        return "exited with status 127 (a program or library was not found)"
    if status == 126:
        return "exited with status 126 (a program could not be executed)"
    if status > 128 and (name := _signal_name(status - 128)):
        return f"exited with status {status} (a child of it was ended by {name})"
    return f"exited with status {status}"


def crash_reason(number: int, stderr: str) -> str:
    """Name the signal that ended a program, and what the program said of it."""
    name = _signal_name(number) or f"signal {number}"
    told = told_reason(stderr) or _SIGNAL_HINTS.get(name, "")
    return f"crashed with {name}: {told}" if told else f"crashed with {name}"


def told_reason(stderr: str) -> str:
    """Return what a C library, sanitizer or interpreter said of a failure, in one line."""
    for pattern in _TOLD:
        if found := pattern.search(stderr):
            return one_line(": ".join(part.strip() for part in found.groups() if part))
    return ""


def one_line(text: str, length_max: int = REASON_LENGTH_MAX) -> str:
    """Return text as one line of bounded length that can be printed."""
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
    return line if len(line) <= length_max else line[: length_max - 1] + "…"


def separator(framework: str, name: str) -> str:
    """Return the mark before a verdict line of our own; no test prints it by accident."""
    return "=maelstrom=" + Digest.of(f"{framework}\0{name}".encode(errors="replace")).hash[:32]


def listed_text(outcome: Ran) -> Streams:
    """Return the output of a listing that ended by itself with status 0; raises ListingError."""
    check_listing_ended(outcome)
    assert isinstance(outcome, Exited)
    streams = Streams(outcome.effects.stdout.text(), outcome.effects.stderr.text())
    if outcome.status != 0:
        raise failed_listing(outcome.status, streams)
    return streams


def check_listing_ended(outcome: Ran) -> None:
    """Raise ListingError for a listing that was ended from outside, or not kept whole."""
    effects = outcome.effects
    match outcome:
        case Signaled(number):
            reason = crash_reason(number, effects.stderr.text())
            raise ListingError(
                f"listing the cases {reason}", hint="the program crashes before it runs any test"
            )
        case TimedOut():
            raise ListingError(
                f"listing the cases timed out after {effects.duration_s:.1f} s",
                hint="does the program know the framework's option to list its tests?",
            )
        case LimitExceeded(limit):
            raise ListingError(f"listing the cases exceeded the limit of {limit}")
        case Exited():
            dropped = effects.stdout.dropped_bytes + effects.stderr.dropped_bytes
            if dropped:
                raise ListingError(
                    f"the list of cases is too long: {dropped} bytes of it were dropped",
                    hint="split the target, or raise its limit of output",
                )
        case _:
            assert_never(outcome)


def failed_listing(status: int, streams: Streams, *, hint: str = "") -> ListingError:
    """Return the error for a listing that ended with a status that means failure."""
    told = told_reason(streams.stderr)
    if not told:
        lines = (streams.stderr.strip() or streams.stdout.strip()).splitlines()
        told = one_line(lines[-1]) if lines else "it printed nothing"
    return ListingError(
        f"listing the cases exited with status {status}: {told}",
        hint=hint or "is it a program of this framework? name the right one with framework=",
    )


def no_cases(framework: str) -> ListingError:
    """Return the error for a target without any case."""
    return ListingError(
        f"{framework} lists no case in it",
        hint="name the right framework with framework=, or remove the target",
    )


def without_lines(text: str, noise: re.Pattern[str]) -> str:
    """Return text without the lines that match, and without blank lines at its ends."""
    kept = [line for line in text.splitlines() if not noise.match(line)]
    joined = "\n".join(kept).strip("\n")
    return joined + "\n" if joined.strip() else ""


def _hint(hint: str) -> str:
    return f"hint: {hint}\n" if hint else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


_SIGNAL_HINTS = {
    "SIGSEGV": "segmentation fault",
    "SIGBUS": "bus error; often a mapped file that was cut, or a full /dev/shm",
    "SIGABRT": "it called abort()",
    "SIGFPE": "arithmetic error; often a division by zero",
    "SIGILL": "illegal instruction; built for another CPU, or a trap of the compiler",
    "SIGTRAP": "a trap of the compiler or a breakpoint",
    "SIGKILL": "killed from outside; often for want of memory",
    "SIGTERM": "asked from outside to end",
    "SIGPIPE": "wrote to a closed pipe or socket",
    "SIGALRM": "its own alarm went off",
    "SIGXCPU": "used more CPU time than it may",
    "SIGXFSZ": "wrote a larger file than it may",
    "SIGSYS": "a system call that the sandbox forbids",
}

_TOLD = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"(error while loading shared libraries: .*)",
        r"==\d+==\s*ERROR: ((?:\w+Sanitizer): .*)",
        r"^WARNING: ((?:Thread|Memory)Sanitizer: .*)",
        r"^(?:.*?: )?([^:\s]+:\d+): .*?(Assertion `.*' failed)\.?$",
        r"terminate called after throwing an instance of ('.*')(?:\n\s*what\(\):(.*))?",
        r"^(\S+:\d+:\d+: runtime error: .*)",
        r"^(\*\*\* .* detected \*\*\*)",
        r"^((?:double free or corruption|free\(\): |malloc\(\): |corrupted ).*)",
        r"^(Fatal Python error: .*)",
        # pytest's, of a conftest.py or a plugin; and of programs that follow GNU's habits.
        r"^E   (\S.*)",
        r"^\S+: (error: .*)",
        # The last line of a traceback: the exception itself.
        r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)+(\S.*)",
    )
)
