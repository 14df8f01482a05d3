"""Catch2, versions 2 and 3: cases from `--list-tests`, one case by a test spec.

Version 3 lists as XML; version 2 does not know how and prints text, wrapped at 80 columns. Hidden
cases are not listed, as they are not run by a plain run. Catch2 compares names without regard to
case or to spaces around them: cases that differ in nothing else run together and share a verdict.
"""

import re
import xml.etree.ElementTree as ET

from maelstrom.frameworks.base import (
    UNKNOWN,
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
    without_lines,
)
from maelstrom.model.case import Case, Status, Verdict
from maelstrom.model.outcome import Exited, Outcome, Ran

V2 = "2"
V3 = "3"
COLUMNS = 80
"""Where version 2 wraps its text."""


class Catch2:
    """Programs made with Catch2."""

    name = "catch2"

    def listing(self, target: Target) -> Invocation | None:
        """Return how to list the cases; version 2 takes all of this, but not the reporter."""
        flags = ("--list-tests", "--reporter", "xml")
        return Invocation(target.program, (*target.arguments, *flags))

    def cases(self, outcome: Ran) -> list[Case]:
        """Read the XML of version 3 or the text of version 2."""
        check_listing_ended(outcome)
        assert isinstance(outcome, Exited)
        raw = Streams(outcome.effects.stdout.text(), outcome.effects.stderr.text())
        if found := _XML.search(raw.stdout):
            cases = _cases_v3(found[0])
        elif found := _TEXT.search(raw.stdout):
            cases = _cases_v2(found[1])
            # Version 2 exits with the number of cases.
            if len(cases) != int(found[2]):
                raise ListingError(f"Catch2 lists {found[2]} cases, of which we read {len(cases)}")
        else:
            raise failed_listing(outcome.status, raw)
        if not cases:
            raise no_cases("Catch2")
        return list({case.name: case for case in cases}.values())

    def invocation(self, target: Target, case: Case) -> Invocation:
        """Return how to run one case."""
        # Else version 3 has a status of its own for a skip, which old ones share with 4 failures.
        flags = ("--allow-running-no-tests",) if case.edition == V3 else ()
        return Invocation(target.program, (*target.arguments, _spec(case.name), *flags))

    def verdict(self, case: Case, outcome: Outcome) -> Verdict:
        """Read the outcome of one case."""
        return judge(outcome, lambda status, raw: _read(case, status, raw), clean=_clean)


def _cases_v3(xml: str) -> list[Case]:
    try:
        root = ET.fromstring(xml)
    except ET.ParseError as error:
        raise ListingError(f"Catch2 lists its cases in XML that is not well-formed: {error}") from (
            error
        )
    return [
        Case(
            # What is no UTF-8 is written as `\xFF`.
            re.sub(r"\\x[0-9A-F]{2}", UNKNOWN, case.findtext("Name") or ""),
            markers=tuple(re.findall(r"\[([^]]*)\]", case.findtext("Tags") or "")),
            file=case.findtext("SourceInfo/File") or "",
            line=int(case.findtext("SourceInfo/Line") or 0),
            edition=V3,
        )
        for case in root.iter("TestCase")
    ]


def _cases_v2(text: str) -> list[Case]:
    # A case is its name, indented by 2 (further lines of a long one by 4), and its tags by 6.
    found: list[tuple[str, str]] = []
    above = ""
    for line in text.splitlines():
        if line.startswith("      [") and found:
            found[-1] = (found[-1][0], found[-1][1] + line.strip())
        elif found and _continues(above, line):
            found[-1] = (_joined(found[-1][0], line.strip()), "")
        else:
            found.append((line[2:], ""))
        above = line
    return [
        Case(name, markers=tuple(re.findall(r"\[([^]]*)\]", tags)), edition=V2)
        for name, tags in found
    ]


def _continues(above: str, line: str) -> bool:
    # Else it is a name of its own that starts with spaces.
    return line.startswith("    ") and len(above) + 1 + len(line.split()[0]) >= COLUMNS


def _joined(name: str, line: str) -> str:
    # A line breaks at a space, else next to punctuation; what was there cannot be told then.
    is_plain = name[-1:].isalnum() and line[:1].isalnum()
    return name + (" " if is_plain else UNKNOWN) + line


def _spec(name: str) -> str:
    """Return the test spec that matches a name; wildcards stand only at its ends."""
    known, is_cut, _ = name.partition(UNKNOWN)
    prefix = ""
    if known.startswith("exclude:"):
        prefix, known = "*", known[1:]
    spec = re.sub(r'([\\,*"\[\]~])', r"\\\1", known)
    if not prefix and spec[:1] in ("-", " "):
        prefix = "\\"
    return prefix + spec + ("*" if is_cut else "")


def _read(case: Case, status: int, raw: Streams) -> Verdict:
    shown = _clean(raw)
    if "No test cases matched" in raw.stdout:
        return not_found(case, "Catch2", shown)
    totals = (_TOTALS.findall(raw.stdout) or [""])[-1]
    counts = {what: int(number) for number, what in _COUNT.findall(totals)}
    if status != 0 or counts.get("failed"):
        return Verdict(Status.FAILED, _failure(case, status, raw), *shown)
    if not totals:
        return ended_early(shown)
    if "No tests ran" in totals:
        return not_found(case, "Catch2", shown)
    if counts.get("skipped") and not counts.get("passed"):
        skip = _SKIPPED.search(raw.stdout)
        return Verdict(Status.SKIPPED, one_line(skip[1]) if skip else "skipped", *shown)
    reason = "failed as expected" if counts.get("failed as expected") else ""
    return Verdict(Status.PASSED, reason, *shown)


def _failure(case: Case, status: int, raw: Streams) -> str:
    if found := _FAILED.search(raw.stdout):
        return one_line(f"{found[1]}: {found[2]}")
    if found := _NO_ASSERTIONS.search(raw.stdout):
        return one_line(found[0])
    if "!shouldfail" in case.markers and _TOTALS.search(raw.stdout):
        return "passed, although it is tagged [!shouldfail]"
    return exit_reason(status, raw.stderr)


def _clean(raw: Streams) -> Streams:
    text = without_lines(raw.stdout, _NOISE)
    return Streams(re.sub(r"\n{3,}", "\n\n", text), raw.stderr)


_XML = re.compile(r"<MatchingTests>.*</MatchingTests>|<MatchingTests ?/>", re.DOTALL)
_TEXT = re.compile(
    r"^(?:All available|Matching) test cases:\n(.*?)^(\d+) (?:matching )?test cases?$",
    re.MULTILINE | re.DOTALL,
)

_TOTALS = re.compile(
    r"^(?:All tests passed \(.*|No tests ran.*|test cases: +\d+ \|.*)$", re.MULTILINE
)
_COUNT = re.compile(r"(\d+) (passed|failed as expected|failed|skipped)")
_FAILED = re.compile(r"^(.*:\d+): FAILED:\n((?:.+\n?)*)", re.MULTILINE)
_SKIPPED = re.compile(
    r"^.*:\d+: SKIPPED:\n(?:explicitly with message:\n)?((?:  .*\n?)*)", re.MULTILINE
)
_NO_ASSERTIONS = re.compile(r"^No assertions in .*$", re.MULTILINE)

_NOISE = re.compile(
    r"(?:-{79}|={79,80}|~{79}|\.{79})$"
    r"|Filters: |Randomness seeded to: |Run with -\? for options$|.* is a Catch2? v\d.* application"
    r"|All tests passed \(|(?:test cases|assertions): "
)
