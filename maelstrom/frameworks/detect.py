"""Guess the framework of a target from its content.

A program gives itself away by the strings and symbols its framework leaves in it, or by the shared
library it needs. TAP cannot be told from a plain program and has to be named.
"""

import ast
import mmap
from collections.abc import Iterable, Mapping
from typing import BinaryIO

Content = bytes | mmap.mmap
"""What a target consists of: in memory, or a file mapped there."""

# In this order: a program may use GoogleMock under another framework, but not the other way round.
MARKS: Mapping[str, tuple[bytes, ...]] = {
    "catch2": (b" is a Catch v", b" is a Catch2 v", b"libCatch2", b"N5Catch7Session"),
    "doctest": (b"[doctest] ", b"N7doctest7Context"),
    "boost": (
        b"libboost_unit_test_framework",
        b"libboost_prg_exec_monitor",
        b"N5boost9unit_test9framework",
        b"BOOST_TEST_LOG_LEVEL",
    ),
    "gtest": (
        b"libgtest.so",
        b"libgtest_main.so",
        b"libgmock.so",
        b"libgmock_main.so",
        b"gtest_list_tests",
        b"N7testing14InitGoogleTest",
    ),
}


def detect(path: str, content: Content) -> str:
    """Return the name of the framework that a program or Python file seems to use."""
    if path.endswith(".py"):
        return detect_python(content[:])
    for framework, marks in MARKS.items():
        if any(content.find(mark) >= 0 for mark in marks):
            return framework
    return "plain"


def detect_file(path: str, file: BinaryIO) -> str:
    """Return the framework of an open file; a large one is not read into memory."""
    try:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # Empty, or nothing that can be mapped.
        return detect(path, file.read())
    with content:
        return detect(path, content)


def detect_directory(sources: Iterable[bytes]) -> str:
    """Return the framework of a directory, given the Python files that look like tests."""
    found = {detect_python(source) for source in sources}
    # pytest runs unittest's cases too.
    return "unittest" if "unittest" in found and "pytest" not in found else "pytest"


def detect_python(source: bytes) -> str:
    """Return `pytest`, `unittest`, or `plain` for a script without any case."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return "pytest"  # It tells best what is wrong.
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    if "pytest" in imported or any(_is_pytest_case(node) for node in tree.body):
        return "pytest"
    return "unittest" if "unittest" in imported else "plain"


def _is_pytest_case(node: ast.stmt) -> bool:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name.startswith("test")
        case ast.ClassDef(name=name, bases=[]):
            return name.startswith("Test")
        case _:
            return False
