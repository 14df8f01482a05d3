"""Whatever is lost is replaced, whoever is killed leaves nothing, and nothing leaks."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.model.outcome import Cancelled, Exited, InfrastructureFault, Outcome
from maelstrom.model.spec import Bind, JobSpec
from maelstrom.sandbox import pool
from maelstrom.sandbox.pool import SlotPool, default_limits
from tests.sandbox.conftest import Sandbox, descendants

SLEEP = JobSpec(program="/t", arguments=("sleep", "100"))


@pytest.fixture
def fresh(sandbox: Sandbox, layers_root: Path) -> Iterator[Sandbox]:
    """Return a pool of two slots for this test alone."""
    made = Sandbox(layers_root, slots=2)
    made.start()
    yield made
    made.close()


def wait_until_gone(processes: dict[int, str]) -> None:
    """Wait until none of these processes lives."""
    deadline_s = time.monotonic() + 60
    while any(_is_alive(pid, name) for pid, name in processes.items()):
        assert time.monotonic() < deadline_s, "processes are left"
        time.sleep(0.01)


def _is_alive(pid: int, name: str) -> bool:
    try:
        content = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return f"({name}) " in content and ") Z" not in content


def test_a_slot_that_does_not_get_ready_is_not_waited_for(
    fresh: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    zygote = fresh.pool._zygote.pid
    os.kill(zygote, signal.SIGSTOP)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(pool, "READY_S_MAX", 0.2)
            # Of a kind that no slot is.
            outcome = fresh.run("/t", "true", user=77)
    finally:
        os.kill(zygote, signal.SIGCONT)
    assert isinstance(outcome, InfrastructureFault)
    words = f"cannot make a slot: cannot make it within 0.2 s: {os.strerror(errno.ETIME)}"
    assert outcome.message == words
    assert outcome.hint
    assert isinstance(fresh.run("/t", "true", user=77), Exited)
    assert list(descendants(os.getpid()).values()).count("maelstrom-slot") <= 2 + 1


async def _kill_while_running(pool: SlotPool, pick: str) -> Outcome:
    running = asyncio.create_task(pool.run(SLEEP, ("tool",), "job"))
    deadline_s = time.monotonic() + 10
    while True:
        below = descendants(os.getpid())
        chosen = [pid for pid, name in below.items() if name == pick]
        if chosen and "t" in below.values():
            break
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)
    # The slot with the job in it, if there are two.
    busy = next(pid for pid in chosen if "t" in descendants(pid).values())
    os.kill(busy, signal.SIGKILL)
    return await running


@pytest.mark.parametrize("pick", ["maelstrom-zyg", "maelstrom-out", "maelstrom-slot"])
def test_a_killed_part_is_our_fault_and_is_replaced(fresh: Sandbox, pick: str) -> None:
    outcome = fresh.runner.run(_kill_while_running(fresh.pool, pick))
    assert isinstance(outcome, InfrastructureFault)
    assert "lost while the job ran" in outcome.message
    assert isinstance(fresh.run("/t", "true"), Exited)
    assert list(descendants(os.getpid()).values()).count("t") == 0


def test_jobs_run_side_by_side(fresh: Sandbox, shared: str) -> None:
    def waits_for(other: str, own: str) -> JobSpec:
        script = f"touch /shared/{own}; until [ -e /shared/{other} ]; do sleep 0.01; done"
        mounts = (Bind("/shared", shared, is_read_only=False),)
        return JobSpec(program="sh", arguments=("-c", script), mounts=mounts, timeout_s=60)

    async def both() -> list[Outcome]:
        specs = (waits_for("ann", "bob"), waits_for("bob", "ann"))
        run = fresh.pool.run
        return list(
            await asyncio.gather(*(run(spec, ("shell",), f"{n}") for n, spec in enumerate(specs)))
        )

    assert all(isinstance(outcome, Exited) for outcome in fresh.runner.run(both()))


def test_slots_are_not_more_than_asked_for(fresh: Sandbox) -> None:
    for user in (1, 2, 3, 4, 1, 2):
        assert isinstance(fresh.run("/t", "true", user=user), Exited)
    # One more is that of the module's own sandbox.
    assert list(descendants(os.getpid()).values()).count("maelstrom-slot") <= 2 + 1


def test_a_job_may_be_cancelled_at_any_time(fresh: Sandbox) -> None:
    async def cancel_after(pause_s: float) -> Outcome:
        running = asyncio.create_task(fresh.pool.run(SLEEP, ("tool",), "job"))
        await asyncio.sleep(pause_s)
        fresh.pool.kill("job")
        fresh.pool.kill("job")
        return await running

    for pause_s in (0, 0, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05):
        assert fresh.runner.run(cancel_after(pause_s)) == Cancelled()
    assert isinstance(fresh.run("/t", "true"), Exited)
    fresh.pool.kill("nobody")


def test_a_cancelled_task_gives_its_slot_up(fresh: Sandbox) -> None:
    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fresh.pool.run(SLEEP, ("tool",), "job"), 0.1)

    fresh.runner.run(give_up())
    assert isinstance(fresh.run("/t", "true"), Exited)
    deadline_s = time.monotonic() + 10
    while "t" in descendants(os.getpid()).values():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_nothing_stays_after_close(sandbox: Sandbox, layers_root: Path) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    # Processes of other tests may be on their way out.
    before = open_files(), set(descendants(os.getpid()))
    made = Sandbox(layers_root, slots=2)
    made.start()
    for way in ("leave-files", "leave-daemon", "leave-ipc", "tamper"):
        made.run("/t", way)
    made.close()
    assert open_files() == before[0]
    assert set(descendants(os.getpid())) <= before[1]


def test_close_ends_running_jobs(sandbox: Sandbox, layers_root: Path) -> None:
    made = Sandbox(layers_root)
    made.start()
    before = descendants(os.getpid())

    async def close() -> Outcome:
        running = asyncio.create_task(made.pool.run(SLEEP, ("tool",), "job"))
        await asyncio.sleep(0.1)
        await made.pool.close()
        return await running

    assert isinstance(made.runner.run(close()), InfrastructureFault)
    assert isinstance(made.run("/t", "true"), InfrastructureFault)
    made.close()
    assert "t" not in descendants(os.getpid()).values()
    assert len(descendants(os.getpid())) < len(before)


WORKER = """
import asyncio, sys
from maelstrom.model.spec import JobSpec
from maelstrom.sandbox.pool import SlotPool, service_user
async def main():
    pool = SlotPool(slots=2, layers_root=sys.argv[1], service_user=service_user())
    await pool.start()
    spec = JobSpec(program="/t", arguments=("ignore-term",))
    await asyncio.gather(*(pool.run(spec, ("tool",), str(n)) for n in range(2)))
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_worker_leaves_no_process(
    sandbox: Sandbox, layers_root: Path, number: signal.Signals
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", WORKER, str(layers_root)]
    below: dict[int, str] = {}
    with subprocess.Popen(command, env=environment) as worker:
        while list(below.values()).count("t") < 2 and worker.poll() is None:
            time.sleep(0.01)
            below = descendants(worker.pid)
        worker.send_signal(number)
    assert worker.returncode == -number
    wait_until_gone(below)


def test_some_hundred_jobs_leak_nothing(fresh: Sandbox) -> None:
    def slots_files() -> list[str]:
        # The room for descriptors, since a slot does not even let its own user look at them.
        slots = [p for p, name in descendants(os.getpid()).items() if name == "maelstrom-slot"]
        states = [Path(f"/proc/{slot}/status").read_text() for slot in slots]
        return sorted(line for state in states for line in state.splitlines() if "FDSize" in line)

    async def many(count: int) -> None:
        for number in range(count):
            directory = f"/work{number % 3}"
            spec = JobSpec(program="/t", arguments=("true",), working_directory=directory)
            outcome = await fresh.pool.run(spec, ("tool",), "job")
            assert isinstance(outcome, Exited)

    fresh.runner.run(many(10))
    before = slots_files()
    fresh.runner.run(many(301))
    assert before
    # A slot lets go of the last job's files after its reply.
    deadline_s = time.monotonic() + 20
    while max(slots_files()) > max(before) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert max(slots_files()) <= max(before)


def test_defaults_share_the_machine_out() -> None:
    one, four = default_limits(1), default_limits(4)
    assert one.memory_bytes_max // four.memory_bytes_max == 4
    assert one.write_bytes_max < one.memory_bytes_max < 1 << 50
