"""unittest: every kind of end a case can have, with the Python that runs these tests."""

import shutil
import sys

import pytest

from maelstrom.frameworks import framework
from maelstrom.frameworks.base import ListingError, Target
from maelstrom.model.case import Case, Status
from tests.support import programs
from tests.support.outcomes import run_on_host

UNITTEST = framework("unittest")
TARGET = Target("tests", (), sys.executable)

PASSED = (Status.PASSED, "")
VERDICTS = {
    "unittest.loader._FailedTest.test_bad": (Status.FAILED, "No module named 'nope'"),
    "test_load.P.runTest": (Status.SKIPPED, "module off"),
    "test_load.P.runTest #2": (Status.SKIPPED, "module off"),
    "pkg.test_p.T.test_t": PASSED,
    "test_ends.A.test_bad": (Status.FAILED, "tests/test_ends.py:7: AssertionError: Lists differ"),
    "test_ends.A.test_error": (Status.FAILED, "RuntimeError: bad thing"),
    "test_ends.A.test_exit": (Status.FAILED, "exited with status 0 before the case was over"),
    "test_ends.A.test_ok": PASSED,
    "test_ends.A.test_segv": (Status.CRASHED, "SIGSEGV"),
    "test_ends.A.test_skip": (Status.SKIPPED, "not now"),
    "test_ends.A.test_skip_in": (Status.SKIPPED, "inside"),
    "test_ends.A.test_sub": (Status.FAILED, "[part] (i=1): tests/test_ends.py:18: AssertionError"),
    "test_ends.A.test_subskip": (Status.SKIPPED, "one"),
    "test_ends.A.test_sysexit": (Status.FAILED, "SystemExit: 0"),
    "test_ends.A.test_xfail": (Status.PASSED, "failed as expected: AssertionError: as known"),
    "test_ends.A.test_xpass": (Status.FAILED, "marked as an expected failure"),
    "test_ends.B.test_x": (Status.FAILED, "setUpClass (test_ends.B): "),
    "test_ends.C.test_x": (Status.SKIPPED, "class off"),
    "test_ends.D.test_x": (Status.SKIPPED, "all off"),
    "test_ends.E.test_async": PASSED,
    "test_ends.F.test_x": (Status.FAILED, "OSError: cleanup broke"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> programs.Runner:
    root = tmp_path_factory.mktemp("unittest") / "project"
    shutil.copytree(programs.DATA / "unittest_cases", root)
    return lambda call: run_on_host(
        call.program, call.arguments, directory=root, environment=call.environment
    )


def test_all_cases_are_listed(run: programs.Runner) -> None:
    cases = {case.name: case for case in programs.cases_of(UNITTEST, run, TARGET)}
    assert set(cases) == set(VERDICTS)
    case = cases["test_ends.A.test_bad"]
    assert (case.file, case.line) == ("tests/test_ends.py", 5)


@pytest.mark.parametrize("name", VERDICTS)
def test_each_case_gets_its_verdict(run: programs.Runner, name: str) -> None:
    status, reason = VERDICTS[name]
    verdict = programs.verdict_on(UNITTEST, run, Case(name), TARGET)
    assert verdict.status is status
    assert reason in verdict.reason
    assert "maelstrom" not in verdict.stdout


def test_a_file_in_a_package_is_imported_from_above_it(run: programs.Runner) -> None:
    target = Target("tests/pkg/test_p.py", (), sys.executable)
    (case,) = programs.cases_of(UNITTEST, run, target)
    assert case.name == "pkg.test_p.T.test_t"
    assert programs.verdict_on(UNITTEST, run, case, target).status is Status.PASSED


def test_a_case_that_is_not_there_is_an_execution_error(run: programs.Runner) -> None:
    verdict = programs.verdict_on(UNITTEST, run, Case("test_ends.A.test_nope"), TARGET)
    assert verdict.status is Status.EXECUTION_ERROR


def test_a_file_that_cannot_be_imported_says_why(run: programs.Runner) -> None:
    with pytest.raises(ListingError, match="No module named 'nope'"):
        programs.cases_of(UNITTEST, run, Target("tests/test_bad.py", (), sys.executable))


def test_output_keeps_what_the_case_printed(run: programs.Runner) -> None:
    verdict = programs.verdict_on(UNITTEST, run, Case("test_ends.A.test_bad"), TARGET)
    assert verdict.stdout == "out\nmodule torn down\n"
    assert verdict.stderr.startswith("err\nTraceback (most recent call last):\n")
