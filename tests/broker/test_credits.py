"""One who does not read, or asks for too much, never makes the broker hold more than was said.

All of it is counted in bytes and jobs, and none of it in seconds.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from maelstrom import __version__
from maelstrom.broker import peers
from maelstrom.broker.peers import ClientPeer
from maelstrom.broker.quota import Quota
from maelstrom.model.outcome import Effects, Exited, InfrastructureFault, Outcome, Output
from maelstrom.model.spec import JobSpec
from maelstrom.wire import messages
from maelstrom.wire.address import parse
from maelstrom.wire.connection import Connection, encode
from maelstrom.wire.dial import dial
from maelstrom.wire.greeting import Role, hello
from tests.support.grid import Grid, WaitingPool
from tests.support.secured import _ANY, Visitor

OUTPUT_BYTES = 1000
SLOTS = 4


class TalkingPool(WaitingPool):
    """Every job ends at once, and has much to say."""

    async def run(self, spec: JobSpec, layers: list[str], job: str, *_: object) -> Outcome:
        self.runs[spec.program] += 1
        return Exited(0, Effects(stdout=Output(bytes(OUTPUT_BYTES))))


class Mute(Visitor):
    """A client that never says that it has heard, before it is told to."""

    def __init__(self) -> None:
        super().__init__(Role.CLIENT, ())
        self.connection._ping = lambda: None  # type: ignore[method-assign]

    def hear(self) -> None:
        """Say that all that came has come."""
        ended = sum(isinstance(message, messages.Ended) for message in self.heard)
        self.connection.send(messages.Ping(heard=ended))

    @property
    def told(self) -> int:
        """How many outcomes came."""
        return sum(isinstance(message, messages.Ended) for message in self.heard)


@pytest.fixture
async def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Grid]:
    monkeypatch.setattr("tests.support.grid.WaitingPool", TalkingPool)
    grid = Grid(tmp_path)
    await grid.start_broker()
    yield grid
    await grid.close()


async def mute(grid: Grid) -> tuple[Mute, ClientPeer]:
    """Return a client, and what the broker knows of it."""
    client = Mute()
    await (await dial(parse(f"plain:127.0.0.1:{grid.port}"), None)).attach(client.connection)
    while not client.heard:
        await asyncio.sleep(0.001)
    assert grid.broker is not None
    [peer] = grid.broker.clients.values()
    return client, peer


def submit(client: Mute, first: int, count: int, *, may_be_cached: bool = False) -> None:
    spec = JobSpec(program="talk").encode()
    for number in range(first, first + count):
        client.connection.send(messages.Submit(number, spec, (), may_be_cached=may_be_cached))


async def settled(grid: Grid, client: Mute) -> int:
    """Wait until nothing happens any more; return how many outcomes were told."""
    assert grid.broker is not None
    told = -1
    while told != client.told or any(map(grid.broker.scheduler.jobs_of, grid.broker.workers)):
        told = client.told
        await asyncio.sleep(0.05)
    return told


async def test_a_client_that_does_not_say_it_heard_is_held_up_and_the_others_are_not(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    high = 20 * OUTPUT_BYTES
    monkeypatch.setattr(peers, "UNHEARD_BYTES_HIGH", high)
    grid.add_worker(f"plain:127.0.0.1:{grid.port}", slots=SLOTS)
    client, peer = await mute(grid)
    submit(client, 1, 500)
    while not peer.is_held_up:
        await asyncio.sleep(0.005)
    told = await settled(grid, client)
    prefetched = 4 * SLOTS
    each = OUTPUT_BYTES + peers.OUTCOME_BYTES
    assert peer.is_held_up
    assert high < peer._unheard_bytes < high + (1 + SLOTS + prefetched) * 2 * each
    assert len(peer.jobs) == 500 - told, "the rest waits"
    other = grid.add_session(f"plain:127.0.0.1:{grid.port}")
    grid.submit(other, "other", 1)
    await grid.done()
    assert isinstance(grid.outcomes["other"], Exited)
    while client.told < 500:
        client.hear()
        await asyncio.sleep(0.005)
    client.hear()
    assert client.error is None
    client.connection.leave()
    await client.ended.wait()


async def test_one_who_is_held_up_gets_nothing_from_the_cache_either(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "UNHEARD_BYTES_HIGH", OUTPUT_BYTES)
    client, peer = await mute(grid)
    assert grid.broker is not None

    class Known:
        def find(self, spec: bytes, owner: str) -> bytes:
            return encode(Exited(0, Effects(stdout=Output(bytes(OUTPUT_BYTES)))))

    grid.broker.results = Known()  # type: ignore[assignment]
    submit(client, 1, 200, may_be_cached=True)
    while len(peer.jobs) < 199:
        await asyncio.sleep(0.005)
    assert client.told <= 1
    grid.broker.results = None
    client.connection.leave()
    await client.ended.wait()


async def test_one_who_goes_on_asking_is_given_up(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "UNHEARD_BYTES_HIGH", OUTPUT_BYTES)
    monkeypatch.setattr(peers, "UNHEARD_BYTES_MAX", 20 * OUTPUT_BYTES)
    client, peer = await mute(grid)
    assert grid.broker is not None
    grid.broker.quotas.set(peer.owner, Quota(jobs=1))
    submit(client, 1, 1000)
    await client.ended.wait()
    assert "are not said to have come" in str(client.error)
    while grid.broker.clients:  # The broker waits until he has heard why.
        await asyncio.sleep(0.005)
    assert not grid.broker.jobs


async def test_more_specs_than_a_client_may_have_are_refused(grid: Grid) -> None:
    client, peer = await mute(grid)
    assert grid.broker is not None
    spec = JobSpec(program="talk").encode()
    grid.broker.quotas.set(peer.owner, Quota(spec_bytes=10 * len(spec)))
    submit(client, 1, 50)
    while client.told < 40:
        await asyncio.sleep(0.005)
    assert len(peer.jobs) == 10
    ended = [message for message in client.heard if isinstance(message, messages.Ended)]
    assert all(InfrastructureFault.__struct_config__.tag.encode() in e.outcome for e in ended)  # type: ignore[union-attr]
    client.connection.leave()
    await client.ended.wait()


async def test_a_client_of_ours_submits_no_more_than_the_broker_takes(grid: Grid) -> None:
    assert grid.broker is not None
    grid.broker.quotas.quota = Quota(jobs=10)
    session = grid.add_session(f"plain:127.0.0.1:{grid.port}")
    for number in range(100):
        grid.submit(session, str(number), 1)
    await grid.welcomed(session)
    while grid.broker.jobs != 10:
        await asyncio.sleep(0.005)
    most = 0
    grid.add_worker(f"plain:127.0.0.1:{grid.port}", slots=SLOTS)
    while len(grid.told) < 100:
        most = max(most, grid.broker.jobs)
        await asyncio.sleep(0.001)
    assert most <= 10
    assert all(isinstance(outcome, Exited) for outcome in grid.outcomes.values()), grid.outcomes


async def test_nobody_who_reads_nothing_is_sent_more_than_a_limit(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maelstrom.wire.connection.OUTGOING_BYTES_MAX", 1 << 20)
    assert grid.broker is not None
    connection = Connection(hello(Role.CLIENT, __version__), owner=Visitor(Role.CLIENT, ()),
                            codec=_ANY)  # fmt: skip
    await (await dial(parse(f"plain:127.0.0.1:{grid.port}"), None)).attach(connection)
    while not grid.broker.clients:
        await asyncio.sleep(0.005)
    [peer] = grid.broker.clients.values()
    connection._transport.pause_reading()  # type: ignore[union-attr]
    most = 0
    for number in range(1, 5000):
        peer.connection.send(messages.Status(number, "x" * 10_000))
        most = max(most, peer.connection._outgoing_bytes)
        if peer.connection.is_over:
            break
        if number % 20 == 0:
            await asyncio.sleep(0)
    assert peer.connection.is_over
    assert most <= (1 << 20) + 20_000
    connection.abort(None)  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
