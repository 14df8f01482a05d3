"""A job with a slot for itself, whose process was made ahead, and waits in the slot."""

import asyncio
import errno
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maelstrom.model.outcome import Cancelled, ExecutionError, Exited, Outcome
from maelstrom.model.spec import Bind, JobSpec, Network, Terminal, Tmp
from maelstrom.sandbox.ports import Terminal as TerminalPort
from maelstrom.sandbox.ports import Ties
from tests.sandbox.conftest import Sandbox, descendants, needs_identities, text
from tests.sandbox.injection import FORESEE, JOB, WAIT
from tests.sandbox.test_injection import Injected, _complaint, injected_sandbox

WAIT_S_MAX = 60.0
ROOT: dict[str, Any] = {"user": 0, "group": 0, "has_powers": True}
WAITS = "maelstrom-next"
# What a program may know of itself.
LOOK = """
cat /proc/self/status
echo; cat /proc/self/mountinfo
echo; cat /proc/self/limits /proc/self/oom_score_adj /proc/self/uid_map /proc/self/gid_map
cat /proc/self/setgroups /proc/net/dev
ls -l /proc/self/fd
pwd; env; hostname; id
read -r _ _ _ parent group session terminal _ < /proc/self/stat
echo $$ $parent $group $session $terminal
"""
# Of its status, what is never the same; of its mounts, their numbers.
CHANGES = re.compile(
    r"^(Vm|Rss|SigQ|.*ctxt_switches|Mems|Cpus).*\n|^\d+ \d+ \d+:\d+ |pipe:.*", re.M
)


@pytest.fixture
def fresh(sandbox: Sandbox, layers_root: Path) -> Iterator[Sandbox]:
    """Return a pool for this test alone."""
    made = Sandbox(layers_root)
    made.start()
    yield made
    made.close()


def settle(sandbox: Sandbox) -> None:
    """Wait until the next slot is told what to make ready for."""

    async def wait() -> None:
        await asyncio.gather(*sandbox.pool._spares)

    sandbox.runner.run(wait())


def waiting(sandbox: Sandbox) -> int:
    """Return the only process that waits for a job."""
    settle(sandbox)
    deadline_s = time.monotonic() + WAIT_S_MAX
    while True:
        names = descendants(os.getpid())
        found = [pid for pid, name in names.items() if name == WAITS]
        if found:
            (pid,) = found
            return pid
        assert time.monotonic() < deadline_s, f"nothing waits: {names}"
        time.sleep(0.001)


def is_gone(pid: int) -> bool:
    """Wait until a process has ended."""
    deadline_s = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < deadline_s:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.001)
    return False


async def _names_of(pid: int, sandbox: Sandbox, job: JobSpec) -> set[str]:
    """Run a job that does not end, until there is one; return what a process was called."""
    ties = Ties(terminal=TerminalPort(lambda _content: None) if job.terminal else None)
    running = asyncio.create_task(sandbox.pool.run(job, ("tool", "shell"), "job", ties))
    seen: set[str] = set()
    below: dict[int, str] = {}
    while "t" not in below.values() and not running.done():
        await asyncio.sleep(0.001)
        below = descendants(os.getpid())
        seen.add(below.get(pid, ""))
    sandbox.pool.kill("job")
    assert isinstance(await running, Cancelled)
    return seen


@pytest.mark.parametrize("fields", [ROOT, {"terminal": Terminal(30, 90)}], ids=["root", "terminal"])
def test_the_process_that_waits_becomes_the_job(fresh: Sandbox, fields: dict[str, Any]) -> None:
    job = JobSpec(program="/t", arguments=("sleep", "100"), **fields)
    fresh.runner.run(_names_of(0, fresh, job))
    pid = waiting(fresh)
    assert "t" in fresh.runner.run(_names_of(pid, fresh, job))
    assert is_gone(pid)


