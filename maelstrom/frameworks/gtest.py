"""GoogleTest: cases from `--gtest_list_tests`, one case by `--gtest_filter`.

The verdict needs the default result printer: a program that replaced it tells nothing of what it
ran, and is then not believed.
"""

import re

from maelstrom.frameworks.base import (
    UNKNOWN,
    Invocation,
    Streams,
    Target,
    ended_early,
    exit_reason,
    judge,
    listed_text,
    no_cases,
    not_found,
    one_line,
)
from maelstrom.model.case import Case, Status, Verdict
from maelstrom.model.outcome import Outcome, Ran


class GoogleTest:
    """Programs made with GoogleTest or GoogleMock."""

    name = "gtest"

    def listing(self, target: Target) -> Invocation | None:
        """Return how to list the cases."""
        return Invocation(target.program, (*target.arguments, "--gtest_list_tests"))

    def cases(self, outcome: Ran) -> list[Case]:
        """Read suites (flush left, with a dot behind) and their cases (indented by two)."""
        suite = ""
        cases: dict[str, Case] = {}
        for line in listed_text(outcome).stdout.splitlines():
            if found := _SUITE.match(line):
                suite = found[1]
            elif (found := _CASE.match(line)) and suite:
                name = f"{suite}.{found[1]}"
                cases[name] = Case(name, is_disabled=_is_disabled(suite) or _is_disabled(found[1]))
        if not cases:
            raise no_cases("GoogleTest")
        return list(cases.values())

    def invocation(self, target: Target, case: Case) -> Invocation:
        """Return how to run one case; a disabled one is run too if it is asked for."""
        # These have a meaning in a filter and cannot be escaped; `?` is any one character.
        pattern = re.sub(f"[-:*{UNKNOWN}]", "?", case.name)
        flags = [f"--gtest_filter={pattern}", "--gtest_color=no"]
        if case.is_disabled:
            flags.append("--gtest_also_run_disabled_tests")
        return Invocation(target.program, (*target.arguments, *flags))

    def verdict(self, case: Case, outcome: Outcome) -> Verdict:
        """Read the outcome of one case."""
        return judge(outcome, lambda status, raw: _read(case, status, raw), clean=_clean)


def _read(case: Case, status: int, raw: Streams) -> Verdict:
    shown = _clean(raw)
    told = set(_told(case, raw.stdout))
    if status != 0 or "FAILED" in told:
        reason = _failure(raw.stdout) or exit_reason(status, raw.stderr)
        return Verdict(Status.FAILED, reason, *shown)
    if "SKIPPED" in told:
        return Verdict(Status.SKIPPED, _skip_reason(raw.stdout), *shown)
    if "OK" in told:
        return Verdict(Status.PASSED, "", *shown)
    if "[==========] Running 0 tests" in raw.stdout:
        return not_found(case, "GoogleTest", shown)
    return ended_early(shown)


def _told(case: Case, stdout: str) -> list[str]:
    # The name ends the line or is followed by its parameter or its time. One pattern for all
    # cases: to compile one for each would cost more than all the rest.
    name = case.name
    return [
        verdict
        for verdict, rest in _TOLD.findall(stdout)
        if rest.startswith(name) and (rest == name or rest.startswith((",", " ("), len(name)))
    ]


def _failure(stdout: str) -> str:
    found = _FAILURE.search(stdout)
    if not found:
        return ""
    return one_line(f"{found[1]}: {found[2]}")


def _skip_reason(stdout: str) -> str:
    found = _SKIPPED.search(stdout)
    if not found:
        return "skipped"
    return one_line(found[2]) or f"skipped at {found[1]}"


def _clean(raw: Streams) -> Streams:
    kept = []
    for line in raw.stdout.splitlines():
        rest = _NOISE.sub("", line)
        # What a case printed without a newline stands in front of a line of the framework's.
        if rest == line or rest.strip():
            kept.append(rest)
    text = "\n".join(kept).strip("\n")
    return Streams(text + "\n" if text.strip() else "", raw.stderr)


def _is_disabled(name: str) -> bool:
    return name.startswith("DISABLED_") or "/DISABLED_" in name


_TOLD = re.compile(r"\[ +(OK|FAILED|SKIPPED) +\] (?=(.*)$)", re.MULTILINE)
_SUITE = re.compile(r"(?! )(.+?)\.(?:  # .*)?$")
_CASE = re.compile(r"  (\S.*?)(?:  # .*)?$")

# What stands between the head of a message and the next line that starts something else.
_MESSAGE = r"\n((?:(?!\[ |\[-|.*: (?:Failure|Skipped)$|Google Test trace:).*\n?)*)"
_FAILURE = re.compile(r"^(.*:\d+|unknown file): Failure" + _MESSAGE, re.MULTILINE)
_SKIPPED = re.compile(r"^(.*:\d+|unknown file): Skipped" + _MESSAGE, re.MULTILINE)

_NOISE = re.compile(
    r"\[(?:=+|-+| +RUN +| +OK +| +PASSED +| +FAILED +| +SKIPPED +| +DISABLED +)\].*$"
    r"|^Note: (?:Google Test filter = |Randomizing tests).*$"
    r"|^Running main\(\) from .*$"
    r"|^ *\d+ FAILED TESTS?$|^ *\d+ FAILED TEST SUITES?$"
    r"|^ *YOU HAVE \d+ DISABLED TESTS?$"
)
