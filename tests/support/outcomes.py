"""Build outcomes for tests, by hand or from a program run plainly on this host."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from maelstrom.model.outcome import (
    Effects,
    Exited,
    LimitExceeded,
    Output,
    Ran,
    Signaled,
    TimedOut,
)


def effects(
    stdout: str | bytes = b"",
    stderr: str | bytes = b"",
    *,
    duration_s: float = 0.25,
    worker: str = "here",
) -> Effects:
    """Return what a job left that printed this."""
    return Effects(
        stdout=Output(stdout.encode() if isinstance(stdout, str) else stdout),
        stderr=Output(stderr.encode() if isinstance(stderr, str) else stderr),
        duration_s=duration_s,
        cpu_user_s=duration_s / 2,
        memory_peak_bytes=1 << 20,
        worker=worker,
    )


def exited(status: int = 0, stdout: str | bytes = b"", stderr: str | bytes = b"") -> Exited:
    """Return the outcome of a program that ended by itself."""
    return Exited(status, effects(stdout, stderr))


def signaled(signal: int, stdout: str | bytes = b"", stderr: str | bytes = b"") -> Signaled:
    """Return the outcome of a program that was ended by a signal."""
    return Signaled(signal, effects(stdout, stderr))


def timed_out(stdout: str | bytes = b"", *, after_s: float = 5.0) -> TimedOut:
    """Return the outcome of a program whose time was up."""
    return TimedOut(effects(stdout, duration_s=after_s))


def limit_exceeded(limit: str = "memory", stdout: str | bytes = b"") -> LimitExceeded:
    """Return the outcome of a program that used too much of something."""
    return LimitExceeded(limit, effects(stdout))


def run_on_host(
    program: str,
    arguments: Iterable[str] = (),
    *,
    directory: Path,
    environment: Iterable[tuple[str, str]] = (),
    timeout_s: float = 60.0,
) -> Ran:
    """Run a program without a container and return its outcome."""
    try:
        done = subprocess.run(
            [program, *arguments],
            cwd=directory,
            env={**os.environ, **dict(environment)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return TimedOut(effects(late.stdout or b"", late.stderr or b"", duration_s=timeout_s))
    if done.returncode < 0:
        return signaled(-done.returncode, done.stdout, done.stderr)
    return exited(done.returncode, done.stdout, done.stderr)