def test_where_it_does_not_fit_it_is_gone_before_the_job_begins(fresh: Sandbox) -> None:
    for layers in (("tool", "shell"), ("shell",), ("shell", "small0")):
        assert text(fresh.run("sh", "-c", "echo $$", layers=layers, **ROOT)) == "2\n"
        waiting(fresh)
    pid = waiting(fresh)
    job = JobSpec(program="/t", arguments=("sleep", "100"), **ROOT)
    assert "t" not in fresh.runner.run(_names_of(pid, fresh, job))
    assert is_gone(pid)


def _look(sandbox: Sandbox, **fields: Any) -> str:
    return CHANGES.sub("", text(sandbox.run("sh", "-c", LOOK, **fields)))


def test_it_sees_what_a_process_sees_that_was_not_made_ahead(fresh: Sandbox) -> None:
    fields = {"network": Network.LOOPBACK, "working_directory": "/work", **ROOT}
    first = _look(fresh, **fields)
    pid = waiting(fresh)
    assert _look(fresh, **fields) == first
    assert is_gone(pid)
    assert "\nNSpid:\t" in first
    assert first.endswith("\n2 1 2 2 0\n")


def test_so_does_one_with_several_identities(fresh: Sandbox, must_sandbox: bool) -> None:
    needs_identities(must_sandbox)
    fields = {"has_identities": True, "groups": (7, 8), **ROOT}
    first = _look(fresh, **fields)
    pid = waiting(fresh)
    assert _look(fresh, **fields) == first
    assert is_gone(pid)
    assert first.endswith("groups=0,7,8\n2 1 2 2 0\n")


def _shown(sandbox: Sandbox, size: Terminal) -> bytes:
    """Run a job on a terminal of this size; return what it shows."""
    shown = bytearray()

    def show(content: bytes) -> None:
        shown.extend(content)
        # A terminal may show the end of a line by itself.
        if shown.endswith(b"ready\r\n"):
            port.type(b"typed\n")

    port = TerminalPort(show)
    script = "test -t 0 && test -t 1 && stty size; echo ready; read x; echo $x $$"
    job = JobSpec(program="sh", arguments=("-c", script), terminal=size, timeout_s=20.0)
    running = sandbox.pool.run(job, ("tool", "shell"), "job", Ties(terminal=port))
    assert isinstance(sandbox.runner.run(running), Exited)
    return bytes(shown)


def test_a_terminal_is_there_when_the_program_is(fresh: Sandbox) -> None:
    for size in (Terminal(30, 90), Terminal(40, 80)):
        shown = _shown(fresh, size)
        assert shown.startswith(f"{size.rows} {size.columns}\r\n".encode())
        assert shown.endswith(b"typed 2\r\n")
        waiting(fresh)


@pytest.mark.parametrize(
    ("fields", "script", "words"),
    [
        ({"stdin": b"some input"}, "cat", "some input"),
        ({"stdin": b"x" * 300_000}, "wc -c", "300000\n"),
        ({"stdin_file": "/etc/passwd"}, "wc -l", "1\n"),
        ({"working_directory": "/tmp"}, "pwd", "/tmp\n"),
        ({"environment": (("ONE", "1" * 100_000),)}, "echo ${#ONE}", "100000\n"),
        ({"network": Network.LOOPBACK}, "wc -l < /proc/net/dev", "3\n"),
        ({"mounts": (Tmp("/other"),)}, "echo x > /other/x && echo $?", "0\n"),
        ({"devices": ("null",)}, "cd /dev; echo *n*l*", "null\n"),
    ],
)
def test_what_it_is_told_is_as_if_nothing_had_been_foreseen(
    fresh: Sandbox, fields: dict[str, Any], script: str, words: str
) -> None:
    fresh.run("id", **ROOT)
    pid = waiting(fresh)
    outcome = fresh.run("sh", "-c", f"{script}; echo $$", **fields, **ROOT)
    assert text(outcome) == f"{words}2\n"
    assert is_gone(pid)


