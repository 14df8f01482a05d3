"""What jobs leave comes to their clients, however large: kept until it is fetched, no longer."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from maelstrom.broker import outputs as broker_outputs
from maelstrom.broker.ledger import Ledger
from maelstrom.broker.quota import Quota
from maelstrom.broker.results import Results
from maelstrom.client.session import Session
from maelstrom.errors import StoreError
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import Effects, Exited, InfrastructureFault, Outcome, Output
from maelstrom.model.spec import JobSpec
from maelstrom.sandbox.ports import UNTIED, Ties
from maelstrom.store import depot, tenancy
from maelstrom.store.writer import BlobWriter
from maelstrom.wire import messages
from maelstrom.wire.address import parse
from maelstrom.wire.dial import dial
from maelstrom.wire.greeting import Role
from maelstrom.wire.parcel import WINDOW_BYTES
from maelstrom.worker.outputs import INLINE_BYTES_MAX, INLINE_SUM_MAX
from tests.support.grid import Grid, WaitingPool
from tests.support.relay import Relay
from tests.support.secured import Visitor

MIB = 1 << 20
LARGE = random.Random(4).randbytes(24 * MIB)
SAID = b"".join(b"line %d\n" % number for number in range(20_000))
assert len(SAID) > INLINE_BYTES_MAX


class LeavingPool(WaitingPool):
    """Every job says much and leaves files; the large one is named by the job."""

    async def run(self, spec: JobSpec, layers: list[str], job: str, ties: Ties = UNTIED) -> Outcome:
        self.runs[spec.program] += 1
        if ties.files is not None:
            large = LARGE if spec.program == "large" else LARGE[: 5 * INLINE_BYTES_MAX]
            for name, content in ((b"large", large), (b"small", b"few bytes")):
                ties.files.found(name, "file", b"")
                for start in range(0, len(content), 1 << 16):
                    ties.files.content(content[start : start + (1 << 16)])
        return Exited(0, Effects(stdout=Output(SAID[:100], SAID[100:], 5)))


@pytest.fixture
async def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Grid]:
    monkeypatch.setattr("tests.support.grid.WaitingPool", LeavingPool)
    monkeypatch.setattr(depot, "TRIES_MAX", 4)
    grid = Grid(tmp_path)
    await grid.start_broker()
    yield grid
    await grid.close()


class Ends:
    """A client and a worker; `link` says which of them is behind a relay."""

    def __init__(self, grid: Grid, relay: Relay | None = None, link: str = "") -> None:
        direct = f"plain:127.0.0.1:{grid.port}"
        self.grid = grid
        where = relay.address if relay is not None else direct
        self.session = grid.add_session(where if link == "client" else direct)
        self.worker = grid.add_worker(where if link == "worker" else direct)

    async def run(self, name: str, *, may_be_cached: bool = False) -> Outcome:
        """Run a job that brings its files; return its outcome."""
        self.grid.submit(self.session, name, 1, may_be_cached=may_be_cached, brings=("/large",))
        await self.grid.done()
        return self.grid.outcomes[name]

    def check(self, outcome: Outcome, large: bytes) -> None:
        """See that all of it is here."""
        assert isinstance(outcome, Exited), outcome
        assert outcome.effects.stdout == Output(SAID[:100], SAID[100:], 5)
        first, second = outcome.effects.files
        assert first.blob is not None
        assert self.session.output(first.blob).read_bytes() == large
        assert second.content == b"few bytes"

    def pinned(self) -> set[str]:
        """What the broker keeps from eviction."""
        assert self.grid.broker is not None
        return tenancy.pinned(self.grid.broker.store.root)


async def until_released(ends: Ends) -> None:
    while ends.pinned() or tenancy.pinned(ends.worker._store.root):
        await asyncio.sleep(0.005)


async def test_all_that_a_job_leaves_comes_whole_and_is_kept_no_longer(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    ends = Ends(grid)
    real = type(grid.broker)._tell_encoded  # type: ignore[type-var]

    def note(broker: Any, job: Any, outcome: bytes, *rest: Any) -> None:
        sizes.append(len(outcome))
        real(broker, job, outcome, *rest)

    monkeypatch.setattr(type(grid.broker), "_tell_encoded", note)
    ends.check(await ends.run("large"), LARGE)
    assert 0 < max(sizes) < INLINE_SUM_MAX
    await until_released(ends)


@pytest.mark.parametrize("link", ["worker", "client"])
async def test_outputs_that_were_cut_go_on_where_they_were(link: str, grid: Grid) -> None:
    relay = await grid.add_relay()
    ends = Ends(grid, relay, link)
    await grid.welcomed(ends.session, ends.worker)
    relay.cut_at = [6 * MIB, 12 * MIB, 18 * MIB]
    ends.check(await ends.run("large"), LARGE)
    assert not relay.cut_at, "it was cut three times"
    assert relay.bytes < len(LARGE) + 3 * WINDOW_BYTES * 1.1
    assert relay.bytes < 2.5 * len(LARGE)
    assert grid.runs["large"] == 1
    await until_released(ends)


async def test_what_is_not_fetched_yet_cannot_be_evicted(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = Ends(grid)
    held = asyncio.Event()
    brought = ends.session._outputs.brought

    async def late(*arguments: Any) -> Outcome:
        while not held.is_set():
            await asyncio.sleep(0.005)
        return await brought(*arguments)

    monkeypatch.setattr(ends.session._outputs, "brought", late)
    run = asyncio.create_task(ends.run("1"))
    digest = Digest.of(LARGE[: 5 * INLINE_BYTES_MAX])
    assert grid.broker is not None
    while not any(peer._fetching for peer in grid.broker.clients.values()):
        await asyncio.sleep(0.005)
    assert digest.hash in ends.pinned()
    grid.broker.store._limit = 1
    grid.broker.store.account(1)
    assert not grid.broker.store.missing([digest])
    held.set()
    ends.check(await run, LARGE[: 5 * INLINE_BYTES_MAX])
    await until_released(ends)


async def test_nobody_gets_the_outputs_of_another(grid: Grid) -> None:
    ends = Ends(grid)
    ends.check(await ends.run("1"), LARGE[: 5 * INLINE_BYTES_MAX])
    address = parse(f"plain:127.0.0.1:{grid.port}")
    eve = Visitor(Role.CLIENT, ())
    await (await dial(address, None)).attach(eve.connection)
    await eve.happened.wait()
    digest = Digest.of(LARGE[: 5 * INLINE_BYTES_MAX])
    blobs = Visitor(Role.BLOBS, (messages.Get(((digest, 0),)),), eve.heard[0].token)
    await (await dial(address, None)).attach(blobs.connection)
    await blobs.ended.wait()
    assert "no output of a job of yours" in str(blobs.error)
    eve.connection.leave()
    await eve.ended.wait()


async def test_a_broker_without_room_for_outputs_says_so(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = Ends(grid)
    assert grid.broker is not None
    store = grid.broker.store
    write = BlobWriter.write

    def full(writer: BlobWriter, chunk: bytes | memoryview) -> None:
        if writer._store is store:
            writer.abort()
            raise StoreError("cannot use `blob`: No space left on device")
        write(writer, chunk)

    monkeypatch.setattr(BlobWriter, "write", full)
    outcome = await ends.run("large")
    assert isinstance(outcome, InfrastructureFault)
    assert "cannot be brought to the broker" in outcome.message
    assert "No space left" in outcome.message
    await until_released(ends)


async def test_a_worker_that_lies_about_outputs_fails_its_job_only(grid: Grid) -> None:
    ends = Ends(grid)
    assert isinstance(await ends.run("1"), Exited)

    async def give(_: object) -> None:
        """Give nothing."""

    assert ends.worker._depot is not None
    ends.worker._depot.give = give  # type: ignore[assignment]
    outcome = await ends.run("large")
    assert isinstance(outcome, InfrastructureFault)
    assert "outputs of the job are not in the store" in outcome.message
    await until_released(ends)


async def test_an_outcome_from_the_cache_has_all_it_refers_to_or_is_none(grid: Grid) -> None:
    assert grid.broker is not None
    grid.broker.results = Results(Ledger())
    ends = Ends(grid)
    large = LARGE[: 5 * INLINE_BYTES_MAX]
    ends.check(await ends.run("1", may_be_cached=True), large)
    again = Session(
        broker=f"plain:127.0.0.1:{grid.port}", store_root=ends.session._store[0].parent / "again"
    )
    grid.sessions.append(again)
    again.start()
    ends.session = again
    outcome = await ends.run("1", may_be_cached=True)
    assert isinstance(outcome, Exited)
    assert outcome.effects.is_cached
    ends.check(outcome, large)
    assert grid.runs["1"] == 1
    await until_released(ends)
    grid.broker.store.path(Digest.of(large)).unlink()
    outcome = await ends.run("1", may_be_cached=True)
    ends.check(outcome, large)
    assert grid.runs["1"] == 2, "what was evicted is made again"


async def test_one_who_fetches_nothing_is_held_up(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_outputs, "BYTES_HIGH", 10 * INLINE_BYTES_MAX)
    ends = Ends(grid)
    held = asyncio.Event()
    brought = ends.session._outputs.brought

    async def late(*arguments: Any) -> Outcome:
        while not held.is_set():
            await asyncio.sleep(0.005)
        return await brought(*arguments)

    monkeypatch.setattr(ends.session._outputs, "brought", late)
    for number in range(60):
        grid.submit(ends.session, str(number), 1, brings=("/large",))
    assert grid.broker is not None
    while not any(peer.is_held_up for peer in grid.broker.clients.values()):
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.2)
    assert sum(grid.runs.values()) < 30, "most of them wait"
    held.set()
    await grid.done()
    assert len(grid.told) == 60
    await until_released(ends)


async def test_outputs_beyond_what_a_client_may_have_are_refused_at_once(grid: Grid) -> None:
    assert grid.broker is not None
    quotas = grid.broker.quotas
    quotas.quota = Quota(size_bytes=5 * INLINE_BYTES_MAX)
    ends = Ends(grid)
    outcome = await ends.run("1")
    assert isinstance(outcome, InfrastructureFault)
    assert "the broker is busy: it has " in outcome.message
    assert "of outputs, and may have 327680" in outcome.message
    assert grid.runs["1"] == 1, "it would leave as much elsewhere"
    await until_released(ends)
    quotas.quota = Quota()
    ends.check(await ends.run("2"), LARGE[: 5 * INLINE_BYTES_MAX])
    await until_released(ends)
    assert not quotas._usage


async def test_so_are_those_of_an_outcome_from_the_cache(grid: Grid) -> None:
    assert grid.broker is not None
    grid.broker.results = Results(Ledger())
    ends = Ends(grid)
    await ends.run("1", may_be_cached=True)
    await until_released(ends)
    grid.broker.quotas.quota = Quota(size_bytes=5 * INLINE_BYTES_MAX)
    outcome = await ends.run("1", may_be_cached=True)
    assert isinstance(outcome, InfrastructureFault)
    assert "the broker is busy: it has " in outcome.message
    await until_released(ends)
    assert not grid.broker.quotas._usage


async def test_one_who_may_have_little_is_held_up_before_he_is_refused(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert grid.broker is not None
    grid.broker.quotas.quota = Quota(size_bytes=400 * INLINE_BYTES_MAX)
    ends = Ends(grid)
    brought = ends.session._outputs.brought
    held = asyncio.Event()

    async def late(*arguments: Any) -> Outcome:
        await held.wait()
        return await brought(*arguments)

    monkeypatch.setattr(ends.session._outputs, "brought", late)
    for number in range(60):
        grid.submit(ends.session, str(number), 1, brings=("/large",))
    while not any(peer.is_held_up for peer in grid.broker.clients.values()):
        await asyncio.sleep(0.005)
    ends.session._loop.call_soon_threadsafe(held.set)  # type: ignore[union-attr]  # It runs.
    await grid.done()
    assert all(isinstance(outcome, Exited) for outcome in grid.outcomes.values())
    await until_released(ends)
