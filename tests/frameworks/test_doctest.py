"""doctest 2.4.9: every kind of end a case can have, replayed and, where it is there, for real."""

import pytest

from maelstrom.frameworks import framework
from maelstrom.frameworks.base import ListingError, Target
from maelstrom.model.case import Case, Status
from tests.support import programs
from tests.support.outcomes import exited

DOCTEST = framework("doctest")

PASSED = (Status.PASSED, "")
VERDICTS = {
    "adds": PASSED,
    "fails": (Status.FAILED, "doctest_cases.cc:8: CHECK( a == 2 ) is NOT correct!"),
    "subcases": (Status.FAILED, "doctest_cases.cc:9: REQUIRE( 1 == 2 )"),
    'comma, [bracket] "quote" \\back* ?not': PASSED,
    "comma, [bracket]": PASSED,
    "comma": PASSED,
    "COMMA": PASSED,
    "star*": PASSED,
    "starring": (Status.FAILED, "CHECK( false )"),
    "ends with \\": PASSED,
    "-dash first": PASSED,
    "skipped": PASSED,
    "may fail": (Status.PASSED, "failed as expected"),
    "should fail": (Status.PASSED, "failed as expected"),
    "should fail but passes": (Status.FAILED, "Should have failed but didn't!"),
    "expected failures": (Status.FAILED, "Didn't fail exactly 2 times"),
    "times out": (Status.FAILED, "Test case exceeded time limit"),
    "described": PASSED,
    "throws": (Status.FAILED, "test case THREW exception: bad thing"),
    "exits early": (Status.FAILED, "exited with status 0 before the case was over"),
    "segfaults": (Status.CRASHED, "SIGSEGV"),
    "aborts": (Status.CRASHED, "SIGABRT"),
    "no assertion": PASSED,
    "non-utf8 \ufffd name": PASSED,
    "explicit fail": (Status.FAILED, "told so and so"),
    "unicode ü name": PASSED,
    "  spaces around  ": PASSED,
    "tab\tand\nnewline": PASSED,
    "<xml> & more": PASSED,
    "same name [doctest_cases.cc:36]": PASSED,
    "same name [doctest_cases.cc:37]": (Status.FAILED, "CHECK( false )"),
    "same name [doctest_cases.cc:38]": PASSED,
    # Same name, suite and file: they run together.
    "twin [doctest_cases.cc:39]": (Status.FAILED, "doctest_cases.cc:40"),
    "twin [doctest_cases.cc:40]": (Status.FAILED, "doctest_cases.cc:40"),
    "(no name)": PASSED,
    "exits": (Status.FAILED, "exited with status 1"),
    "  Scenario: scene": (Status.FAILED, "CHECK( 1 == 2 )"),
    "tpl<int>": (Status.FAILED, "sizeof(T)"),
    "tpl<std::pair<int, long int>>": PASSED,
    "message": (Status.FAILED, "logged: why: 5"),
}


@pytest.fixture(scope="module", params=programs.ways("doctest"))
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> programs.Runner:
    if request.param == "recorded":
        return programs.recorded("doctest")
    return programs.compiled("doctest", tmp_path_factory.mktemp("doctest"))


def test_each_listed_case_gets_its_verdict(run: programs.Runner) -> None:
    cases = programs.cases_of(DOCTEST, run)
    assert {case.name for case in cases} == set(VERDICTS)
    for case in cases:
        status, reason = VERDICTS[case.name]
        verdict = programs.verdict_on(DOCTEST, run, case)
        assert verdict.status is status, case
        assert reason in verdict.reason, case
        assert "[doctest]" not in verdict.stdout


def test_cases_tell_place_suite_and_whether_they_are_disabled(run: programs.Runner) -> None:
    cases = {case.name: case for case in programs.cases_of(DOCTEST, run)}
    assert [name for name, case in cases.items() if case.is_disabled] == ["skipped"]
    assert cases["described"].markers == ("suite x",)
    assert (cases["adds"].file, cases["adds"].line) == ("doctest_cases.cc", 7)


def test_a_case_that_is_not_there_is_an_execution_error(run: programs.Runner) -> None:
    verdict = programs.verdict_on(DOCTEST, run, Case(programs.MISSING))
    assert verdict.status is Status.EXECUTION_ERROR


def test_output_keeps_what_the_case_printed(run: programs.Runner) -> None:
    case = next(case for case in programs.cases_of(DOCTEST, run) if case.name == "fails")
    verdict = programs.verdict_on(DOCTEST, run, case)
    assert verdict.stdout.startswith("printed\nstreamed\n")
    assert "logged: info" in verdict.stdout
    assert verdict.stderr == "errors\n"


@pytest.mark.parametrize("text", ["", "all good\n", "<doctest binary='x'>"])
def test_a_program_that_lists_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ListingError, match="does not list its cases as doctest does"):
        DOCTEST.cases(exited(0, text))


def test_output_never_turns_a_red_case_green() -> None:
    told = "[doctest] test cases: 1 | 1 passed | 0 failed | 0 skipped\n"
    assert DOCTEST.verdict(Case("a"), exited(0, told)).status is Status.PASSED
    assert DOCTEST.verdict(Case("a"), exited(1, told)).status is Status.FAILED


def test_filters_name_suite_and_file() -> None:
    call = DOCTEST.invocation(Target("t"), Case("a,b", markers=("s*",), file="d/x.cc", line=3))
    assert call.arguments == (
        "--dt-test-case=a?b",
        "--dt-test-suite=s?",
        "--dt-source-file=d/x.cc",
        "--dt-case-sensitive=true",
    )
