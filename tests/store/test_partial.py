"""The beginnings of large blobs: gone on from, thrown away when wrong, and bounded."""

from pathlib import Path

import pytest

from maelstrom.errors import StoreError
from maelstrom.model.digest import Digest
from maelstrom.store.disk import DiskStore
from maelstrom.store.partial import PARTIAL_BYTES_MIN

CONTENT = bytes(range(256)) * (PARTIAL_BYTES_MIN // 256 + 10)
DIGEST = Digest.of(CONTENT)
HALF = len(CONTENT) // 2


def begin(store: DiskStore, content: bytes = CONTENT[:HALF], digest: Digest = DIGEST) -> None:
    writer = store.writer(digest)
    writer.write(content)
    writer.suspend()


def files(store: DiskStore) -> list[Path]:
    return [path for path in (store.root / "partial").glob("*") if path.is_file()]


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "store", size_bytes_max=1 << 30)


def test_a_blob_goes_on_where_it_was_cut_even_in_another_life(
    store: DiskStore, tmp_path: Path
) -> None:
    begin(store)
    store.close()
    again = DiskStore(tmp_path / "store", size_bytes_max=1 << 30)
    assert again.missing([DIGEST]) == [DIGEST], "a beginning is never taken for the whole"
    assert again.partial_bytes(DIGEST) == HALF
    with again.writer(DIGEST, offset=HALF) as writer:
        writer.write(CONTENT[HALF:])
    assert again.read(DIGEST) == CONTENT
    assert not files(again)
    assert again.partial_bytes(DIGEST) == 0
    again.close()


@pytest.mark.parametrize("harm", ["changed", "never right"])
def test_a_beginning_that_is_not_right_is_found_out_and_thrown_away(
    harm: str, store: DiskStore
) -> None:
    begin(store, CONTENT[:HALF] if harm == "changed" else bytes(HALF))
    if harm == "changed":
        with files(store)[0].open("r+b") as file:
            file.write(b"\xff\xff")
    writer = store.writer(DIGEST, offset=HALF)
    writer.write(CONTENT[HALF:])
    with pytest.raises(StoreError, match="was offered as"):
        writer.commit()
    assert store.partial_bytes(DIGEST) == 0
    assert not files(store)
    store.close()


def test_a_beginning_that_became_shorter_is_not_gone_on_from(store: DiskStore) -> None:
    begin(store)
    with pytest.raises(StoreError, match="less than"):
        store.writer(DIGEST, offset=HALF + 1)
    assert store.partial_bytes(DIGEST) == HALF
    store.close()


def test_a_beginning_longer_than_its_blob_is_dropped(store: DiskStore) -> None:
    begin(store)
    with files(store)[0].open("ab") as file:
        file.write(CONTENT)
    assert store.partial_bytes(DIGEST) == 0
    assert not files(store)
    store.close()


def test_two_writers_of_one_blob_do_not_meet(store: DiskStore) -> None:
    first = store.writer(DIGEST)
    first.write(CONTENT[:HALF])
    assert store.partial_bytes(DIGEST) == 0, "one that is written to is nobody else's"
    with store.writer(DIGEST) as second:
        second.write(CONTENT)
    assert store.read(DIGEST) == CONTENT
    first.write(CONTENT[HALF:])
    first.commit()
    assert store.read(DIGEST) == CONTENT
    store.close()


def test_a_small_blob_leaves_nothing_when_it_is_cut(store: DiskStore) -> None:
    writer = store.writer(Digest.of(b"small"))
    writer.write(b"sm")
    writer.suspend()
    assert store.partial_bytes(Digest.of(b"small")) == 0
    assert not files(store)
    assert not list((store.root / "tmp").rglob("*.*"))
    store.close()


def test_beginnings_have_a_tenth_of_the_store_and_the_oldest_goes_first(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store", size_bytes_max=10 * len(CONTENT))
    digests = [Digest(f"{number:064x}", DIGEST.size) for number in range(3)]
    for digest in digests:
        begin(store, digest=digest)
    assert [store.partial_bytes(digest) for digest in digests] == [0, HALF, HALF]
    store.close()
