"""A kernel older than we can work with says so, and what to do: in a machine that has one."""

import subprocess
import sys

import pytest

from maelstrom.sandbox.launch import linux_version
from maelstrom.sandbox.remedies import LINUX_MIN

LINUX = linux_version()
pytestmark = pytest.mark.skipif(LINUX >= LINUX_MIN, reason="this kernel is not too old")
UNAVAILABLE = 4
HINT = f"this kernel is {LINUX[0]}.{LINUX[1]}; Linux 5.12 is the oldest"


def _sandbox(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "maelstrom.sandbox", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_check_says_so() -> None:
    told = _sandbox("--check")
    assert told.returncode == UNAVAILABLE, told
    assert HINT in told.stdout
    assert told.stdout.endswith("no rootless containers here\n")
    assert told.stderr == ""


def test_a_job_says_so() -> None:
    told = _sandbox("--layer", "/usr", "--", "/bin/true")
    assert told.returncode == UNAVAILABLE, told
    assert HINT in told.stderr
    assert "Traceback" not in told.stderr
