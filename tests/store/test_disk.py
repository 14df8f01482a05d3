import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.errors import StoreError
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import File, Manifest
from maelstrom.store import disk, tenancy
from maelstrom.store.disk import MTIME_NS, DiskStore
from maelstrom.worker.builder import LayerBuilder

SIZE_MAX = 1 << 30


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskStore]:
    store = DiskStore(tmp_path / "store", size_bytes_max=SIZE_MAX)
    yield store
    store.close()


def put(store: DiskStore, content: bytes) -> Digest:
    digest = Digest.of(content)
    store.put_bytes(digest, content)
    return digest


def leftovers(store: DiskStore) -> list[str]:
    return [name for _, _, names in os.walk(store.root / "tmp") for name in names]


def test_what_is_put_can_be_read(store: DiskStore) -> None:
    digest = put(store, b"hello")
    assert store.read(digest) == b"hello"
    other = Digest.of(b"other")
    assert store.missing([other, digest]) == [other]


@pytest.mark.parametrize("beside", [0, 40], ids=["listed", "one by one"])
def test_what_is_missing_of_many_is_what_is_missing_of_each(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch, beside: int
) -> None:
    monkeypatch.setattr(disk, "LISTED_FROM", 4)
    for number in range(beside):
        put(store, b"beside %d" % number)
    here = put(store, b"here")
    program = Digest.of(b"#!")
    store.put_bytes(program, b"#!", is_executable=True)
    other = Digest.of(b"other")
    wrong = Digest(here.hash, here.size + 1)
    asked = [other, here, wrong, program]
    assert store.missing(asked) == [other, wrong]
    assert [d for d in asked if store.missing([d])] == [other, wrong]


def test_content_is_read_only_and_of_one_time(store: DiskStore, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"#!")
    program.chmod(0o755)
    digest = Digest.of(b"#!")
    store.put_file(digest, os.fspath(program))
    plain = put(store, b"plain")
    assert store.path(digest).stat().st_mode & 0o777 == 0o555
    assert store.path(plain).stat().st_mode & 0o777 == 0o444
    assert store.path(plain).stat().st_mtime_ns == MTIME_NS


def test_content_that_is_not_what_was_said_is_refused(store: DiskStore, tmp_path: Path) -> None:
    digest = Digest.of(b"right")
    file = tmp_path / "file"
    file.write_bytes(b"wrong")
    with pytest.raises(StoreError, match="was offered as"):
        store.put_bytes(digest, b"wrong")
    with pytest.raises(StoreError, match="was offered as"):
        store.put_file(digest, os.fspath(file))
    with pytest.raises(StoreError, match="was offered as"):
        store.put_bytes(digest, b"longer")
    with pytest.raises(StoreError, match="was offered as"):
        store.put_bytes(digest, b"rig")
    assert store.missing([digest]) == [digest]
    assert leftovers(store) == []


def test_a_size_that_is_not_that_of_the_content_is_a_lie(store: DiskStore) -> None:
    digest = put(store, b"hello")
    lie = Digest(digest.hash, 6)
    assert store.missing([lie]) == [lie]
    with pytest.raises(StoreError):
        store.read(lie)


