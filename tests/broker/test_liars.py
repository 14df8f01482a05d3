"""A real broker, an honest worker and an honest client, and a peer that lies, repeats or floods."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from maelstrom.model.digest import Digest
from maelstrom.model.outcome import Exited, InfrastructureFault, Outcome
from maelstrom.model.spec import JobSpec
from maelstrom.wire import messages
from maelstrom.wire.connection import encode
from maelstrom.wire.framing import frame
from maelstrom.wire.greeting import Role
from tests.support.by_hand import TO_WORKER, Peer, greeting
from tests.support.grid import Grid
from tests.support.outcomes import exited
from tests.support.parcels import parcel

FLOOD = 20_000
SPEC = JobSpec(program="/x", arguments=("0",)).encode()
NOT_UTF8 = JobSpec(program="/xyz", arguments=("0",)).encode().replace(b"/xyz", b"/x\xff\xff")


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    grid = Grid(tmp_path)
    await grid.start_broker_process()
    yield grid
    await grid.close()


def address(grid: Grid) -> str:
    return f"plain:127.0.0.1:{grid.port}"


def come_as_worker(grid: Grid, join: messages.Join) -> Peer:
    peer = Peer(address(grid), greeting(Role.WORKER))
    peer.body()
    peer.until(messages.Welcome, TO_WORKER)
    peer.send(join)
    return peer


def come_as_client(grid: Grid, token: str = "") -> tuple[Peer, str]:
    peer = Peer(address(grid), greeting(Role.CLIENT, token))
    peer.body()
    return peer, peer.until(messages.Welcome).token


async def are_served(grid: Grid, count: int = 4) -> None:
    """See that an honest client's jobs are run by an honest worker, each told once."""
    worker, session = grid.add_worker(address(grid)), grid.add_session(address(grid))
    await grid.welcomed(session, worker)
    for number in range(count):
        grid.submit(session, f"late {number}", 1)
    await grid.done()
    for number in range(count):
        assert grid.told[f"late {number}"] == 1
        assert isinstance(grid.outcomes[f"late {number}"], Exited)
    assert session.failure is None


OUTCOMES = {
    "noise": b"junk",
    "nothing": b"",
    "text that is none": encode(InfrastructureFault("abc")).replace(b"abc", b"\xff\xff\xff"),
    "cut off": encode(exited(0))[:-3],
}


@pytest.mark.parametrize("name", OUTCOMES)
async def test_a_worker_that_reports_nonsense_is_let_go_and_its_job_run(
    name: str, grid: Grid
) -> None:
    liar = await asyncio.to_thread(come_as_worker, grid, messages.Join("liar", 1))
    session = grid.add_session(address(grid))
    grid.submit(session, "first", 1)
    given = await asyncio.to_thread(liar.until, messages.Assign, TO_WORKER)
    liar.send(messages.Report(given.job, given.attempt, OUTCOMES[name], is_fault=False))
    told = await asyncio.to_thread(liar.goodbye, TO_WORKER)
    assert "cannot be read" in told.message
    await are_served(grid)
    assert grid.told["first"] == 1
    liar.close()


async def test_what_a_worker_says_of_its_outcome_is_not_believed(grid: Grid) -> None:
    """A failure that is called a pass to be kept, and a pass that is called a fault."""
    liar = await asyncio.to_thread(come_as_worker, grid, messages.Join("liar", 1))
    session = grid.add_session(address(grid))
    for outcome in (exited(1), exited(0)):
        grid.submit(session, "/same", 1, may_be_cached=True)
        given = await asyncio.to_thread(liar.until, messages.Assign, TO_WORKER)
        liar.send(
            messages.Report(given.job, given.attempt, encode(outcome), True, is_keepable=True)
        )
        await grid.done()
        told = grid.outcomes["/same"]
        assert isinstance(told, Exited)
        assert (told.status, told.effects.is_cached) == (outcome.status, False)
    liar.close()
    await are_served(grid)


@pytest.mark.parametrize(
    ("join", "reason"),
    [
        (messages.Join("x", 0), "without slots"),
        (messages.Join("x", 1 << 40), "slots; the limit is 4096"),
        (messages.Join("x", 1, (("gpu", -1),)), "cannot have -1 of `gpu`"),
        (messages.Join("x", 1, (("gpu", 1), ("gpu", 9))), "has a resource twice"),
    ],
)
async def test_a_worker_that_lies_about_its_slots_is_refused(
    join: messages.Join, reason: str, grid: Grid
) -> None:
    liar = await asyncio.to_thread(come_as_worker, grid, join)
    assert reason in (await asyncio.to_thread(liar.goodbye, TO_WORKER)).message
    liar.close()
    await are_served(grid)


