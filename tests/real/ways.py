"""Run a command and see what it took; read what a run of ours said of its cases."""

import ctypes
import os
import resource
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

Verdicts = dict[str, str]
"""`passed`, `failed` or `skipped`, by a name that all ways have in common."""
PR_SET_CHILD_SUBREAPER = 36


class Ran(NamedTuple):
    """How a command went."""

    out: str
    wall_s: float
    cpu_s: float


def run(command: str, directory: Path, environment: Mapping[str, str] | None = None) -> Ran:
    """Run a line of shell and take its time; what it says goes into the result."""
    # Whatever is left by a child is ours to wait for: its CPU time then counts.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started_s = time.monotonic()
    done = subprocess.run(
        command,
        shell=True,
        cwd=directory,
        env={**os.environ, "PATH": _host_path(), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    wall_s = time.monotonic() - started_s
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(done.stdout.decode(errors="replace"), wall_s, cpu_s)


def _host_path() -> str:
    """Leave our own environment out: a project's `python3` is the host's."""
    own = os.path.dirname(sys.executable)
    return ":".join(path for path in os.environ["PATH"].split(":") if path != own)


def scons(*arguments: str) -> str:
    """Return the command of the SCons that is installed here."""
    return " ".join([sys.executable, "-m", "SCons", *arguments])


def told(junit: Path) -> Verdicts:
    """Read our report; a case's name begins with that of its target, unless they are one."""
    found: Verdicts = {}
    if not junit.exists():
        return found  # What was said instead is kept beside it.
    for suite in ET.parse(junit).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            kinds = {child.tag for child in case}
            is_bad = kinds & {"failure", "error"}
            words = dict.fromkeys([suite.get("name", ""), case.get("name", "")])
            found[" ".join(words)] = (
                "failed" if is_bad else "skipped" if "skipped" in kinds else "passed"
            )
    return found
