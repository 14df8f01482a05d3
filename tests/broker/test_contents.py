"""Contents on their way through a real broker: cut, damaged, refused, never sent for nothing."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from maelstrom.client.session import Source
from maelstrom.errors import StoreError
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import File, Manifest
from maelstrom.model.outcome import ExecutionError, Exited, InfrastructureFault
from maelstrom.store import depot
from maelstrom.store.disk import DiskStore
from maelstrom.store.writer import BlobWriter
from maelstrom.wire.parcel import WINDOW_BYTES
from tests.support.grid import Grid
from tests.support.relay import Relay

MIB = 1 << 20
LARGE = random.Random(2).randbytes(24 * MIB)
SMALL = [b"%d" % number * 500 for number in range(300)]


def layer_of(*contents: bytes) -> tuple[Digest, dict[Digest, Source]]:
    files = {f"f{number}": content for number, content in enumerate(contents)}
    manifest = Manifest((name, File(Digest.of(content))) for name, content in files.items())
    sources: dict[Digest, Source] = {Digest.of(content): content for content in contents}
    return manifest.digest, {**sources, manifest.digest: manifest.encoded}


@pytest.fixture
async def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Grid]:
    monkeypatch.setattr(depot, "TRIES_MAX", 4)
    grid = Grid(tmp_path)
    await grid.start_broker()
    yield grid
    await grid.close()


class Ends:
    """A client and a worker; `link` says which of them is behind a relay."""

    def __init__(self, grid: Grid, relay: Relay, link: str) -> None:
        direct = f"plain:127.0.0.1:{grid.port}"
        self.grid = grid
        self.session = grid.add_session(relay.address if link == "upload" else direct)
        self.worker = grid.add_worker(relay.address if link == "download" else direct)

    async def run(self, *contents: bytes) -> object:
        """Run a job in a layer of these; return its outcome."""
        name = str(len(self.grid.told))
        manifest, sources = layer_of(*contents)
        self.session.offer(sources)
        self.grid.submit(self.session, name, 1, layers=(manifest,))
        await self.grid.done()
        return self.grid.outcomes[name]


@pytest.mark.parametrize("link", ["upload", "download"])
async def test_what_was_cut_goes_on_where_it_was(link: str, grid: Grid) -> None:
    relay = await grid.add_relay()
    ends = Ends(grid, relay, link)
    await grid.welcomed(ends.session, ends.worker)
    relay.cut_at = [6 * MIB, 12 * MIB, 18 * MIB]
    assert isinstance(await ends.run(LARGE, *SMALL), Exited)
    assert not relay.cut_at, "it was cut three times"
    # What was under way at a cut comes again: the window, and what was not taken yet of it.
    again = relay.bytes - len(LARGE)
    assert again < 3 * WINDOW_BYTES * 1.1, again
    assert relay.bytes < 2.5 * len(LARGE)
    sent_whole_again = 4 * len(LARGE)
    assert relay.bytes < sent_whole_again


@pytest.mark.parametrize("link", ["upload", "download"])
async def test_many_small_ones_are_not_sent_twice(link: str, grid: Grid) -> None:
    relay = await grid.add_relay()
    ends = Ends(grid, relay, link)
    assert isinstance(await ends.run(*SMALL), Exited)
    before = relay.bytes
    assert isinstance(await ends.run(*SMALL, b"one more"), Exited)
    assert relay.bytes - before < sum(map(len, SMALL)) / 4


@pytest.mark.parametrize("link", ["upload", "download"])
async def test_a_beginning_that_was_corrupted_comes_again_whole(link: str, grid: Grid) -> None:
    store = grid.broker.store if link == "upload" else None  # type: ignore[union-attr]
    relay = await grid.add_relay()
    ends = Ends(grid, relay, link)
    store = store or ends.worker._store
    begun = store.writer(Digest.of(LARGE))
    begun.write(bytes(5 * MIB))
    begun.suspend()
    assert isinstance(await ends.run(LARGE), Exited)
    assert store.read(Digest.of(LARGE)) == LARGE
    assert 2 * len(LARGE) - 6 * MIB < relay.bytes < 2 * len(LARGE)


async def test_a_disk_that_is_full_when_an_artifact_arrives_is_told(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = await grid.add_relay()
    ends = Ends(grid, relay, "download")
    assert isinstance(await ends.run(SMALL[0]), Exited)
    write = BlobWriter.write

    def full(writer: BlobWriter, chunk: bytes | memoryview) -> None:
        if writer._store is ends.worker._store and writer._digest.size > MIB:
            writer.abort()
            raise StoreError("cannot use `blob`: No space left on device")
        write(writer, chunk)

    monkeypatch.setattr(BlobWriter, "write", full)
    outcome = await ends.run(LARGE)
    assert isinstance(outcome, InfrastructureFault)
    assert "No space left" in outcome.message
    monkeypatch.setattr(BlobWriter, "write", write)
    assert isinstance(await ends.run(LARGE, SMALL[1]), Exited)


async def test_a_blob_that_the_broker_has_damaged_fails_only_its_job(grid: Grid) -> None:
    relay = await grid.add_relay()
    ends = Ends(grid, relay, "download")
    assert grid.broker is not None
    store = grid.broker.store
    content = b"right" * 1000
    store.put_bytes(Digest.of(content), content)
    path = store.path(Digest.of(content))
    path.chmod(0o644)
    path.write_bytes(b"wrong" * 1000)
    outcome = await ends.run(content)
    assert isinstance(outcome, InfrastructureFault | ExecutionError)
    assert "was offered as" in outcome.message
    assert isinstance(await ends.run(SMALL[3]), Exited)
    assert isinstance(ends.worker._store, DiskStore)
    assert ends.worker._store.missing([Digest.of(content)])
