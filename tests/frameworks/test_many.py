"""The generators of many cases give as many as they are asked for, of all kinds."""

import sys
from pathlib import Path

from maelstrom.frameworks import detect, framework
from maelstrom.frameworks.base import Target
from maelstrom.model.case import Case, Status
from tests.data.gtest_many.generate import source
from tests.data.pytest_many.generate import write
from tests.support import programs
from tests.support.outcomes import run_on_host


def test_a_thousand_googletest_cases() -> None:
    text = source(1000)
    assert text.count("\nTEST(") == 700
    assert "testing::Range(0, 300)" in text
    assert text.count("GTEST_SKIP") == text.count("DISABLED_") == 100
    assert "EXPECT_EQ(sum(2), 2)" not in text
    assert source(1000, failing=True).count("EXPECT_EQ(sum(2), 2)") == 10


def test_three_hundred_pytest_cases(tmp_path: Path) -> None:
    root = tmp_path / "many"
    write(300, root)
    known, target = framework("pytest"), Target("tests", (), sys.executable)

    def verdict(name: str) -> Status:
        return programs.verdict_on(known, run, Case(name), target).status

    def run(call: programs.Invocation) -> programs.Ran:
        # Plugins that happen to be installed here would only cost time.
        alone = (*call.environment, ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"))
        return run_on_host(call.program, call.arguments, directory=root, environment=alone)

    names = [case.name for case in programs.cases_of(known, run, target)]
    assert len(names) == len(set(names)) == 300
    file = "tests/test_numerals_009.py"
    assert detect(file, (root / file).read_bytes()) == "pytest"
    assert verdict(f"{file}::test_has_only_letters[colons::in::it]") is Status.PASSED
    assert verdict(f"{file}::test_zero") is Status.SKIPPED
    assert verdict(f"{file}::test_forty") is Status.PASSED
    assert verdict(f"{file}::TestNotes::test_are_right[4-IV]") is Status.PASSED