def test_a_stream_is_not_seen_before_it_is_whole(store: DiskStore) -> None:
    digest = Digest.of(b"ab")
    writer = store.writer(digest)
    writer.write(b"a")
    assert store.missing([digest]) == [digest]
    writer.write(b"b")
    writer.commit()
    assert store.read(digest) == b"ab"
    writer = store.writer(Digest.of(b"xy"))
    writer.write(b"x")
    writer.abort()
    writer.abort()
    assert leftovers(store) == []


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo"])
def test_only_regular_files_are_taken(store: DiskStore, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(StoreError, match="thing"):
        store.put_file(Digest.of(b""), os.fspath(path))


def test_a_full_disk_is_told_and_leaves_nothing(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("maelstrom.store.disk.os.write", full)
    with pytest.raises(StoreError, match="No space left") as caught:
        put(store, b"much")
    assert "free some space" in caught.value.hint
    assert leftovers(store) == []
    assert store.missing([Digest.of(b"much")])


def test_a_directory_with_other_things_in_it_is_not_taken_for_a_store(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="not a store of ours"):
        DiskStore(tmp_path, size_bytes_max=SIZE_MAX)


def test_a_new_store_may_be_made_by_two_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "new"
    look = Path.iterdir

    def late(path: Path) -> Iterator[Path]:
        """Let the other one make its store between our two looks at the directory."""
        monkeypatch.setattr(Path, "iterdir", look)
        DiskStore(path, size_bytes_max=1 << 20).close()
        return look(path)

    monkeypatch.setattr(Path, "iterdir", late)
    store = DiskStore(root, size_bytes_max=1 << 20)
    store.put_bytes(Digest.of(b"x"), b"x")
    store.close()


def test_a_store_of_another_format_is_emptied_unless_it_is_in_use(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = DiskStore(root, size_bytes_max=SIZE_MAX)
    digest = put(store, b"old")
    (root / "format").write_text("0")
    with pytest.raises(StoreError, match="in use by another program"):
        DiskStore(root, size_bytes_max=SIZE_MAX)
    store.close()
    newer = DiskStore(root, size_bytes_max=SIZE_MAX)
    assert newer.missing([digest]) == [digest]
    newer.close()


def test_two_processes_share_a_store(store: DiskStore) -> None:
    digest = put(store, b"shared")
    program = (
        "import sys; from pathlib import Path; from maelstrom.store.disk import DiskStore\n"
        "from maelstrom.model.digest import Digest\n"
        "store = DiskStore(Path(sys.argv[1]), size_bytes_max=1 << 30)\n"
        "assert store.read(Digest.of(b'shared')) == b'shared'\n"
        "store.put_bytes(Digest.of(b'theirs'), b'theirs'); store.close()\n"
    )
    subprocess.run([sys.executable, "-c", program, store.root], check=True, timeout=30)
    assert store.read(Digest.of(b"theirs")) == b"theirs"
    assert store.missing([digest]) == []


def test_the_least_recently_used_goes_first_and_the_pinned_stays(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store", size_bytes_max=1000)
    digests = [put(store, bytes([number]) * 100) for number in range(10)]
    for number, digest in enumerate(digests):
        os.utime(store.path(digest), ns=(number * 10**9, MTIME_NS))
    store.pin(digests[:2], by="job")
    late = put(store, b"x" * 100)
    gone = store.missing([*digests, late])
    assert gone == digests[2:4]
    store.unpin("job")
    os.utime(store.path(digests[0]), ns=(0, MTIME_NS))
    put(store, b"y" * 250)
    assert digests[0] in store.missing(digests)
    store.close()


def test_what_another_user_of_the_store_has_pinned_stays(tmp_path: Path) -> None:
    root = tmp_path / "store"
    ann = DiskStore(root, size_bytes_max=1000)
    bob = DiskStore(root, size_bytes_max=1000)
    kept = put(ann, b"a" * 500)
    ann.pin([kept], by="ann")
    for number in range(5):
        put(bob, bytes([number]) * 400)
    assert ann.missing([kept]) == []
    ann.close()
    for number in range(5, 10):
        put(bob, bytes([number]) * 400)
    assert bob.missing([kept]) == [kept]
    bob.close()


def test_a_pinned_manifest_keeps_what_its_layer_will_be_made_of(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store", size_bytes_max=1000)
    content = put(store, b"c" * 100)
    manifest = Manifest([("file", File(content))])
    store.put_bytes(manifest.digest, manifest.encoded)
    store.pin([manifest.digest], by="job")
    for number in range(10):
        put(store, bytes([number]) * 400)
    assert store.missing([content, manifest.digest]) == []
    store.close()


def test_a_layer_goes_before_the_blobs_it_is_made_of(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store", size_bytes_max=1000)
    content = put(store, b"c" * 100)
    manifest = Manifest([("file", File(content))])
    store.put_bytes(manifest.digest, manifest.encoded)
    store.pin([manifest.digest], by="job")
    LayerBuilder(store).ensure(manifest)
    for number in range(10):
        put(store, bytes([number]) * 400)
    assert store.has_layer(manifest.digest)
    assert store.missing([content]) == []
    store.unpin("job")
    os.utime(store.layers_root / manifest.digest.hash, ns=(0, 0))
    os.utime(store.path(content), ns=(10**9, MTIME_NS))
    for number in range(10, 20):
        put(store, bytes([number]) * 400)
    assert not store.has_layer(manifest.digest)
    assert store.missing([content]) == [content]
    store.close()


def crash(root: Path, boot: str) -> None:
    """Leave a store as a process does that died, in this or an earlier boot."""
    name = "999999-dead"
    (root / "users" / name).write_text(f"{boot} 0\n")
    (root / "tmp" / name).mkdir()
    (root / "tmp" / name / "0").write_text("half")


def test_a_user_that_died_leaves_nothing_behind(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = DiskStore(root, size_bytes_max=SIZE_MAX)
    digest = put(store, b"good")
    store.close()
    crash(root, tenancy.boot_id())
    (root / "usage").write_text("12345678")
    store = DiskStore(root, size_bytes_max=SIZE_MAX)
    assert leftovers(store) == []
    assert store.missing([digest]) == []
    assert (root / "usage").read_text() == "4"
    store.close()


def test_after_the_machine_died_nothing_leaves_the_store_unverified(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = DiskStore(root, size_bytes_max=SIZE_MAX)
    good, bad = put(store, b"good"), put(store, b"bad.")
    manifest = Manifest([("file", File(bad))])
    store.put_bytes(manifest.digest, manifest.encoded)
    LayerBuilder(store).ensure(manifest)
    path = store.path(bad)
    store.close()
    path.chmod(0o644)
    path.write_bytes(b"bed.")
    crash(root, "another-boot")
    store = DiskStore(root, size_bytes_max=SIZE_MAX)
    assert store.missing([good, bad]) == [bad]
    assert not store.has_layer(manifest.digest)
    store.close()


@pytest.mark.parametrize("ahead_s", [3600, 30 * 24 * 3600])
def test_what_is_written_after_the_clock_was_set_back_is_verified_too(
    ahead_s: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "store"
    with monkeypatch.context() as patch:
        now_ns = time.time_ns()
        patch.setattr(time, "time_ns", lambda: now_ns + ahead_s * 10**9)
        store = DiskStore(root, size_bytes_max=SIZE_MAX)
    bad = put(store, b"bad.")
    path = store.path(bad)
    path.chmod(0o644)
    path.write_bytes(b"bed.")
    # The machine dies.
    os.close(store._tenant._file)
    (user,) = (root / "users").iterdir()
    user.write_text(user.read_text().replace(tenancy.boot_id(), "another-boot"))
    again = DiskStore(root, size_bytes_max=SIZE_MAX)
    assert again.missing([bad]) == [bad]
    again.close()


def test_what_was_used_in_the_future_is_not_kept_for_ever(store: DiskStore) -> None:
    """The clock was wrong, and is right now."""
    digest = put(store, b"x")
    ahead_ns = time.time_ns() + 30 * 24 * 3600 * 10**9
    os.utime(store.path(digest), ns=(ahead_ns, MTIME_NS))
    assert store.missing([digest]) == []
    assert store.path(digest).stat().st_atime_ns < ahead_ns


def test_threads_may_put_the_same_at_once(store: DiskStore) -> None:
    contents = [bytes([number]) * 10_000 for number in range(20)]

    def work() -> None:
        for content in contents:
            store.pin([put(store, content)], by=threading.current_thread().name)
        store.unpin(threading.current_thread().name)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.missing([Digest.of(content) for content in contents]) == []
    assert leftovers(store) == []


def test_many_pins_do_not_grow_the_log_without_end(store: DiskStore) -> None:
    digest = put(store, b"x")
    for number in range(3000):
        store.pin([digest], by=str(number))
        store.unpin(str(number))
    store.pin([digest], by="last")
    (user,) = (store.root / "users").iterdir()
    assert user.stat().st_size < 200_000
    with tenancy.gate(store.root, alone=True):
        assert tenancy.pinned(store.root) == {digest.hash}


def test_closing_twice_does_no_harm_and_frees_the_lock(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store", size_bytes_max=SIZE_MAX)
    store.close()
    store.close()
    with (tmp_path / "store" / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert list((tmp_path / "store" / "users").iterdir()) == []


def test_a_store_that_was_removed_while_somebody_used_it_is_made_anew(tmp_path: Path) -> None:
    root = tmp_path / "store"
    late = DiskStore(root, size_bytes_max=1 << 30)
    put(late, b"content")
    shutil.rmtree(root)
    root.mkdir()
    with pytest.raises(StoreError):
        late.close()
    assert any(root.iterdir()), "it left something"
    store = DiskStore(root, size_bytes_max=1 << 30)
    assert store.read(put(store, b"more")) == b"more"
    store.close()
