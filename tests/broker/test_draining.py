"""A broker that is asked to end: real processes, real signals."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from maelstrom.client.session import Session
from maelstrom.model.outcome import Exited, InfrastructureFault
from tests.support.grid import Grid

WAIT_S = 30


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    grid = Grid(tmp_path)
    yield grid
    await grid.close()


def ask(grid: Grid, number: signal.Signals) -> "subprocess.Popen[str]":
    assert grid.process is not None
    grid.process.send_signal(number)
    return grid.process


async def ended(process: "subprocess.Popen[str]") -> int:
    await asyncio.to_thread(process.communicate, timeout=WAIT_S)
    return process.returncode


async def begun(grid: Grid, *jobs: str) -> None:
    while not all(grid.runs[job] for job in jobs):
        await asyncio.sleep(0.01)


async def busy(grid: Grid, *, drain_s: str, job_ms: int) -> str:
    """Have a broker drain for so long at the most, and a job begun; return where it listens."""
    await grid.start_broker_process("--drain-time", drain_s)
    address = f"plain:127.0.0.1:{grid.port}"
    worker, session = grid.add_worker(address), grid.add_session(address)
    await grid.welcomed(session, worker)
    grid.submit(session, "long", job_ms)
    await begun(grid, "long")
    return address


async def waiting(grid: Grid, address: str) -> Session:
    """Return a client that came too late, and was told so in one line."""
    told: list[str] = []
    session = grid.add_session(address, told.append)
    while not told:
        await asyncio.sleep(0.01)
    assert told == ["the broker is draining: it takes no new clients; it is tried for 110 s"]
    assert session.failure is None
    return session


async def test_what_is_given_out_ends_and_the_rest_is_handed_over(grid: Grid) -> None:
    await grid.start_broker_process("--drain-time", "600")
    address = f"plain:127.0.0.1:{grid.port}"
    worker, session = grid.add_worker(address, slots=1), grid.add_session(address)
    await grid.welcomed(session, worker)
    for name in "0123456":
        # A worker of one slot gets three: one runs, two are ahead.
        grid.submit(session, name, 250)
    await begun(grid, "0")
    process = ask(grid, signal.SIGTERM)
    # Who comes now is told to wait for the next one. Who is here may go on: it is for that one.
    late = await waiting(grid, address)
    grid.submit(late, "late", 1)
    grid.submit(session, "7", 1)
    assert await ended(process) == 0
    assert sorted(grid.runs) == ["0", "1", "2"]
    await grid.start_broker_process()
    await grid.done()
    names = [*"01234567", "late"]
    assert grid.told == dict.fromkeys(names, 1)
    assert grid.runs == dict.fromkeys(names, 1), "nothing is run twice"
    assert all(isinstance(grid.outcomes[name], Exited) for name in names)


async def test_a_broker_that_drains_for_too_long_is_given_up(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = await busy(grid, drain_s="600", job_ms=600_000)
    process = ask(grid, signal.SIGTERM)
    late = await waiting(grid, address)
    monkeypatch.setattr("maelstrom.client.session.RECONNECT_S_MAX", 0.1)
    grid.submit(late, "late", 1)
    while "late" not in grid.told:
        await asyncio.sleep(0.01)
    assert grid.outcomes["late"] == InfrastructureFault(
        "the broker is draining: it takes no new clients"
    )
    ask(grid, signal.SIGTERM)
    assert await ended(process) == 0


async def test_what_takes_longer_goes_on_and_the_next_broker_hears_of_it(grid: Grid) -> None:
    await busy(grid, drain_s="0.1", job_ms=2500)
    assert await ended(ask(grid, signal.SIGTERM)) == 0
    assert not grid.told
    await grid.start_broker_process()
    await grid.done()
    assert isinstance(grid.outcomes["long"], Exited)
    assert (grid.told, grid.runs) == ({"long": 1}, {"long": 1})


async def test_a_second_signal_ends_it_at_once(grid: Grid) -> None:
    address = await busy(grid, drain_s="600", job_ms=600_000)
    process = ask(grid, signal.SIGTERM)
    # It drains, and says so to who comes now; so the first signal was heard.
    await waiting(grid, address)
    assert process.poll() is None
    ask(grid, signal.SIGTERM)
    assert await ended(process) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_one_that_runs_nothing_ends_at_the_first(number: signal.Signals, grid: Grid) -> None:
    await grid.start_broker_process("--drain-time", "600")
    session = grid.add_session(f"plain:127.0.0.1:{grid.port}")
    await grid.welcomed(session)
    grid.submit(session, "waits for a worker", 1)
    assert await ended(ask(grid, number)) == 0
    assert not grid.told
