"""Load the cases of a unittest target, or run one of them.

    list|run SEPARATOR '["path", "test id"]' [ARGUMENT...]

Rules of this script:
1. The finding is one line behind the separator, written to the stdout we were started with,
   whatever the case did to it.
2. The exit status is 0 only for a case that passed or was skipped, or a listing that is whole.
3. Tests that share an id (load_tests can make such) are told apart by a number: `id #2`.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import re
import sys
import traceback
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REASON_LENGTH_MAX = 1000


def tell(stdout: int, separator: str, finding: dict[str, Any]) -> None:
    """Write the finding behind the separator."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # The case may have closed it.
        sys.stdout.flush()
    text = re.sub("[\ud800-\udfff]", "\ufffd", json.dumps(finding, ensure_ascii=False))
    line = f"\n{separator} {text}\n".encode()
    while line:
        line = line[os.write(stdout, line) :]


def top_directory(path: Path) -> Path:
    """Return the directory that is not itself in a package: where imports start."""
    directory = path if path.is_dir() else path.parent
    while (directory / "__init__.py").exists() and directory != Path.cwd():
        directory = directory.parent
    return directory


def load(target: str) -> unittest.TestSuite:
    """Load a file, or discover what is in a directory."""
    path = Path.cwd() / target
    top = top_directory(path)
    loader = unittest.TestLoader()
    if path.is_dir():
        return loader.discover(str(path), top_level_dir=str(top))
    sys.path.insert(0, str(top))
    name = ".".join(path.relative_to(top).with_suffix("").parts)
    return loader.loadTestsFromModule(importlib.import_module(name))


def each(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Go through all tests in a tree of suites."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each(test)
        else:
            yield test


def named(suite: unittest.TestSuite) -> Iterator[tuple[str, unittest.TestCase]]:
    """Give each test a name of its own."""
    seen: dict[str, int] = {}
    for test in each(suite):
        name = test.id()
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name} #{seen[name]}"), test


def place(test: unittest.TestCase) -> tuple[str, int]:
    """Return the file and line of a test, if it has one."""
    method = getattr(test, getattr(test, "_testMethodName", ""), None)
    try:
        function: Any = inspect.unwrap(method)  # type: ignore[arg-type]  # Else TypeError.
        code = function.__code__
    except (AttributeError, TypeError, ValueError):
        return "", 0
    path = Path(code.co_filename)
    if not path.is_relative_to(Path.cwd()):
        return "", 0
    return str(path.relative_to(Path.cwd())), code.co_firstlineno


class Verdict(unittest.TestResult):
    """What became of the one case."""

    def __init__(self) -> None:
        super().__init__()
        self.status = ""
        self.reason = ""

    def addSuccess(self, test: unittest.TestCase) -> None:
        self._settle("passed", "")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self._fail("", err, self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        # Not a test but a fixture of a class or module: `setUpClass (module.Class)`.
        where = "" if isinstance(test, unittest.TestCase) else f"{test.id()}: "
        self._fail(where, err, self.errors[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            told = (self.failures if issubclass(err[0], test.failureException) else self.errors)[-1]
            self._fail(str(getattr(subtest, "_subDescription", str)()) + ": ", err, told[1])

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._settle("skipped", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._settle("passed", f"failed as expected: {last_line(err)}")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self._settle("failed", "passed, although it is marked as an expected failure")

    def _fail(self, where: str, err: Any, told: str) -> None:
        sys.stderr.write(told)
        line = last_line(err)
        self._settle("failed", f"{where}{blame(err)}{line}")

    def _settle(self, status: str, reason: str) -> None:
        # The first failure is the one to tell, and nothing that comes later mends it.
        if self.status != "failed":
            self.status, self.reason = status, reason


def last_line(err: Any) -> str:
    """Return the exception in one line."""
    told = "".join(traceback.format_exception_only(err[0], err[1])).strip()
    # A module that cannot be imported: the traceback is in the message.
    if "\nTraceback (most recent call last):\n" in told:
        told = told.splitlines()[-1]
    return " ".join(told.split())


def blame(err: Any) -> str:
    """Return the place in the test where an exception came from, outside unittest itself."""
    place = ""
    for frame in traceback.extract_tb(err[2]):
        path = Path(frame.filename)
        if path.is_relative_to(Path.cwd()):
            place = f"{path.relative_to(Path.cwd())}:{frame.lineno}: "
    return place


def prepare() -> None:
    """Load what any case needs: that is done."""


def main() -> int:
    """Do what the arguments say and return the exit status."""
    mode, separator, (target, case) = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    stdout = os.dup(1)
    sys.path[0] = str(Path.cwd())
    sys.argv[:] = ["unittest", *sys.argv[4:]]
    suite = load(target)
    if mode == "list":
        cases = []
        for name, test in named(suite):
            file, line = place(test)
            cases.append({"name": name, "file": file, "line": line})
        tell(stdout, separator, {"cases": cases})
        return 0
    return run(stdout, separator, case, suite)


def run(stdout: int, separator: str, case: str, suite: unittest.TestSuite) -> int:
    """Run one case."""
    test = next((test for name, test in named(suite) if name == case), None)
    if test is None:
        tell(stdout, separator, {"status": "missing"})
        return 5
    verdict = Verdict()
    # A suite, so that the fixtures of class and module run too.
    unittest.TestSuite([test]).run(verdict)
    sys.stderr.flush()
    status = verdict.status or "failed"
    reason = verdict.reason if verdict.status else "the case told no result"
    tell(stdout, separator, {"status": status, "reason": reason[:REASON_LENGTH_MAX]})
    return 0 if status in ("passed", "skipped") else 1