@pytest.mark.parametrize(
    ("command", "fields", "words"),
    [
        (("nothing",), {}, "program `nothing` is not in the container"),
        (("/dev",), {}, "program `/dev` is a directory"),
        (("id",), {"stdin_file": "/none"}, "cannot open `/none` for stdin"),
    ],
)
def test_a_refusal_has_the_words_it_always_has(
    fresh: Sandbox, command: tuple[str, ...], fields: dict[str, Any], words: str
) -> None:
    first = fresh.run(*command, **fields, **ROOT)
    pid = waiting(fresh)
    second = fresh.run(*command, **fields, **ROOT)
    assert isinstance(first, ExecutionError)
    assert words in first.message
    assert first == second
    assert is_gone(pid)


def test_a_bind_is_what_the_host_has_there_when_the_job_comes(fresh: Sandbox, shared: str) -> None:
    given = Path(shared, "given")
    given.chmod(0o644)
    fields = {"mounts": (Bind("/bound", str(given)),), **ROOT}
    assert text(fresh.run("cat", "/bound", **fields)) == "given\n"
    pid = waiting(fresh)
    Path(shared, "other").write_text("other\n")
    Path(shared, "other").replace(given)
    assert text(fresh.run("cat", "/bound", **fields)) == "other\n"
    assert is_gone(pid)


def test_one_that_was_killed_costs_no_job(fresh: Sandbox) -> None:
    fresh.run("id", **ROOT)
    pid = waiting(fresh)
    os.kill(pid, signal.SIGKILL)
    assert text(fresh.run("sh", "-c", "echo $$", **ROOT)) == "2\n"
    assert is_gone(pid)


def test_a_job_takes_no_time_before_it_begins(fresh: Sandbox) -> None:
    fresh.run("id", **ROOT)
    waiting(fresh)
    time.sleep(0.05)
    began_s = time.monotonic()
    outcome = fresh.run("id", **ROOT)
    assert isinstance(outcome, Exited)
    assert outcome.effects.duration_s < time.monotonic() - began_s


def test_nothing_waits_when_the_pool_is_closed(sandbox: Sandbox, layers_root: Path) -> None:
    made = Sandbox(layers_root)
    made.start()
    made.run("id", **ROOT)
    pid = waiting(made)
    made.close()
    assert is_gone(pid)


@pytest.mark.parametrize("name", ["maelstrom-slot", "maelstrom-out", "maelstrom-zyg"])
def test_nothing_waits_when_a_process_above_was_killed(fresh: Sandbox, name: str) -> None:
    fresh.run("id", **ROOT)
    pid = waiting(fresh)
    above = [
        one
        for one, its_name in descendants(os.getpid()).items()
        if its_name == name and pid in descendants(one)
    ]
    os.kill(above[-1], signal.SIGKILL)
    assert is_gone(pid)


@pytest.fixture(scope="module")
def injected(
    sandbox: Sandbox, layers_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Injected]:
    with injected_sandbox(layers_root, tmp_path_factory.mktemp("control") / "control") as made:
        made.spec = JobSpec(program="sh", arguments=("-c", "echo $$"), timeout_s=20.0, **ROOT)
        yield made


def _run(injected: Injected, phase: int = 0, at: int = 0) -> Outcome:
    """Run a job, and wait until the next slot is ready."""
    outcome = injected.run(phase, errno.ENOMEM, at, group=0)
    settle(injected.sandbox)
    injected.look()
    return outcome


@pytest.mark.parametrize(
    ("phase", "calls_min"),
    [(FORESEE, 50), (WAIT, 12), (JOB, 15)],
    ids=["ahead", "in what waits", "begun"],
)
def test_what_fails_is_told_and_costs_the_next_job_nothing(
    injected: Injected, phase: int, calls_min: int
) -> None:
    _run(injected)
    complaints = []
    at = 0
    is_over = False
    while not is_over:
        at += 1
        # What waits has calls to make for this job, and then that of the next slot for the next.
        outcome = _run(injected, phase, at)
        name = injected.sight.name
        is_over = not name
        complaint = _complaint(outcome, errno.ENOMEM, injected.sight)
        if not complaint and text(_run(injected)) != "2\n":
            complaint = "the next job is not as ever"
        if complaint:
            complaints.append((at, name, complaint, outcome))
    assert not complaints, "\n".join(map(str, complaints))
    assert at > calls_min
