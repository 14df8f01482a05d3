"""doctest: cases from `--list-test-cases` in XML, one case by filters.

A case is known by its name, test suite and source file; cases that agree in all three run together
and share a verdict. All options are written with the prefix `dt-`, which every build understands.
"""

import html
import re
from collections import Counter

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

NAMELESS = "(no name)"


class Doctest:
    """Programs made with doctest."""

    name = "doctest"

    def listing(self, target: Target) -> Invocation | None:
        """Return how to list the cases, those that are to be skipped with the others."""
        flags = ("--dt-list-test-cases", "--dt-reporters=xml", "--dt-no-skip=true")
        return Invocation(target.program, (*target.arguments, *flags))

    def cases(self, outcome: Ran) -> list[Case]:
        """Read the XML; a name that stands there twice gets its place behind it."""
        listed = _XML.search(listed_text(outcome).stdout)
        if not listed:
            raise ListingError(
                "the program does not list its cases as doctest does",
                hint="does its main() pass the arguments on to doctest::Context?",
            )
        # An XML parser would turn line breaks in attributes into spaces.
        found = [
            {key: html.unescape(value) for key, value in _ATTRIBUTE.findall(element)}
            for element in _ELEMENT.findall(listed[0])
        ]
        times = Counter(one.get("name", "") for one in found)
        cases = [_case(one, is_alone=times[one.get("name", "")] == 1) for one in found]
        if not cases:
            raise no_cases("doctest")
        return list({case.name: case for case in cases}.values())

    def invocation(self, target: Target, case: Case) -> Invocation:
        """Return how to run one case; a skipped one is run too if it is asked for."""
        name = case.name.removesuffix(_place(case.file, case.line))
        # A pattern cannot be empty: exclude all that have a name.
        is_named = name != NAMELESS
        flags = [f"--dt-test-case={_pattern(name)}" if is_named else "--dt-test-case-exclude=?*"]
        flags += [
            f"--dt-test-suite={_pattern(case.markers[0])}"
            if case.markers
            else "--dt-test-suite-exclude=?*",
            f"--dt-source-file={_pattern(case.file)}",
            "--dt-case-sensitive=true",
        ]
        if case.is_disabled:
            flags.append("--dt-no-skip=true")
        return Invocation(target.program, (*target.arguments, *flags))

    def verdict(self, case: Case, outcome: Outcome) -> Verdict:
        """Read the outcome of one case."""
        return judge(outcome, lambda status, raw: _read(case, status, raw), clean=_clean)


def _case(attributes: dict[str, str], *, is_alone: bool) -> Case:
    # What is no UTF-8 is written as `\xFF`.
    name = re.sub(r"\\x[0-9A-F]{2}", UNKNOWN, attributes.get("name", NAMELESS))
    file, line = attributes.get("filename", ""), int(attributes.get("line", 0))
    suite = attributes.get("testsuite", "")
    return Case(
        name if is_alone else name + _place(file, line),
        is_disabled=attributes.get("skipped") == "true",
        reason="marked with doctest::skip()" if attributes.get("skipped") == "true" else "",
        markers=(suite,) if suite else (),
        file=file,
        line=line,
    )


def _place(file: str, line: int) -> str:
    return f" [{file}:{line}]"


def _pattern(name: str) -> str:
    # These separate or match in a filter; old versions cannot escape them; `?` is any character.
    return re.sub(f"[,\\\\*{UNKNOWN}]", "?", name)


def _read(case: Case, status: int, raw: Streams) -> Verdict:
    shown = _clean(raw)
    totals = _TOTALS.findall(raw.stdout)
    if status != 0 or (totals and int(totals[-1][1])):
        return Verdict(Status.FAILED, _failure(status, raw), *shown)
    if not totals:
        return ended_early(shown)
    if int(totals[-1][0]) == 0:
        return not_found(case, "doctest", shown)
    reason = "failed as expected" if _EXPECTED.search(raw.stdout) else ""
    return Verdict(Status.PASSED, reason, *shown)


def _failure(status: int, raw: Streams) -> str:
    if found := _FAILURE.search(raw.stdout):
        return one_line(f"{found[1]}: {found[2]}")
    if found := _OTHER_FAILURE.search(raw.stdout):
        return one_line(found[0])
    return exit_reason(status, raw.stderr)


def _clean(raw: Streams) -> Streams:
    text = without_lines(raw.stdout, _NOISE)
    return Streams(re.sub(r"\n{3,}", "\n\n", text), raw.stderr)


_XML = re.compile(r"<doctest .*</doctest>", re.DOTALL)
_ELEMENT = re.compile(r'<TestCase((?:\s+\w+="[^"]*")*)\s*/>')
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')

_TOTALS = re.compile(
    r"^\[doctest\] test cases: +(\d+) \| +\d+ passed \| +(\d+) failed", re.MULTILINE
)
_FAILURE = re.compile(r"^(.+:\d+): (?:FATAL )?ERROR: ((?:.+\n?)*)", re.MULTILINE)
_OTHER_FAILURE = re.compile(
    r"^(?:Test case exceeded time limit|Should have failed but didn't|Didn't fail ).*$",
    re.MULTILINE,
)
_EXPECTED = re.compile(
    r"^(?:Allowed to fail so|Failed as expected so|Failed exactly \d+ times as expected).*$",
    re.MULTILINE,
)
_NOISE = re.compile(r"\[doctest\] |={79}$|TEST (?:CASE|SUITE): ")
