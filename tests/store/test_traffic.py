"""Both ends of a stream of contents, by hand: windows are kept, and nothing is believed."""

import asyncio
import random
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from maelstrom.errors import MaelstromError, ProtocolError, StoreError
from maelstrom.model.digest import Digest
from maelstrom.store.disk import DiskStore
from maelstrom.store.intake import STREAMS_MAX, Intake
from maelstrom.store.sender import Sender
from maelstrom.wire.messages import ZSTD, Absent, Message, Parcel, Piece, Took
from maelstrom.wire.parcel import PARCEL_BYTES_MAX, WINDOW_BYTES, weight
from tests.support.parcels import parcel, part

LARGE = random.Random(3).randbytes(6 << 20)
NAME = Digest.of(LARGE)
STEP = PARCEL_BYTES_MAX


class Wire:
    """A connection that keeps what is sent, and who wants what comes."""

    is_near = True

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.is_over = False
        self.error: MaelstromError | None = None
        self.stored: list[Digest] = []
        self.refusals: list[tuple[Digest, str, bool]] = []
        self.unwanted: set[Digest] = set()
        self.too_much: set[Digest] = set()
        self.tasks: list[asyncio.Task[None]] = []

    def send(self, message: Message) -> None:
        self.sent.append(message)

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def refuse(self, error: MaelstromError) -> None:
        self.error, self.is_over = error, True

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def settle(self) -> None:
        while tasks := [task for task in self.tasks if not task.done()]:
            await asyncio.wait(tasks, timeout=10)
        for task in self.tasks:
            task.result()

    def begins(self, piece: Piece) -> None:
        if piece.digest in self.unwanted:
            raise ProtocolError("nobody wants it")
        if piece.digest in self.too_much:
            raise StoreError("too much")

    def kept(self, digests: tuple[Digest, ...]) -> None:
        self.stored += digests

    def refused(self, digest: Digest, error: MaelstromError, *, was_resumed: bool) -> None:
        self.refusals.append((digest, error.message, was_resumed))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskStore]:
    store = DiskStore(tmp_path / "store", size_bytes_max=1 << 30)
    yield store
    store.close()


def intake(store: DiskStore, wire: Wire) -> Intake:
    return Intake(store, wire, wire.spawn, wire)  # type: ignore[arg-type]


def sender(wire: Wire, source: dict[Digest, bytes]) -> Sender:
    def read(digest: Digest, offset: int, length: int) -> tuple[bytes, bool]:
        if digest not in source:
            raise StoreError("it is gone")
        return source[digest][offset : offset + length], False

    return Sender(wire, read, wire.spawn, lambda digest, _: wire.stored.append(digest))  # type: ignore[arg-type]


# Sending


async def test_one_who_takes_nothing_is_sent_a_window_and_no_more() -> None:
    wire = Wire()
    sending = sender(wire, {NAME: LARGE})
    sending.send([(NAME, 0)] * 5)
    full = WINDOW_BYTES // weight(STEP, 1)
    while len(wire.sent) < full:
        await asyncio.sleep(0)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert len(wire.sent) == full
    under_way = sum(weight(len(p.content), len(p.pieces)) for p in wire.sent)
    assert WINDOW_BYTES - STEP < under_way <= WINDOW_BYTES
    with pytest.raises(ProtocolError, match="that were not sent"):
        sending.took(under_way + 1)
    sending.took(under_way)
    wire.sent.clear()
    while len(wire.sent) < full:
        await asyncio.sleep(0)
    wire.is_over = True
    sending.lost()
    await wire.settle()


async def test_what_is_gone_is_told_once_and_the_rest_is_sent() -> None:
    wire = Wire()
    small = Digest.of(b"small")
    sending = sender(wire, {small: b"small"})
    sending.send([(small, 0), (NAME, 0), (small, 0)])
    await wire.settle()
    assert [type(message) for message in wire.sent] == [Parcel, Absent, Parcel]
    assert wire.stored == [NAME]


@pytest.mark.parametrize("offset", [-1, len(LARGE)])
async def test_an_offset_that_cannot_be_is_refused(offset: int) -> None:
    with pytest.raises(ProtocolError, match="has no byte"):
        sender(Wire(), {}).send([(NAME, offset)])


# Taking


async def test_pieces_make_a_blob_and_are_taken_one_by_one(store: DiskStore) -> None:
    wire = Wire()
    taking = intake(store, wire)
    for offset in range(0, len(LARGE), STEP):
        taking.take(part(NAME, offset, LARGE[offset : offset + STEP]))
    await wire.settle()
    assert store.read(NAME) == LARGE
    assert wire.stored == [NAME]
    assert wire.sent == [*[Took(weight(STEP, 1))] * 5, Took(weight(STEP, 1), (NAME,))]


WRONG = {
    "replayed": [0, 0],
    "out of order": [0, 2 * STEP],
    "without its beginning": [STEP],
}


