"""Connections break and come back: every job is told once, and nothing is done for nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from maelstrom.broker import daemon
from maelstrom.model.outcome import Cancelled, Exited
from maelstrom.wire import connection as connections
from tests.support.grid import Grid


@pytest.fixture
async def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Grid]:
    monkeypatch.setattr(connections, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(connections, "SILENCE_S_MAX", 0.4)
    grid = Grid(tmp_path)
    await grid.start_broker()
    yield grid
    await grid.close()


def check_all_passed(grid: Grid, count: int) -> None:
    assert grid.told == dict.fromkeys((str(number) for number in range(count)), 1)
    assert all(isinstance(outcome, Exited) for outcome in grid.outcomes.values()), grid.outcomes


@pytest.mark.parametrize("link", ["client", "worker"])
async def test_a_link_that_breaks_again_and_again_costs_no_job(
    link: str, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "WORKER_GRACE_S", 30.0)
    relay = await grid.add_relay()
    direct = f"plain:127.0.0.1:{grid.port}"
    worker = grid.add_worker(relay.address if link == "worker" else direct)
    session = grid.add_session(relay.address if link == "client" else direct)
    await grid.welcomed(session, worker)
    for number in range(60):
        grid.submit(session, str(number), 10)
        if number % 20 == 10:
            await asyncio.sleep(0.03)
            relay.break_all()
    for _ in range(3):
        await asyncio.sleep(0.05)
        relay.break_all()
    await grid.done()
    check_all_passed(grid, 60)
    assert max(grid.runs.values()) == 1, "what has run is reported, not run again"


@pytest.mark.parametrize("link", ["client", "worker"])
async def test_a_silent_link_is_noticed_and_made_anew(link: str, grid: Grid) -> None:
    relay = await grid.add_relay()
    direct = f"plain:127.0.0.1:{grid.port}"
    grid.add_worker(relay.address if link == "worker" else direct)
    session = grid.add_session(relay.address if link == "client" else direct)
    for number in range(20):
        grid.submit(session, str(number), 20)
    await asyncio.sleep(0.1)
    relay.hold()
    await asyncio.sleep(0.8)
    relay.mend()
    await grid.done()
    check_all_passed(grid, 20)


async def test_a_worker_that_is_away_too_long_finds_its_jobs_given_to_others(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "WORKER_GRACE_S", 0.1)
    relay = await grid.add_relay()
    grid.add_worker(relay.address, slots=1)
    session = grid.add_session(f"plain:127.0.0.1:{grid.port}")
    grid.submit(session, "0", 700)
    while not grid.runs["0"]:
        await asyncio.sleep(0.01)
    relay.cut()
    grid.add_worker(f"plain:127.0.0.1:{grid.port}", slots=1)
    while grid.runs["0"] < 2:
        await asyncio.sleep(0.01)
    relay.mend()
    await grid.done()
    check_all_passed(grid, 1)
    assert grid.runs == {"0": 2}


async def test_what_is_taken_back_during_a_cut_is_told_as_such(grid: Grid) -> None:
    relay = await grid.add_relay()
    session = grid.add_session(relay.address)
    number = grid.submit(session, "0", 60_000)
    await asyncio.sleep(0.2)
    relay.cut()
    await asyncio.sleep(0.1)
    session.cancel(number)
    relay.mend()
    await grid.done()
    assert grid.outcomes == {"0": Cancelled()}


async def test_a_person_hears_that_the_broker_is_away_and_back(grid: Grid) -> None:
    session = grid.add_session(f"plain:127.0.0.1:{grid.port}")
    notes: list[str] = []
    session.on_note = notes.append
    await grid.welcomed(session)
    await grid.stop_broker()
    while not notes:
        await asyncio.sleep(0.01)
    await grid.start_broker()
    while len(notes) < 2:
        await asyncio.sleep(0.01)
    assert "cannot reach the broker at plain:127.0.0.1" in notes[0]
    assert notes[1:] == ["the broker is there again"]


async def test_a_client_that_comes_a_moment_before_its_broker_waits_for_it(grid: Grid) -> None:
    await grid.stop_broker()
    address = f"plain:127.0.0.1:{grid.port}"
    notes: list[str] = []
    session = grid.add_session(address, notes.append)
    grid.submit(session, "0", 0)
    while not notes:
        await asyncio.sleep(0.01)
    await grid.start_broker()
    grid.add_worker(address)
    await grid.done()
    check_all_passed(grid, 1)
    assert notes == [
        f"cannot reach the broker at {address}: Connection refused; it is tried for 10 s",
        "the broker is there again",
    ]


async def test_a_broker_that_lost_its_memory_is_given_everything_anew(grid: Grid) -> None:
    grid.add_worker(f"plain:127.0.0.1:{grid.port}")
    session = grid.add_session(f"plain:127.0.0.1:{grid.port}")
    for number in range(12):
        grid.submit(session, str(number), 60)
    while len(grid.told) < 4:
        await asyncio.sleep(0.01)
    await grid.stop_broker()
    await asyncio.sleep(0.2)
    await grid.start_broker()
    await grid.done()
    check_all_passed(grid, 12)


async def test_a_worker_that_leaves_ends_what_it_runs(grid: Grid) -> None:
    worker = grid.add_worker(f"plain:127.0.0.1:{grid.port}", slots=1)
    session = grid.add_session(f"plain:127.0.0.1:{grid.port}")
    for number in range(3):
        grid.submit(session, str(number), 300)
    while not grid.runs["0"]:
        await asyncio.sleep(0.01)
    worker.stop()
    while "0" not in grid.told:
        await asyncio.sleep(0.01)
    grid.add_worker(f"plain:127.0.0.1:{grid.port}")
    await grid.done()
    check_all_passed(grid, 3)
    assert grid.runs == {"0": 1, "1": 1, "2": 1}
