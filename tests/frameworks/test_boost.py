"""Boost.Test 1.74: every kind of end a case can have, replayed and, where it is there, for real."""

import pytest

from maelstrom.frameworks import framework
from maelstrom.frameworks.base import ListingError
from maelstrom.model.case import Case, Status
from tests.support import programs
from tests.support.outcomes import exited

BOOST = framework("boost")

PASSED = (Status.PASSED, "")
EARLY = (Status.FAILED, "exited with status 0 before the case was over")
VERDICTS = {
    "adds": PASSED,
    "fails": (Status.FAILED, "boost_cases.cc:16: check a == 2 has failed [1 != 2]"),
    "outer/inside": PASSED,
    "outer/inner/inside": (Status.FAILED, "boost_cases.cc:20: told so"),
    "precondition": (Status.SKIPPED, "its precondition does not hold"),
    # What it depends on is run with it and fails.
    "depends": (Status.FAILED, "boost_cases.cc:16: check a == 2"),
    "depends_good": PASSED,
    "expected": PASSED,
    "expected_more": PASSED,
    "times_out": PASSED,
    "data/_0": PASSED,
    "data/_1": PASSED,
    "data/_2": (Status.FAILED, "check x < 3 has failed [3 >= 3]"),
    "typed<int>": (Status.FAILED, "sizeof(T)"),
    "typed<std__pair<int_ long>>": PASSED,
    "typed<char_>": PASSED,
    "throws": (Status.FAILED, "unknown location: std::runtime_error: bad thing"),
    "exits_early": EARLY,
    "quick_exits": EARLY,
    "segfaults": (Status.CRASHED, "SIGSEGV"),
    "aborts": (Status.CRASHED, "SIGABRT"),
    "no_assertion": PASSED,
    "warns": PASSED,
    "context": (Status.FAILED, "check false has failed"),
    "fixture_fails": (Status.FAILED, "std::runtime_error: no fixture"),
    "name_ with_ odd_chars _ _x _y _z \ufffd": PASSED,
}
DISABLED = {"disabled", "off/inside"}


@pytest.fixture(scope="module", params=programs.ways("boost"))
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> programs.Runner:
    if request.param == "recorded":
        return programs.recorded("boost")
    return programs.compiled("boost", tmp_path_factory.mktemp("boost"))


def test_all_cases_are_listed_and_the_disabled_told(run: programs.Runner) -> None:
    cases = programs.cases_of(BOOST, run)
    assert {case.name for case in cases if not case.is_disabled} == set(VERDICTS)
    assert {case.name for case in cases if case.is_disabled} == DISABLED


def test_cases_tell_place_and_labels(run: programs.Runner) -> None:
    cases = {case.name: case for case in programs.cases_of(BOOST, run)}
    assert cases["adds"].markers == ("fast",)
    assert (cases["data/_2"].file, cases["data/_2"].line) == ("boost_cases.cc", 34)


@pytest.mark.parametrize("name", VERDICTS)
def test_each_case_gets_its_verdict(run: programs.Runner, name: str) -> None:
    status, reason = VERDICTS[name]
    verdict = programs.verdict_on(BOOST, run, Case(name))
    assert verdict.status is status
    assert reason in verdict.reason
    assert "Test module" not in verdict.stdout + verdict.stderr
    assert "Running" not in verdict.stdout + verdict.stderr


def test_a_case_that_is_not_there_is_an_execution_error(run: programs.Runner) -> None:
    verdict = programs.verdict_on(BOOST, run, Case(programs.MISSING))
    assert verdict.status is Status.EXECUTION_ERROR


def test_output_keeps_what_the_case_printed(run: programs.Runner) -> None:
    verdict = programs.verdict_on(BOOST, run, Case("fails"))
    assert "printed\n" in verdict.stdout
    assert "errors\n" in verdict.stderr
    assert 'error: in "fails"' in verdict.stdout + verdict.stderr


@pytest.mark.parametrize("text", ["", "all good\n", "digraph G {}"])
def test_a_program_that_lists_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ListingError, match=r"does not list its cases as Boost\.Test does"):
        BOOST.cases(exited(0, text))


def test_a_module_without_cases_is_refused() -> None:
    with pytest.raises(ListingError, match="lists no case"):
        BOOST.cases(exited(0, "", 'digraph G {rankdir=LR;\ntu1[color=green,label="m"];\n{\n}\n}\n'))


def test_a_signal_that_boost_catches_is_a_crash() -> None:
    told = 'a.cc(3): fatal error: in "a": signal: SIGABRT (application abort requested)\n'
    verdict = BOOST.verdict(Case("a"), exited(201, told))
    assert (verdict.status, verdict.reason) == (
        Status.CRASHED,
        "crashed with SIGABRT: application abort requested",
    )


def test_output_never_turns_a_red_case_green() -> None:
    told = 'Test module "m" has passed with:\n  Test case "a" has passed\n'
    assert BOOST.verdict(Case("a"), exited(0, "", told)).status is Status.PASSED
    assert BOOST.verdict(Case("a"), exited(201, "", told)).status is Status.FAILED
    assert BOOST.verdict(Case("b"), exited(0, "", told)).status is Status.EXECUTION_ERROR
