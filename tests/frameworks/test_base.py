"""What all frameworks share: verdicts on programs that did not end well by themselves."""

import pytest

from maelstrom.errors import SpecError
from maelstrom.frameworks import FRAMEWORKS, framework
from maelstrom.frameworks.base import (
    ListingError,
    Target,
    crash_reason,
    disabled,
    exit_reason,
    one_line,
)
from maelstrom.model.case import Case, Status
from maelstrom.model.outcome import (
    Cancelled,
    Effects,
    ExecutionError,
    Exited,
    InfrastructureFault,
    Outcome,
    Output,
)
from tests.support.outcomes import exited, limit_exceeded, signaled, timed_out

ENDS: dict[str, tuple[Outcome, Status, str]] = {
    "a signal": (signaled(11), Status.CRASHED, "crashed with SIGSEGV: segmentation fault"),
    "a signal without a name": (signaled(77), Status.CRASHED, "crashed with signal 77"),
    "time": (timed_out(after_s=5.0), Status.TIMED_OUT, "timed out after 5.0 s"),
    "memory": (limit_exceeded("memory"), Status.FAILED, "stopped: it exceeded its limit of memory"),
    "no program": (
        ExecutionError("no such file: `/project/t`", "build it first"),
        Status.EXECUTION_ERROR,
        "no such file: `/project/t`",
    ),
    "our fault": (
        InfrastructureFault("the worker is gone"),
        Status.INFRASTRUCTURE_ERROR,
        "the worker is gone",
    ),
    "the client": (Cancelled(), Status.CANCELLED, "cancelled"),
}


@pytest.mark.parametrize("name", FRAMEWORKS)
@pytest.mark.parametrize("end", ENDS)
def test_every_framework_has_a_verdict_on_every_end(name: str, end: str) -> None:
    outcome, status, reason = ENDS[end]
    verdict = framework(name).verdict(Case("x"), outcome)
    assert (verdict.status, verdict.reason) == (status, reason)


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name not in ("plain", "tap")])
def test_status_0_without_a_word_is_no_pass(name: str) -> None:
    assert framework(name).verdict(Case("x"), exited(0)).status is Status.FAILED


@pytest.mark.parametrize("name", FRAMEWORKS)
@pytest.mark.parametrize("status", [1, 2, 3, 4, 5, 42, 126, 127, 139, 200, 255])
def test_a_bad_status_is_never_green(name: str, status: int) -> None:
    verdict = framework(name).verdict(Case("x"), exited(status, "ok 1\n1..1\n", "fine\n"))
    assert verdict.status is Status.FAILED
    assert verdict.reason


def test_a_hint_is_shown_below_the_output() -> None:
    verdict = framework("plain").verdict(Case("x"), ExecutionError("no", "build it first"))
    assert verdict.stderr == "hint: build it first\n"


CRASHES = {
    "C's assert": (
        6,
        "t: a.c:12: main: Assertion `x == 1' failed.\n",
        "crashed with SIGABRT: a.c:12: Assertion `x == 1' failed",
    ),
    "an exception": (
        6,
        "terminate called after throwing an instance of 'std::runtime_error'\n  what():  bad\n",
        "crashed with SIGABRT: 'std::runtime_error': bad",
    ),
    "the heap": (6, "free(): invalid pointer\n", "crashed with SIGABRT: free(): invalid pointer"),
    "the stack": (
        6,
        "*** stack smashing detected ***: terminated\n",
        "crashed with SIGABRT: *** stack smashing detected ***",
    ),
    "Python": (
        11,
        "Fatal Python error: Segmentation fault\n\nCurrent thread\n",
        "crashed with SIGSEGV: Fatal Python error: Segmentation fault",
    ),
    "the sandbox": (31, "", "crashed with SIGSYS: a system call that the sandbox forbids"),
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_is_told_with_what_the_program_said(name: str) -> None:
    number, stderr, reason = CRASHES[name]
    assert crash_reason(number, stderr) == reason


EXITS = {
    "a missing library": (
        127,
        "./t: error while loading shared libraries: liba.so.1: cannot open shared object file\n",
        "error while loading shared libraries: liba.so.1: cannot open shared object file",
    ),
    "a sanitizer": (
        1,
        "=====\n==12==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\n",
        "AddressSanitizer: heap-use-after-free on address 0x1",
    ),
    "undefined behaviour": (
        1,
        "a.c:3:5: runtime error: signed integer overflow\n",
        "a.c:3:5: runtime error: signed integer overflow",
    ),
    "a traceback": (
        1,
        'Traceback (most recent call last):\n  File "x.py", line 1\n    f()\nValueError: bad\n',
        "ValueError: bad",
    ),
    "a shell's child": (139, "", "exited with status 139 (a child of it was ended by SIGSEGV)"),
    "nothing known": (3, "words\n", "exited with status 3"),
}


@pytest.mark.parametrize("name", EXITS)
def test_an_exit_is_told_with_what_the_program_said(name: str) -> None:
    status, stderr, reason = EXITS[name]
    assert exit_reason(status, stderr) == reason


def test_a_reason_is_one_line_of_bounded_length() -> None:
    assert one_line(" a\n\tb \x1b[1m\x07") == "a b \\x1b[1m\\x07"
    assert len(one_line("x" * 5000)) == 300


def test_a_disabled_case_needs_no_job() -> None:
    assert disabled(Case("x", is_disabled=True)).reason == "disabled in the source"
    assert disabled(Case("x", is_disabled=True, reason="flaky")).reason == "flaky"


LISTERS = [name for name in FRAMEWORKS if framework(name).listing(Target("t", (), "py"))]
BAD_LISTINGS = {
    "a crash": (signaled(11), "listing the cases crashed with SIGSEGV"),
    "no end": (timed_out(after_s=9.0), "timed out after 9.0 s"),
    "memory": (limit_exceeded("memory"), "exceeded the limit of memory"),
    "a bad status": (exited(3, "", "oh\nno\n"), "exited with status 3: no"),
    "a cut list": (
        Exited(0, Effects(stdout=Output(b"A.\n  B\n", b"  C\n", 10))),
        "too long: 10 bytes of it were dropped",
    ),
}


@pytest.mark.parametrize("name", LISTERS)
@pytest.mark.parametrize("bad", BAD_LISTINGS)
def test_a_listing_that_went_wrong_says_how(name: str, bad: str) -> None:
    outcome, reason = BAD_LISTINGS[bad]
    with pytest.raises(ListingError, match=reason):
        framework(name).cases(outcome)


def test_an_unknown_framework_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SpecError, match="unknown framework `gtst`") as caught:
        framework("gtst")
    assert "gtest, catch2, doctest, boost, pytest, unittest, tap, plain" in caught.value.hint
