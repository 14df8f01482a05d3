"""What a target is made of tells its framework."""

from pathlib import Path

import pytest

from maelstrom.frameworks import detect, detect_directory, detect_file

PROGRAMS = {
    "shared GoogleTest": (b"\x7fELF..libgtest.so.1.12.1..", "gtest"),
    "static GoogleTest": (b"\x7fELF..--gtest_list_tests..", "gtest"),
    "Catch2 v2": (b"\x7fELF.. is a Catch v\0 host application.", "catch2"),
    "Catch2 v3": (b"\x7fELF.. is a Catch2 v\0 host application.", "catch2"),
    "doctest": (b"\x7fELF..[doctest] \0", "doctest"),
    "shared Boost.Test": (b"\x7fELF..libboost_unit_test_framework.so.1.74.0", "boost"),
    "static Boost.Test": (b"\x7fELF.._ZN5boost9unit_test9framework3runEmb", "boost"),
    "GoogleMock under Catch2": (b"\x7fELF..libgmock.so.. is a Catch v", "catch2"),
    "a plain program": (b"\x7fELF..not ok 1", "plain"),
    "nothing": (b"", "plain"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gives_itself_away(name: str) -> None:
    content, framework = PROGRAMS[name]
    assert detect("/b/t", content) == framework


PYTHONS = {
    "an import of pytest": (b"import pytest\n", "pytest"),
    "a test function": (b"def test_x(): pass\n", "pytest"),
    "an asynchronous one": (b"async def test_x(): pass\n", "pytest"),
    "a test class": (b"class TestX:\n  def test_y(self): pass\n", "pytest"),
    "unittest": (b"import unittest\nclass T(unittest.TestCase): pass\n", "unittest"),
    "unittest's names": (b"from unittest import TestCase\nclass TestX(TestCase): pass", "unittest"),
    "both": (b"import unittest.mock\ndef test_x(): pass\n", "pytest"),
    "a script": (b"import sys\nsys.exit(0)\n", "plain"),
    "broken syntax": (b"def test_x(:\n", "pytest"),
    "a NUL": (b"a\0b", "pytest"),
}


@pytest.mark.parametrize("name", PYTHONS)
def test_a_python_file_gives_itself_away(name: str) -> None:
    content, framework = PYTHONS[name]
    assert detect("tests/test_x.py", content) == framework


def test_a_directory_is_unittests_only_if_nothing_needs_pytest() -> None:
    pytests, unittests, script = b"def test_x(): pass", b"import unittest", b"x = 1"
    assert detect_directory([unittests, script]) == "unittest"
    assert detect_directory([unittests, pytests]) == "pytest"
    assert detect_directory([]) == "pytest"


def test_a_file_is_searched_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "t"
    for content, framework in ((b"\0" * 100_000 + b"libgtest.so", "gtest"), (b"", "plain")):
        path.write_bytes(content)
        with path.open("rb") as file:
            assert detect_file(str(path), file) == framework
