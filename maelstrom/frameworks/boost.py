"""Boost.Test: cases from `--list_content=DOT`, one case by `--run_test=suite/case`.

A case that depends on others brings them along; the verdict is that on the case itself, but it is
never green if the program failed.
"""

import re

from maelstrom.frameworks.base import (
    UNKNOWN,
    Invocation,
    ListingError,
    Streams,
    Target,
    ended_early,
    exit_reason,
    judge,
    listed_text,
    no_cases,
    not_found,
    one_line,
    without_lines,
)
from maelstrom.model.case import Case, Status, Verdict
from maelstrom.model.outcome import Outcome, Ran


class Boost:
    """Programs made with Boost.Test, 1.60 or newer."""

    name = "boost"

    def listing(self, target: Target) -> Invocation | None:
        """Return how to list the tree of suites and cases."""
        return Invocation(target.program, (*target.arguments, "--list_content=DOT"))

    def cases(self, outcome: Ran) -> list[Case]:
        """Read the graph, which Boost.Test writes to stderr."""
        raw = listed_text(outcome)
        found = _GRAPH.search(raw.stderr) or _GRAPH.search(raw.stdout)
        if not found:
            raise ListingError(
                "the program does not list its cases as Boost.Test does",
                hint="Boost 1.60 or newer is needed",
            )
        cases = _leaves(found[1])
        if not cases:
            raise no_cases("Boost.Test")
        return cases

    def invocation(self, target: Target, case: Case) -> Invocation:
        """Return how to run one case."""
        # A wildcard can only stand at the end.
        known, is_cut, _ = case.name.partition(UNKNOWN)
        flags = (
            f"--run_test={known}{'*' if is_cut else ''}",
            "--report_level=detailed",
            "--report_format=HRF",
            "--color_output=no",
        )
        return Invocation(target.program, (*target.arguments, *flags))

    def verdict(self, case: Case, outcome: Outcome) -> Verdict:
        """Read the outcome of one case."""
        return judge(outcome, lambda status, raw: _read(case, status, raw), clean=_clean)


def _leaves(graph: str) -> list[Case]:
    """Return the cases: what has no braces behind it."""
    path: list[str] = []
    cases: dict[str, Case] = {}
    name, is_root = "", True
    for line in graph.splitlines():
        if found := _NODE.match(line):
            # The first is the module itself, which is no part of a path.
            name = "" if is_root else found["name"]
            is_root = False
            full = "/".join([*filter(None, path), name])
            cases[full] = Case(
                full,
                is_disabled=found["color"] != "green",
                markers=tuple(re.findall(r" @([^ |\"]+)", found["rest"] or "")),
                file=found["file"] or "",
                line=int(found["line"] or 0),
            )
        elif line == "{":
            cases.pop("/".join([*filter(None, path), name]), None)
            path.append(name)
        elif line == "}" and path:
            path.pop()
    return list(cases.values())


def _read(case: Case, status: int, raw: Streams) -> Verdict:
    shown = _clean(raw)
    output = raw.stdout + raw.stderr
    if "Test setup error: no test cases matching" in output:
        return not_found(case, "Boost.Test", shown)
    if crash := _CRASH.search(output):
        signal = crash["signal"] or "SIGSEGV"
        told = crash["told"] or crash["access"]
        return Verdict(Status.CRASHED, one_line(f"crashed with {signal}: {told}"), *shown)
    told = re.findall(rf'^ *Test case "{re.escape(case.name)}" (\w+ \w+)', output, re.MULTILINE)
    if status != 0 or any(what in ("has failed", "was aborted") for what in told):
        return Verdict(Status.FAILED, _failure(status, raw), *shown)
    if "has passed" in told:
        return Verdict(Status.PASSED, "", *shown)
    if "was skipped" in told:
        reason = "its precondition does not hold, or a case it depends on did not pass"
        return Verdict(Status.SKIPPED, reason, *shown)
    if re.search(r'^Test module "', output, re.MULTILINE):
        return not_found(case, "Boost.Test", shown)
    return ended_early(shown)


def _failure(status: int, raw: Streams) -> str:
    found = _FAILURE.search(raw.stdout) or _FAILURE.search(raw.stderr)
    if not found:
        return exit_reason(status, raw.stderr)
    place = found[1] if found[2] == "0" else f"{found[1]}:{found[2]}"
    return one_line(f"{place}: {found[3]}")


def _clean(raw: Streams) -> Streams:
    return Streams(*(without_lines(_REPORT.sub("", text), _NOISE) for text in raw))


_GRAPH = re.compile(r"^digraph G \{(.*)^\}$", re.MULTILINE | re.DOTALL)
_NODE = re.compile(
    r'tu\d+\[.*?color=(?P<color>\w+),label="(?P<name>.*?)'
    r'(?:\|(?P<file>[^|]*)\((?P<line>\d+)\))?(?P<rest>\|.*)?"\];'
)

_FAILURE = re.compile(r'^(.*)\((\d+)\): (?:fatal )?error: (?:in "(?:.*?)": )?(.*)$', re.MULTILINE)
_CRASH = re.compile(
    r'fatal error: in ".*": (?:signal: (?P<signal>SIG\w+)[ (,]*(?P<told>.*?)\)?'
    r"|(?P<access>memory access violation.*))$",
    re.MULTILINE,
)
_REPORT = re.compile(r'^\n?Test module ".*" (?:has|was) .*\n(?:(?: .*)?\n)*', re.MULTILINE)
_NOISE = re.compile(r"Running \d+ test cases?\.\.\.$|\*\*\* No errors detected$")
