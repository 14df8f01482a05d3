"""A job is the same whatever the process is like that starts the sandbox."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from maelstrom.model.outcome import Signaled
from tests.sandbox.conftest import Sandbox

LOOK = (
    "umask; cat /proc/self/status | while read -r name rest; do case $name in"
    " Sig[PBIC]*|Shd*|Core*|NoNew*|Groups*) echo $name $rest; esac; done;"
    " cat /proc/self/limits /proc/self/oom_score_adj /proc/self/coredump_filter"
    " /proc/self/timerslack_ns /proc/self/cgroup; ls -l /proc/self/fd | wc -l; env; pwd"
)
FIRST_FREE = 40


def _ignore_signals() -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def _leave_files_open() -> None:
    for number in range(FIRST_FREE, FIRST_FREE + 3):
        os.dup2(0, number)
        os.set_inheritable(number, True)


def _allow_core_dumps() -> None:
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def _be_limited() -> None:
    for limit, value in (
        (resource.RLIMIT_STACK, 1 << 20),
        (resource.RLIMIT_CPU, 1000),
        (resource.RLIMIT_FSIZE, 1 << 30),
        (resource.RLIMIT_AS, 1 << 40),
        (resource.RLIMIT_DATA, 1 << 40),
    ):
        resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))


def _be_odd() -> None:
    os.umask(0o077)
    _ignore_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    os.setsid()
    os.chdir("/usr")


def _have_other_limits() -> None:
    os.umask(0)
    _leave_files_open()
    _allow_core_dumps()
    _be_limited()


def _have_few_files() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (50, most))
    for number in (0, 2):
        os.close(number)


# Some at a time: each takes a sandbox of its own.
ODD: dict[str, Callable[[], object]] = {
    "a closed mask of modes, signals ignored and blocked, another session and place": _be_odd,
    "an open mask of modes, open files, core dumps, low limits": _have_other_limits,
    "few files, and closed streams": _have_few_files,
}


class Callers:
    """Starts sandboxes, and keeps what a job of an ordinary caller's sees."""

    def __init__(self, layer: Path) -> None:
        self._layer = layer
        self.usual = self.run(lambda: None)

    def run(self, prepare: Callable[[], object]) -> str:
        """Return what a job sees."""
        found = subprocess.run(
            [
                *(sys.executable, "-m", "maelstrom.sandbox", "--layer", str(self._layer)),
                *("--", "sh", "-c", LOOK),
            ],
            preexec_fn=prepare,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            check=True,
            text=True,
        )
        return found.stdout


@pytest.fixture(scope="module")
def callers(sandbox: Sandbox, layers_root: Path) -> Callers:
    """Where the host has a sandbox at all."""
    return Callers(layers_root / "shell")


@pytest.mark.parametrize("state", ODD)
def test_a_job_does_not_feel_that(callers: Callers, state: str) -> None:
    assert callers.run(ODD[state]) == callers.usual


def test_what_a_job_is_always_like(callers: Callers) -> None:
    lines = callers.usual.splitlines()
    assert lines[0] == "0022"
    for name in ("SigBlk", "SigCgt", "SigPnd", "ShdPnd"):
        assert f"{name}: {0:016x}" in lines
    assert "NoNewPrivs: 1" in lines
    (core,) = [line for line in lines if line.startswith("Max core file size")]
    # With 0 the kernel still hands a crash to the host's program for them, if there is one.
    assert core.split()[4:6] == ["1", "1"]


def test_a_crash_starts_no_program_of_the_hosts(sandbox: Sandbox) -> None:
    named = os.environ.get("MAELSTROM_TEST_CRASHED")
    if not named:
        pytest.skip("MAELSTROM_TEST_CRASHED names no file that is touched for each crash")

    def touched() -> int:
        return os.stat(named).st_mtime_ns if os.path.exists(named) else 0

    before = touched()
    assert isinstance(sandbox.run("/t", "abort"), Signaled)
    assert touched() == before
    # Outside it is.
    subprocess.run(["sh", "-c", "ulimit -c 0; kill -ABRT $$"], check=False)
    deadline_s = time.monotonic() + 20.0
    while touched() == before:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
