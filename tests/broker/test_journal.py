"""A broker that is killed and started anew goes on with what it had."""

import asyncio
import json
import signal
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from maelstrom.broker.database import Database
from maelstrom.broker.journal import NUMBERS_PER_START, Journal
from maelstrom.cli.admin import admin
from maelstrom.errors import StoreError
from maelstrom.model.ids import ClientId, JobId
from maelstrom.model.outcome import Exited
from maelstrom.wire import messages
from maelstrom.wire.greeting import Role
from maelstrom.wire.messages import Submit
from tests.support.grid import Grid
from tests.support.secured import Secured, Trust


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    grid = Grid(tmp_path)
    await grid.start_broker_process()
    yield grid
    await grid.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_jobs_outlive_the_broker(how: signal.Signals, grid: Grid) -> None:
    worker = grid.add_worker(f"plain:127.0.0.1:{grid.port}")
    session = grid.add_session(f"plain:127.0.0.1:{grid.port}")
    await grid.welcomed(session, worker)
    for number in range(14):
        grid.submit(session, str(number), 80)
    while len(grid.told) < 4:
        await asyncio.sleep(0.01)
    grid.end_broker_process(how)
    await asyncio.sleep(0.1)
    await grid.start_broker_process()
    await grid.done()
    assert grid.told == dict.fromkeys((str(number) for number in range(14)), 1)
    assert all(isinstance(outcome, Exited) for outcome in grid.outcomes.values()), grid.outcomes
    # What was on the worker was not run again; what a kill cut off between two takes may be.
    assert sum(grid.runs.values()) <= 14 + 4


async def test_an_outcome_waits_for_its_client(grid: Grid) -> None:
    relay = await grid.add_relay()
    worker = grid.add_worker(f"plain:127.0.0.1:{grid.port}")
    session = grid.add_session(relay.address)
    await grid.welcomed(session, worker)
    grid.submit(session, "0", 150)
    while not grid.runs["0"]:
        await asyncio.sleep(0.01)
    relay.cut()
    await asyncio.sleep(0.4)
    assert not grid.told
    grid.end_broker_process(signal.SIGKILL)
    await grid.start_broker_process()
    worker.stop()
    relay.mend()
    await grid.done()
    assert isinstance(grid.outcomes["0"], Exited)
    assert grid.runs == {"0": 1}


async def test_no_id_is_given_twice(tmp_path: Path) -> None:
    for start in range(3):
        journal = Journal(tmp_path / "j.sqlite")
        assert journal.first_number == start * NUMBERS_PER_START + 1
        journal.close()


async def test_what_operators_said_outlives_the_broker(grid: Grid) -> None:
    """And whose a client is: its jobs of before count for its owner's limits."""
    for words in (
        ["drain", "w0"],
        ["drain", "w1"],
        ["undrain", "w1"],
        ["limit", "client/ann", "--slots", "1", "--priority", "2"],
        ["limit", "client/bob", "--jobs", "9"],
        ["limit", "client/bob", "--reset"],
    ):
        if words[0] == "drain":
            worker = grid.add_worker(f"plain:127.0.0.1:{grid.port}")
            await grid.welcomed(worker)
        where = ["--broker", f"plain:127.0.0.1:{grid.port}"]
        while (done := CliRunner().invoke(admin, [words[0], *where, *words[1:]])).exit_code:
            assert "there is no worker" in str(done.exception), done.exception
            await asyncio.sleep(0.02)
    grid.end_broker_process(signal.SIGTERM)
    await grid.start_broker_process()
    states: dict[str, str] = {}
    where = ["--broker", f"plain:127.0.0.1:{grid.port}"]
    while len(states) < 2:
        await asyncio.sleep(0.05)
        told = CliRunner().invoke(admin, ["status", "--json", *where])
        states = {each["name"]: each["state"] for each in json.loads(told.output)["workers"]}
    assert states == {"w0": "draining", "w1": "here"}
    done = CliRunner().invoke(admin, ["limit", *where, "client/ann", "--jobs", "7"])
    assert "may have 7 jobs, 68719476736 bytes, 1 slots, priority 2" in done.output


async def test_whose_a_client_is_outlives_the_broker(tmp_path: Path) -> None:
    trust = Trust(tmp_path)
    first = Secured(trust, tmp_path, journal=Journal(tmp_path / "j.sqlite"))
    submit = messages.Submit(1, b"spec", ())
    await first.knock(trust.tls("client/ann"), Role.CLIENT, submit)
    while not first.broker.jobs:
        await asyncio.sleep(0.01)
    await first.close()
    again = Secured(trust, tmp_path, journal=Journal(tmp_path / "j.sqlite"))
    await again.broker.restore()
    [client] = again.broker.clients.values()
    assert (client.owner, str(client.identity)) == ("client/ann", "client/ann")
    assert again.broker.quotas.usage("client/ann")[0] == 1
    await again.close()


async def test_what_is_closed_is_found_again(tmp_path: Path) -> None:
    submit = Submit(7, b"spec", ())
    journal = Journal(tmp_path / "deep" / "j.sqlite")
    journal.join(ClientId(3), "token")
    journal.submit(JobId(ClientId(3), 7), submit)
    journal.close()
    journal = Journal(tmp_path / "deep" / "j.sqlite")
    assert journal.clients() == [(ClientId(3), "token")]
    assert list(journal.jobs()) == [(JobId(ClientId(3), 7), submit, 0, None)]
    journal.close()


def of_another_format(path: Path) -> None:
    sqlite3.connect(path).execute("PRAGMA user_version = 99")


def noise(path: Path) -> None:
    path.write_bytes(b"noise" * 1000)


def a_directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [of_another_format, noise, a_directory])
def test_a_file_that_cannot_be_used_is_refused(spoil: object, tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    assert callable(spoil)
    spoil(path)
    with pytest.raises(StoreError, match=r"cannot use .*j\.sqlite"):
        Database(path, ())


def test_a_file_belongs_to_one_broker(tmp_path: Path) -> None:
    first = Database(tmp_path / "j.sqlite", ())
    with pytest.raises(StoreError, match="locked") as caught:
        Database(tmp_path / "j.sqlite", ())
    assert "another broker" in caught.value.hint
    first.close()
    Database(tmp_path / "j.sqlite", ()).close()


def test_what_cannot_be_written_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("maelstrom.broker.database.RETRY_S", 0.01)
    database = Database(tmp_path / "j.sqlite", ("CREATE TABLE IF NOT EXISTS t (x)",))
    database.run("PRAGMA max_page_count = 1")
    written = threading.Event()
    rows = [(b"x" * 100_000,)] * 20
    database.write(lambda: [("INSERT INTO t VALUES (?)", [*rows])], written.set)
    while not caplog.records:
        time.sleep(0.01)
    [record] = caplog.records
    assert record.msg == "journal not written"
    assert "full" in record.fields["reason"]  # type: ignore[attr-defined]
    database._connection.execute("PRAGMA max_page_count = 100000")
    assert written.wait(30)
    assert len(caplog.records) == 1
    database.close()
    again = Database(tmp_path / "j.sqlite", ())
    assert again.run("SELECT count(*) FROM t") == [(20,)]
    again.close()
