"""A journal or a store that was damaged while nobody looked is used, or refused with its name."""

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from maelstrom.broker.daemon import Broker
from maelstrom.broker.journal import Journal
from maelstrom.errors import StoreError
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId
from maelstrom.store.disk import DiskStore
from maelstrom.wire.messages import Submit
from tests.fuzz.budget import EXAMPLES, within_budget
from tests.fuzz.damage import damaged
from tests.sim.disk import LAYERS, Disk

SIZE_BYTES_MAX = 1 << 24


def _journal() -> bytes:
    """Return the file of a broker that was killed with jobs."""

    async def fill(path: Path) -> None:
        journal = Journal(path)
        journal.join(ClientId(1), "token")
        for number in range(1, 4):
            journal.submit(JobId(ClientId(1), number), Submit(number, b"spec", (LAYERS[0],)))
        journal.end(JobId(ClientId(1), 3), b"\x91\x01")
        journal.keep(b"k" * 32, b"\x91\x01")
        journal.close()

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "j.sqlite"
        asyncio.run(fill(path))
        return path.read_bytes()


JOURNALS = [_journal()]


async def _restore(path: Path) -> None:
    try:
        journal = Journal(path)
        broker = Broker(Disk(), lambda: None, journal=journal)  # type: ignore[arg-type]
        await broker.restore()
    except StoreError as error:
        assert str(path) in error.message
        return
    assert broker.failure is None
    broker.scheduler.check()
    await broker.close()


@within_budget
@given(damaged(JOURNALS))
def test_a_damaged_journal_is_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "j.sqlite"
        path.write_bytes(content)
        asyncio.run(_restore(path))


VALUES = st.none() | st.integers(-3, 3) | st.text(max_size=5) | st.binary(max_size=5)
TABLES = {"meta": 2, "clients": 2, "jobs": 5, "results": 2, "owners": 2, "settings": 3}


@within_budget
@given(st.sampled_from(sorted(TABLES)), st.lists(VALUES, min_size=5, max_size=5))
def test_a_journal_may_hold_anything(table: str, values: list[object]) -> None:
    """SQLite keeps what it is given, whatever the schema says."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "j.sqlite"
        path.write_bytes(JOURNALS[0])
        row = values[: TABLES[table]]
        with contextlib.suppress(sqlite3.IntegrityError), sqlite3.connect(path) as database:
            marks = ", ".join("?" * len(row))
            database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)
        database.close()
        asyncio.run(_restore(path))


@st.composite
def harm(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """Return what happens to one file or directory of a store."""
    blob = Digest.of(b"content 1").hash
    place = draw(
        st.sampled_from(
            (
                *("CACHEDIR.TAG", "format", "lock", "gate", "usage", "users", "users/1-x", "tmp"),
                *("removing", "layers", "layers/x", "blobs", "blobs/zz"),
                f"blobs/{blob[:2]}/{blob}",
            )
        )
    )
    how = draw(st.sampled_from(["gone", "file", "directory", "link"]))
    return place, how, draw(st.binary(max_size=20) | st.sampled_from([b"2", b"999", b"-1"]))


def _harm(path: Path, how: str, content: bytes) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    match how:
        case "file":
            path.write_bytes(content)
        case "directory":
            path.mkdir()
            (path / "x").write_bytes(content)
        case "link":
            path.symlink_to("nowhere")


@settings(within_budget, max_examples=max(8, EXAMPLES // 10))  # A store takes a while to make.
@given(st.lists(harm(), max_size=3))
def test_a_damaged_store_is_used_or_refused(harms: list[tuple[str, str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "store"
        store = DiskStore(root, size_bytes_max=SIZE_BYTES_MAX)
        store.put_bytes(Digest.of(b"content 1"), b"content 1")
        store.close()
        with contextlib.suppress(OSError):  # One harm may leave no room for the next.
            for what in harms:
                _harm(root / what[0], *what[1:])
        try:
            store = DiskStore(root, size_bytes_max=SIZE_BYTES_MAX)
            for content in (b"content 1", b"content 2"):
                digest = Digest.of(content)
                store.put_bytes(digest, content)
                assert not store.missing([digest])
            store.pin([digest], "x")
            store.close()
        except StoreError as error:
            assert str(root) in error.message