async def test_a_worker_gives_nothing_that_it_did_not_announce(grid: Grid) -> None:
    liar = Peer(address(grid), greeting(Role.WORKER))
    await asyncio.to_thread(liar.body)
    token = (await asyncio.to_thread(liar.until, messages.Welcome, TO_WORKER)).token
    blobs = Peer(address(grid), greeting(Role.BLOBS, token))
    await asyncio.to_thread(blobs.body)
    blobs.send(parcel(b"what nobody wants"))
    codec = TO_WORKER
    assert "without being asked" in (await asyncio.to_thread(blobs.goodbye, codec)).message
    for peer in (liar, blobs):
        peer.close()
    await are_served(grid)


async def test_what_is_said_twice_happens_once(grid: Grid) -> None:
    """All that a worker and a client said, said again by new connections."""
    worker = await asyncio.to_thread(come_as_worker, grid, messages.Join("liar", 1))
    client, token = await asyncio.to_thread(come_as_client, grid)
    submit = messages.Submit(1, SPEC, ())
    client.send(submit)
    given = await asyncio.to_thread(worker.until, messages.Assign, TO_WORKER)
    report = messages.Report(given.job, given.attempt, encode(exited(0)), is_fault=False)
    worker.send(report, report)
    assert (await asyncio.to_thread(client.until, messages.Ended)).number == 1
    again = await asyncio.to_thread(come_as_worker, grid, messages.Join("liar", 1))
    again.send(report, messages.Return(given.job, given.attempt))
    thief, _ = await asyncio.to_thread(come_as_client, grid, token)
    thief.send(submit, submit)
    assert "submitted twice" in (await asyncio.to_thread(thief.goodbye)).message
    for peer in (worker, again, client, thief):
        peer.close()
    await are_served(grid)


JOBS = {
    "an amount of nothing": messages.Submit(1, SPEC, (), (("slots", 0),)),
    "less than nothing": messages.Submit(1, SPEC, (), (("gpu", -1),)),
    "a resource twice": messages.Submit(1, SPEC, (), (("gpu", 1), ("gpu", 1))),
    "a nameless resource": messages.Submit(1, SPEC, (), (("", 1),)),
    "a number without end": messages.Submit((1 << 64) - 1, SPEC, ()),
    "a priority without end": messages.Submit(1, SPEC, (), priority=1 << 62),
    "no number": messages.Submit(1, SPEC, (), estimate_s=float("nan")),
    "many layers": messages.Submit(1, SPEC, (Digest.of(b""),) * 201),
}


@pytest.mark.parametrize("name", JOBS)
async def test_a_job_that_cannot_be_is_refused_with_its_client(name: str, grid: Grid) -> None:
    client, _ = await asyncio.to_thread(come_as_client, grid)
    client.send(JOBS[name])
    told = await asyncio.to_thread(client.goodbye)
    assert "job 1" in told.message or "18446744073709551615" in told.message
    client.close()
    await are_served(grid)


async def test_a_spec_that_no_worker_can_read_is_its_clients_fault(grid: Grid) -> None:
    worker = grid.add_worker(address(grid))
    await grid.welcomed(worker)
    client, _ = await asyncio.to_thread(come_as_client, grid)
    client.send(messages.Submit(1, NOT_UTF8, ()))
    told = await asyncio.to_thread(client.until, messages.Ended)
    outcome = msgspec.msgpack.decode(told.outcome, type=Outcome)
    assert "not a job spec" in outcome.message  # type: ignore[union-attr]
    client.close()
    await are_served(grid)
    assert sum(grid.runs.values()) == 4


async def test_a_client_that_submits_without_end_and_reads_nothing_harms_nobody(
    grid: Grid,
) -> None:
    flooder, _ = await asyncio.to_thread(come_as_client, grid)
    flooder.sock.settimeout(60)
    flood = b"".join(frame(encode(messages.Submit(n + 1, SPEC, ()))) for n in range(FLOOD))
    await asyncio.to_thread(flooder.sock.sendall, flood)
    await are_served(grid)
    flooder.close()
