"""Write a pytest project with many cases: `generate.py CASES DIRECTORY`.

It has a conftest.py with fixtures, parametrised ids with odd characters, skips, expected failures
and a package to import. With `--failing` each module has one case that fails.
"""

import argparse
from pathlib import Path

PYPROJECT = """\
[tool.pytest.ini_options]
testpaths = ["tests"]
markers = ["quick: takes no time"]
pythonpath = ["."]
"""

PACKAGE = '''\
"""What is tested."""


def roman(number):
    """Write a number as the Romans did."""
    letters = [(10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]
    text = ""
    for value, letter in letters:
        text += letter * (number // value)
        number %= value
    return text
'''

CONFTEST = """\
import pytest


@pytest.fixture(scope="session")
def alphabet():
    return "IVX"


@pytest.fixture
def scratch(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("I")
    yield path
    path.unlink()
"""

MODULE = """\
import sys

import pytest

from numerals import roman

IDS = ["plain", "with space", "brackets[0]", "colons::in::it", "ünïcode", "slash/es", "-dash"]


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7], ids=IDS)
def test_has_only_letters(number, alphabet):
    assert set(roman(number)) <= set(alphabet)


@pytest.mark.quick
@pytest.mark.parametrize("number", range({start}, {start} + 17))
def test_ends_as_the_last_digit(number):
    assert roman(number).endswith(roman(number % 10))


class TestNotes:
    def test_are_read(self, scratch):
        assert scratch.read_text() == "I"

    @pytest.mark.parametrize(("left", "right"), [(1, "I"), (4, "IV")])
    def test_are_right(self, left, right):
        assert roman(left) == right


@pytest.mark.skip(reason="the Romans had no zero")
def test_zero():
    raise AssertionError


@pytest.mark.skipif(sys.version_info >= (3,), reason="only for old Pythons")
def test_old():
    raise AssertionError


@pytest.mark.xfail(reason="forty is not written yet")
def test_forty():
    assert roman(40) == "XL"
"""
FAILING = """

def test_fails():
    assert roman(9) == "VIIII"
"""
CASES_OF_MODULE = 30


def write(cases: int, directory: Path, *, failing: bool = False) -> None:
    """Write a project with at least so many cases."""
    tests = directory / "tests"
    tests.mkdir(parents=True)
    (directory / "pyproject.toml").write_text(PYPROJECT)
    (directory / "numerals.py").write_text(PACKAGE)
    (tests / "conftest.py").write_text(CONFTEST)
    for module in range(-(-cases // CASES_OF_MODULE)):
        text = MODULE.format(start=10 * module + 1) + (FAILING if failing else "")
        (tests / f"test_numerals_{module:03}.py").write_text(text, encoding="utf-8")


def main() -> None:
    """Write the project."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=int)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--failing", action="store_true")
    options = parser.parse_args()
    write(options.cases, options.directory, failing=options.failing)


if __name__ == "__main__":
    main()