@pytest.mark.parametrize("name", WRONG)
async def test_pieces_in_a_wrong_order_are_no_blob(name: str, store: DiskStore) -> None:
    wire = Wire()
    taking = intake(store, wire)
    *first, last = [part(NAME, at, LARGE[at : at + STEP]) for at in WRONG[name]]
    for piece in first:
        taking.take(piece)
    if first:
        with pytest.raises(ProtocolError, match="were due"):
            taking.take(last)
    else:
        taking.take(last)
        await wire.settle()
        assert [(digest, was_resumed) for digest, _, was_resumed in wire.refusals] == [(NAME, True)]
    wire.is_over = True
    taking.lost()
    await wire.settle()
    assert store.missing([NAME]) == [NAME]


async def test_a_blob_replayed_whole_changes_nothing(store: DiskStore) -> None:
    wire = Wire()
    taking = intake(store, wire)
    for _ in range(3):
        taking.take(parcel(b"one", b"two"))
    await wire.settle()
    assert store.read(Digest.of(b"two")) == b"two"
    assert wire.refusals == []


async def test_what_is_wrong_harms_only_its_own_blob(store: DiskStore) -> None:
    wire = Wire()
    right, wrong, more = Digest.of(b"right"), Digest.of(b"other"), Digest.of(b"more!")
    wire.too_much = {more}
    pieces = tuple(Piece(digest, 0, 5) for digest in (right, wrong, more))
    intake(store, wire).take(Parcel(pieces, 0, memoryview(b"rightwrongmore!")))
    await wire.settle()
    assert wire.stored == [right]
    assert sorted(digest for digest, _, _ in wire.refusals) == sorted([wrong, more])
    assert wire.error is None
    assert store.missing([right, wrong, more]) == [wrong, more]


async def test_a_large_blob_that_is_refused_is_taken_to_its_end(store: DiskStore) -> None:
    wire = Wire()
    wire.too_much = {NAME}
    taking = intake(store, wire)
    for offset in range(0, len(LARGE), STEP):
        taking.take(part(NAME, offset, LARGE[offset : offset + STEP]))
    await wire.settle()
    assert len(wire.refusals) == 1
    assert sum(message.size_bytes for message in wire.sent) == len(LARGE) + 6 * weight(0, 1)
    wire.too_much = set()
    taking.take(part(NAME, 0, LARGE[:STEP]))
    await wire.settle()
    assert len(wire.refusals) == 1, "it may come again"
    wire.is_over = True
    taking.lost()


async def test_what_nobody_wants_ends_the_connection(store: DiskStore) -> None:
    wire = Wire()
    wire.unwanted = {Digest.of(b"gift"), NAME}
    with pytest.raises(ProtocolError, match="nobody wants it"):
        intake(store, wire).take(parcel(b"gift"))
    with pytest.raises(ProtocolError, match="nobody wants it"):
        intake(store, wire).take(part(NAME, 0, LARGE[:STEP]))


async def test_more_than_the_window_ends_the_connection(store: DiskStore) -> None:
    wire = Wire()
    taking = intake(store, wire)
    whole = parcel(LARGE[:PARCEL_BYTES_MAX])
    for _ in range(WINDOW_BYTES // weight(PARCEL_BYTES_MAX, 1)):
        taking.take(whole)
    with pytest.raises(ProtocolError, match="before they were taken"):
        taking.take(whole)
    await wire.settle()


async def test_many_empty_blobs_fill_the_window_too(store: DiskStore) -> None:
    wire = Wire()
    taking = intake(store, wire)
    empty = parcel(*[b""] * 1000)
    for _ in range(WINDOW_BYTES // weight(0, 1000)):
        taking.take(empty)
    with pytest.raises(ProtocolError, match="before they were taken"):
        taking.take(empty)
    for task in wire.tasks:
        task.cancel()


async def test_too_many_streams_at_once_end_the_connection(store: DiskStore) -> None:
    wire = Wire()
    taking = intake(store, wire)
    for number in range(STREAMS_MAX):
        taking.take(part(Digest(f"{number:064x}", NAME.size), 0, b"x"))
    with pytest.raises(ProtocolError, match="blobs at once"):
        taking.take(part(NAME, 0, b"x"))
    wire.is_over = True
    taking.lost()
    await wire.settle()


async def test_a_bomb_ends_the_connection(store: DiskStore) -> None:
    wire = Wire()
    bomb = parcel(b"x" * 100, coding=ZSTD)
    intake(store, wire).take(bomb)
    await wire.settle()
    assert wire.error is not None
    assert "cannot be decompressed" in wire.error.message
    assert wire.sent == []


@pytest.mark.parametrize("is_writing", [True, False])
async def test_a_cut_keeps_what_came(is_writing: bool, store: DiskStore) -> None:
    wire = Wire()
    taking = intake(store, wire)
    for offset in (0, STEP, 2 * STEP):
        taking.take(part(NAME, offset, LARGE[offset : offset + STEP]))
    if not is_writing:
        await wire.settle()
    wire.is_over = True
    taking.lost()
    await wire.settle()
    begun = store.partial_bytes(NAME)
    assert begun in (range(0, 3 * STEP + 1, STEP) if is_writing else [3 * STEP])
    again = Wire()
    going_on = intake(store, again)
    for offset in range(begun, len(LARGE), STEP):
        going_on.take(part(NAME, offset, LARGE[offset : offset + STEP]))
    await again.settle()
    assert store.read(NAME) == LARGE
