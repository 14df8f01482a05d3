"""A pseudo-terminal with a program in it, and a reading of what then stands on the screen."""

import contextlib
import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(
    script: str, *, columns: int = 80, meanwhile: Callable[[int, int], None] | None = None
) -> str:
    """Run a Python script on a terminal and return all it wrote; `meanwhile` gets pid and fd."""
    master, slave = os.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    environment.pop("NO_COLOR", None)
    resize(master, columns)
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=slave, stdout=slave, stderr=slave, cwd=ROOT,
        env=environment, start_new_session=True,
        # Whoever runs us in the background may have had it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )  # fmt: skip
    os.close(slave)
    written = b""
    deadline_s = time.monotonic() + 20
    with contextlib.suppress(OSError):  # Raised when the program is gone.
        while read := os.read(master, 65536):
            written += read
            assert time.monotonic() < deadline_s
            if meanwhile is not None and b"READY" in written:
                meanwhile(process.pid, master)
                meanwhile = None
    process.wait(10)
    os.close(master)
    return written.decode()


def resize(master: int, columns: int) -> None:
    """Make the terminal as wide as this."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))


def screen(written: str) -> list[str]:
    """Return the lines that stand on a tall terminal after all this was written to it."""
    rows, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x1b]", written):
        if part == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        elif part == "\r":
            column = 0
        elif part.endswith("A") and len(part) > 1:
            row -= int(part[2:-1])
            assert row >= 0, "the picture climbs out of the screen"
        elif part in ("\x1b[K", "\x1b[J"):
            rows[row] = rows[row][:column]
            if part == "\x1b[J":
                del rows[row + 1 :]
        elif not part.startswith("\x1b"):
            rows[row] = rows[row].ljust(column)[:column] + part + rows[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in rows]
