"""GoogleTest 1.12: every kind of end a case can have, replayed and, where it is there, for real."""

import pytest

from maelstrom.frameworks import framework
from maelstrom.frameworks.base import ListingError, Target
from maelstrom.model.case import Case, Status
from tests.support import programs
from tests.support.outcomes import exited

GTEST = framework("gtest")

EQUALITY = "Expected equality of these values:"
VERDICTS = {
    "Math.Adds": (Status.PASSED, ""),
    "Math.Fails": (
        Status.FAILED,
        f"gtest_cases.cc:6: {EQUALITY} 1 + 1 Which is: 2 3 told so",
    ),
    "Math.NoNewline": (Status.FAILED, "Value of: false Actual: false Expected: true"),
    "Math.PrintsOk": (Status.PASSED, ""),
    "Skip.Told": (Status.SKIPPED, "no GPU here"),
    "Skip.Untold": (Status.SKIPPED, "skipped at gtest_cases.cc:12"),
    "Skip.AfterFailure": (Status.FAILED, f"gtest_cases.cc:13: {EQUALITY} 1 2"),
    "Ends.Early": (Status.FAILED, "exited with status 0 before the case was over"),
    "Ends.Badly": (Status.FAILED, "exited with status 3"),
    "Ends.Aborts": (Status.CRASHED, "crashed with SIGABRT"),
    "Ends.Segv": (Status.CRASHED, "crashed with SIGSEGV: segmentation fault"),
    "Ends.Throws": (Status.FAILED, 'C++ exception with description "bad thing"'),
    "T1/plain name.Sizes": (Status.FAILED, "sizeof(TypeParam)"),
    "T1/a:b-c*d.Sizes": (Status.PASSED, ""),
    "SetUpFails.One": (Status.FAILED, "gtest_cases.cc:30: Failed no db"),
    # The skip in SetUpTestSuite does not reach the case in this version: it does run.
    "SetUpSkips.One": (Status.PASSED, ""),
    "Fork.Scoped": (Status.FAILED, "other.cc:7: Failed a b"),
    "Record.Prop": (Status.PASSED, ""),
    "Death.Dies": (Status.PASSED, ""),
    "Inst/P.Works/0": (Status.PASSED, ""),
    "Inst/P.Works/1": (Status.FAILED, "GetParam().size()"),
    "Inst/P.Works/2": (Status.FAILED, "GetParam().size()"),
    "Inst/P.Works/3": (Status.PASSED, ""),
}
DISABLED = {"Math.DISABLED_Later", "DISABLED_All.One", "I/DISABLED_P2.Works/0"}


@pytest.fixture(scope="module", params=programs.ways("gtest"))
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> programs.Runner:
    if request.param == "recorded":
        return programs.recorded("gtest")
    return programs.compiled("gtest", tmp_path_factory.mktemp("gtest"))


def test_all_cases_are_listed_and_the_disabled_told(run: programs.Runner) -> None:
    cases = programs.cases_of(GTEST, run)
    assert {case.name for case in cases if not case.is_disabled} == set(VERDICTS)
    assert {case.name for case in cases if case.is_disabled} == DISABLED


@pytest.mark.parametrize("name", VERDICTS)
def test_each_case_gets_its_verdict(run: programs.Runner, name: str) -> None:
    status, reason = VERDICTS[name]
    verdict = programs.verdict_on(GTEST, run, Case(name))
    assert verdict.status is status
    assert reason in verdict.reason
    assert "[ " not in verdict.stdout
    assert "Google Test filter" not in verdict.stdout


def test_a_case_that_is_not_there_is_an_execution_error(run: programs.Runner) -> None:
    verdict = programs.verdict_on(GTEST, run, Case(programs.MISSING))
    assert verdict.status is Status.EXECUTION_ERROR
    assert programs.MISSING in verdict.reason


def test_output_keeps_what_the_case_printed(run: programs.Runner) -> None:
    verdict = programs.verdict_on(GTEST, run, Case("Math.Fails"))
    assert verdict.stdout.startswith("seen\ngtest_cases.cc:6: Failure\nExpected equality")
    assert programs.verdict_on(GTEST, run, Case("Math.PrintsOk")).stdout == "partial\n"


LISTINGS = {
    "words of main() around the list": (
        "Loading.\nRunning main() from x.cc\nA.\n  B\nbye\n",
        ["A.B"],
    ),
    "a comment with a dot and a hash": ("A/0.  # TypeParam = x::y.z\n  B  # c\n", ["A/0.B"]),
    "a parameter shown in quotes": ('I/A.\n  B/0  # GetParam() = "a  # b"\n', ["I/A.B/0"]),
    "bytes that are no UTF-8": (b"A/\xff.\n  B\n", ["A/\ufffd.B"]),
}


@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_is_read_through_noise(name: str) -> None:
    text, names = LISTINGS[name]
    assert [case.name for case in GTEST.cases(exited(0, text))] == names


@pytest.mark.parametrize("text", ["", "hello\n", "usage: x [file]\n  -h  help\n"])
def test_a_program_without_cases_is_refused(text: str) -> None:
    with pytest.raises(ListingError, match="lists no case"):
        GTEST.cases(exited(0, text))


def test_what_means_something_in_a_filter_becomes_a_wildcard() -> None:
    call = GTEST.invocation(Target("t", ("-v",)), Case("T/a:b-c*d\ufffd.X"))
    assert call.arguments == ("-v", "--gtest_filter=T/a?b?c?d?.X", "--gtest_color=no")


def test_output_never_turns_a_red_case_green() -> None:
    told = "[       OK ] A.B (0 ms)\n[  PASSED  ] 1 test.\n"
    assert GTEST.verdict(Case("A.B"), exited(1, told)).status is Status.FAILED
    told = "[  SKIPPED ] A.B (0 ms)\n"
    assert GTEST.verdict(Case("A.B"), exited(1, told)).status is Status.FAILED
    told = "[       OK ] A.Bc (0 ms)\n"
    assert GTEST.verdict(Case("A.B"), exited(0, told)).status is Status.FAILED


def test_a_main_that_hides_the_result_is_not_believed() -> None:
    told = "a.cc:1: Failure\nFailed\nwhy\n[  FAILED  ] A.B, where GetParam() = 1 (0 ms)\n"
    verdict = GTEST.verdict(Case("A.B"), exited(0, told))
    assert (verdict.status, verdict.reason) == (Status.FAILED, "a.cc:1: Failed why")
