"""Catch2 2.13 and 3.7: every kind of end a case can have, replayed from real programs."""

import pytest

from maelstrom.frameworks import framework
from maelstrom.frameworks.base import ListingError, Target
from maelstrom.model.case import Case, Status
from tests.support import programs
from tests.support.outcomes import exited

CATCH2 = framework("catch2")

PASSED = (Status.PASSED, "")
LONG = (
    "a very long name that goes on and on, so that the list must be wrapped at eighty columns by "
    "the reporter, as it does"
)
VERDICTS = {
    "adds": PASSED,
    "fails": (Status.FAILED, "CHECK( a == 2 ) with expansion: 1 == 2 with message: info"),
    "fails in a section": (Status.FAILED, "catch2_cases.cc:13: REQUIRE( 1 == 2 )"),
    'comma, [bracket] "quote" \\back* ~not': PASSED,
    "comma, [bracket]": PASSED,
    "*starts with a star": PASSED,
    "ends with a star*": PASSED,
    "ends with a star* not": PASSED,
    "ends with \\": PASSED,
    "-dash first": PASSED,
    "~tilde": PASSED,
    "exclude:word": PASSED,
    "may fail": (Status.PASSED, "failed as expected"),
    "should fail": (Status.PASSED, "failed as expected"),
    "should fail but passes": (Status.FAILED, "although it is tagged [!shouldfail]"),
    "throws": (Status.FAILED, "due to unexpected exception with message: bad thing"),
    "exits early": (Status.FAILED, "exited with status 0 before the case was over"),
    "segfaults": (Status.CRASHED, "SIGSEGV"),
    "aborts": (Status.CRASHED, "SIGABRT"),
    "no assertion": PASSED,
    LONG: PASSED,
    "non-utf8 \ufffd name": PASSED,
    "explicit fail": (Status.FAILED, "told so and so"),
    "warns": PASSED,
    "nothrow": (Status.FAILED, "CHECK_NOTHROW( throw 1 )"),
    "unicode ü name": PASSED,
    "  spaces around  ": PASSED,
    "four fail": (Status.FAILED, "CHECK( i == 9 )"),
    "in a fixture": PASSED,
    "templated - int": (Status.FAILED, "sizeof(TestType)"),
    "templated - std::pair<int, long>": PASSED,
    "Anonymous test case 1": PASSED,
}
ONLY_V2 = {"tab\tname": PASSED}
ONLY_V3 = {
    "skips": (Status.SKIPPED, "no GPU"),
    "skips a part": (Status.SKIPPED, "part"),
    "skip after failure": (Status.FAILED, "CHECK( 1 == 2 )"),
    "skips four times": (Status.FAILED, "CHECK( i == 9 )"),
    "tab\tand\nnewline": PASSED,
}
EDITIONS = {"2": VERDICTS | ONLY_V2, "3": VERDICTS | ONLY_V3}


@pytest.mark.parametrize("edition", EDITIONS)
def test_each_listed_case_gets_its_verdict(edition: str) -> None:
    run = programs.recorded(f"catch2-v{edition}")
    cases = programs.cases_of(CATCH2, run)
    assert {case.name for case in cases} == set(EDITIONS[edition])
    for case in cases:
        status, reason = EDITIONS[edition][case.name]
        verdict = programs.verdict_on(CATCH2, run, case)
        assert verdict.status is status, case
        assert reason in verdict.reason, case
        assert "host application" not in verdict.stdout
        assert case.edition == edition


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_case_that_is_not_there_is_an_execution_error(edition: str) -> None:
    run = programs.recorded(f"catch2-v{edition}")
    verdict = programs.verdict_on(CATCH2, run, Case(programs.MISSING, edition=edition))
    assert verdict.status is Status.EXECUTION_ERROR


@pytest.mark.parametrize("edition", EDITIONS)
def test_output_keeps_what_the_case_printed(edition: str) -> None:
    run = programs.recorded(f"catch2-v{edition}")
    verdict = programs.verdict_on(CATCH2, run, Case("fails", edition=edition))
    assert verdict.stdout.startswith("printed\nstreamed\n")
    assert "CHECK( a == 2 )" in verdict.stdout
    assert "-----" not in verdict.stdout
    assert verdict.stderr == "errors\n"


@pytest.mark.parametrize("edition", EDITIONS)
def test_tags_are_markers(edition: str) -> None:
    cases = programs.cases_of(CATCH2, programs.recorded(f"catch2-v{edition}"))
    markers = {case.name: case.markers for case in cases}
    assert markers["adds"] == ("fast", "math")
    assert "wrapped" in markers[LONG]


def test_a_name_cut_at_punctuation_is_known_up_to_there() -> None:
    head = "x" * 60 + " - std::map<int,"
    text = f"All available test cases:\n  {head}\n    std::string> and more\n1 test case\n\n"
    (case,) = CATCH2.cases(exited(1, text))
    assert case.name == f"{head}\ufffdstd::string> and more"
    assert CATCH2.invocation(Target("t"), case).arguments == ("x" * 60 + " - std::map<int\\,*",)


def test_a_listing_that_is_not_whole_is_refused() -> None:
    text = "All available test cases:\n  a\n  b\n3 test cases\n\n"
    with pytest.raises(ListingError, match="lists 3 cases, of which we read 2"):
        CATCH2.cases(exited(3, text))


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (0, "<?xml?>\n<MatchingTests>\n</MatchingTests>", "lists no case"),
        (0, "All available test cases:\n0 test cases\n\n", "lists no case"),
        (0, "hello\n", "exited with status 0: hello"),
        (255, "error: unknown option\n", "exited with status 255: error: unknown option"),
        (0, "<MatchingTests><TestCase></MatchingTests>", "not well-formed"),
    ],
)
def test_a_program_without_cases_is_refused(status: int, text: str, reason: str) -> None:
    with pytest.raises(ListingError, match=reason):
        CATCH2.cases(exited(status, text))


def test_output_never_turns_a_red_case_green() -> None:
    told = "All tests passed (1 assertion in 1 test case)\n"
    assert CATCH2.verdict(Case("a"), exited(0, told)).status is Status.PASSED
    assert CATCH2.verdict(Case("a"), exited(42, told)).status is Status.FAILED
    told = "test cases: 1 | 1 skipped\n"
    assert CATCH2.verdict(Case("a"), exited(4, told)).status is Status.FAILED
