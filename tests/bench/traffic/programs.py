"""Programs that are measured, or that make the others work; each a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.cluster import ROOT


class Program:
    """One that says on its first line that it is ready, and where, unless it is silent."""

    def __init__(self, module: str, *arguments: str, is_silent: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.first_line = "" if is_silent else self.hear()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def say(self, word: object) -> None:
        """Write a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """Read a line of it."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended")
        return line.rstrip()

    def cpu_s(self) -> float:
        """Return the processor time that all its threads have used, to the nanosecond."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            # A thread that ended meanwhile had done nothing for long.
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        self._process.communicate(timeout=20)
