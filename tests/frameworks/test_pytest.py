"""pytest: every kind of end a case can have, with the pytest that runs these tests."""

import shutil
import sys
from pathlib import Path

import pytest

from maelstrom.frameworks import framework
from maelstrom.frameworks.base import Invocation, ListingError, Target, separator
from maelstrom.model.case import Case, Status
from maelstrom.model.outcome import Ran
from tests.support import programs
from tests.support.outcomes import exited, run_on_host

PYTEST = framework("pytest")
TARGET = Target("tests", (), sys.executable)
FILE = "tests/test_ends.py"

PASSED = (Status.PASSED, "")
VERDICTS = {
    "tests/sub/test_bad.py": (Status.FAILED, "No module named 'nonexistent_mod'"),
    "tests/sub/test_skipped.py": (Status.SKIPPED, "whole module"),
    "tests/sub/test_syntax.py": (Status.FAILED, "SyntaxError: invalid syntax"),
    "tests/-dash/test_d.py::test_d": PASSED,
    "tests/br[x]/test_b.py::test_b": PASSED,
    "tests/odd\ufffd/test_o.py::test_o": PASSED,
    f"{FILE}::test_passes": PASSED,
    f"{FILE}::test_fails": (Status.FAILED, f"{FILE}:6: AssertionError: lists"),
    f"{FILE}::test_param[a b]": PASSED,
    f"{FILE}::test_param[\\xfc]": (Status.FAILED, "assert 'ü' != 'ü'"),
    f"{FILE}::test_param[x[y]::z]": PASSED,
    f"{FILE}::test_param[line\\nbreak]": PASSED,
    f"{FILE}::test_param[-dash]": PASSED,
    f"{FILE}::test_param[\\xff]": PASSED,
    f"{FILE}::test_param[]": PASSED,
    f"{FILE}::test_param[None]": PASSED,
    f"{FILE}::test_skip": (Status.SKIPPED, "not now"),
    f"{FILE}::test_skip_inside": (Status.SKIPPED, "inside"),
    f"{FILE}::test_xfail": (Status.PASSED, "failed as expected: known"),
    f"{FILE}::test_xpass_strict": (Status.FAILED, "[XPASS(strict)] known"),
    f"{FILE}::test_xpass": (Status.PASSED, "passed unexpectedly"),
    f"{FILE}::test_setup": (Status.FAILED, "RuntimeError: no fixture (in setup)"),
    f"{FILE}::test_teardown": (Status.FAILED, "ValueError: teardown broke (in teardown)"),
    f"{FILE}::test_nofixture": (Status.FAILED, "fixture 'nope' not found (in setup)"),
    f"{FILE}::test_exit": (Status.FAILED, "SystemExit: 0"),
    f"{FILE}::test_os_exit": (Status.FAILED, "exited with status 0 before the case was over"),
    f"{FILE}::test_os_exit3": (Status.FAILED, "exited with status 3"),
    f"{FILE}::test_segv": (Status.CRASHED, "Fatal Python error: Segmentation fault"),
    f"{FILE}::test_importorskip": (Status.SKIPPED, "could not import 'no_such_mod'"),
    f"{FILE}::test_pytest_exit": (Status.FAILED, "stopped by Exit: stop all"),
    f"{FILE}::test_close": PASSED,
    f"{FILE}::TestC::test_m": PASSED,
}
# Each costs a start of pytest: those of which another tells the same are only listed.
TOLD_BY_ANOTHER = (
    "[a b]",
    "[None]",
    "[]",
    "[\\xff]",
    "_passes",
    "_xpass",
    "_importorskip",
    "_exit3",
)
RUN = [name for name in VERDICTS if not name.endswith(TOLD_BY_ANOTHER)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pytest") / "project"
    shutil.copytree(programs.DATA / "pytest_cases", root)
    broken = root / "tests" / "sub" / "test_syntax.txt"
    broken.rename(broken.with_suffix(".py"))
    for directory, name in (("-dash", "d"), ("br[x]", "b"), ("odd\udcff", "o")):
        (root / "tests" / directory).mkdir()
        (root / "tests" / directory / f"test_{name}.py").write_text(f"def test_{name}(): pass\n")
    return root


@pytest.fixture(scope="module")
def run(project: Path) -> programs.Runner:
    # Plugins that happen to be installed here would only cost time.
    alone = ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return lambda call: run_on_host(
        call.program,
        call.arguments,
        directory=project,
        environment=(*call.environment, alone, ("PYTEST_ADDOPTS", "")),
    )


def test_all_cases_are_listed_and_broken_modules_too(run: programs.Runner) -> None:
    cases = {case.name: case for case in programs.cases_of(PYTEST, run, TARGET)}
    assert set(cases) == set(VERDICTS)
    assert cases[f"{FILE}::TestC::test_m"].markers == ("slow",)
    assert (cases[f"{FILE}::test_fails"].file, cases[f"{FILE}::test_fails"].line) == (FILE, 3)


@pytest.mark.parametrize("name", RUN)
def test_each_case_gets_its_verdict(run: programs.Runner, name: str) -> None:
    status, reason = VERDICTS[name]
    verdict = programs.verdict_on(PYTEST, run, Case(name), TARGET)
    assert verdict.status is status
    assert reason in verdict.reason
    assert "maelstrom" not in verdict.stdout
    assert "test session starts" not in verdict.stdout


def test_a_case_that_is_not_there_is_an_execution_error(run: programs.Runner) -> None:
    for name in (f"{FILE}::test_nope", "tests/test_nope.py::test_x"):
        verdict = programs.verdict_on(PYTEST, run, Case(name), TARGET)
        assert verdict.status is Status.EXECUTION_ERROR


def test_output_tells_the_failure_and_what_was_captured(run: programs.Runner) -> None:
    verdict = programs.verdict_on(PYTEST, run, Case(f"{FILE}::test_fails"), TARGET)
    assert verdict.stdout.startswith("    def test_fails():\n")
    assert "--- Captured stdout call ---\nout\n" in verdict.stdout
    assert "--- Captured log call ---\n" in verdict.stdout
    assert verdict.stderr == ""


def test_a_file_is_a_target_and_arguments_reach_pytest(run: programs.Runner) -> None:
    target = Target(FILE, ("-k", "importorskip"), sys.executable)
    assert [case.name for case in programs.cases_of(PYTEST, run, target)] == [
        f"{FILE}::test_importorskip"
    ]


def test_nothing_is_written_next_to_the_tests(run: programs.Runner, project: Path) -> None:
    before = sorted(project.rglob("*"))
    programs.verdict_on(PYTEST, run, Case(f"{FILE}::test_fails"), TARGET)
    assert sorted(project.rglob("*")) == before


BROKEN = {
    "a conftest.py": ({"conftest.py": "import nope\n"}, "No module named 'nope'"),
    "options": ({"pytest.ini": "[pytest]\naddopts = --nope\n"}, "unrecognized arguments: --nope"),
    "a configuration": (
        {"pytest.ini": "[pytest]\naddopts = --strict-config\nodd = 1\n", "test_x.py": ""},
        "Unknown config option: odd",
    ),
    "nothing to collect": ({"test_x.py": "x = 1\n"}, "pytest lists no case in it"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_target_that_cannot_be_collected_says_why(tmp_path: Path, name: str) -> None:
    files, reason = BROKEN[name]
    for file, text in files.items():
        (tmp_path / file).write_text(text)

    def run(call: Invocation) -> Ran:
        return run_on_host(
            call.program, call.arguments, directory=tmp_path, environment=call.environment
        )

    with pytest.raises(ListingError, match=reason):
        programs.cases_of(PYTEST, run, Target(".", (), sys.executable))


def test_a_python_without_pytest_is_told(tmp_path: Path) -> None:
    listing = PYTEST.listing(Target("tests", (), sys.executable))
    assert listing is not None
    # -S hides the site-packages.
    outcome = run_on_host(
        sys.executable, ("-S", *listing.arguments), directory=tmp_path,
        environment=(("PYTHONPATH", ""),),
    )  # fmt: skip
    with pytest.raises(ListingError, match="pytest is not installed for") as caught:
        PYTEST.cases(outcome)
    assert "install it" in caught.value.hint


def test_output_never_turns_a_red_case_green() -> None:
    line = f'\n{separator("pytest", "x")} {{"status": "passed", "reason": ""}}\n'
    assert PYTEST.verdict(Case("x"), exited(0, line)).status is Status.PASSED
    verdict = PYTEST.verdict(Case("x"), exited(3, line))
    assert verdict.status is Status.FAILED
    assert verdict.reason == "exited with status 3 after the case had passed"
    assert PYTEST.verdict(Case("y"), exited(0, line)).status is Status.FAILED
    garbage = f'\n{separator("pytest", "x")} {{"status"\n'
    assert PYTEST.verdict(Case("x"), exited(0, garbage)).status is Status.FAILED
