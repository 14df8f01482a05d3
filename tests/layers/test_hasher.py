import os
import time
from pathlib import Path

import pytest

from maelstrom.errors import LayerError
from maelstrom.layers import hasher as hasher_module
from maelstrom.layers.hasher import Hasher
from maelstrom.model.digest import Digest

OLD_NS = 10**18


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were really read."""
    seen: list[str] = []
    read = Hasher._read

    def counted(self: Hasher, path: str) -> Digest:
        seen.append(Path(path).name)
        return read(self, path)

    monkeypatch.setattr(Hasher, "_read", counted)
    # A file is young for two seconds after its inode changed; tests cannot wait for that.
    monkeypatch.setattr(hasher_module, "RACY_NS", 0)
    return seen


def make(tmp_path: Path, name: str, content: bytes) -> str:
    path = tmp_path / name
    path.write_bytes(content)
    return os.fspath(path)


def test_a_file_is_read_once_over_several_runs(tmp_path: Path, reads: list[str]) -> None:
    path = make(tmp_path, "a", b"content")
    for _ in range(3):
        with Hasher(tmp_path / "cache") as hasher:
            assert hasher.digest(path) == Digest.of(b"content")
    assert reads == ["a"]


def test_a_file_that_changed_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    path = make(tmp_path, "a", b"content")
    with Hasher(tmp_path / "cache") as hasher:
        hasher.digest(path)
        make(tmp_path, "a", b"CONTENT")
        assert hasher.digest(path) == Digest.of(b"CONTENT")
    # Same size and time, but another inode.
    status = os.stat(path)
    other = make(tmp_path, "b", b"replace")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, path)
    with Hasher(tmp_path / "cache") as hasher:
        assert hasher.digest(path) == Digest.of(b"replace")


def test_a_young_file_is_not_remembered(tmp_path: Path) -> None:
    path = make(tmp_path, "a", b"one")
    status = os.stat(path)
    with Hasher(tmp_path / "cache") as hasher:
        hasher.digest(path)
        with open(path, "r+b") as file:
            file.write(b"two")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert hasher.digest(path) == Digest.of(b"two")


def test_many_files_are_read_in_threads(tmp_path: Path) -> None:
    paths = [make(tmp_path, str(number), bytes([number])) for number in range(50)]
    with Hasher() as hasher:
        found = hasher.digests(paths)
    assert found == {path: Digest.of(bytes([number])) for number, path in enumerate(paths)}


def test_another_may_tell_what_a_file_is(tmp_path: Path, reads: list[str]) -> None:
    path = make(tmp_path, "a", b"content")
    with Hasher(tmp_path / "cache") as hasher:
        hasher.known(path, Digest.of(b"content").hash)
        assert hasher.digest(path) == Digest.of(b"content")
    assert reads == []


@pytest.mark.parametrize("damage", [b"", b"\x92\x01", b"\xff" * 100, b'{"json": 1}'])
def test_a_damaged_memory_is_forgotten(tmp_path: Path, damage: bytes) -> None:
    path = make(tmp_path, "a", b"content")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "digests").write_bytes(damage)
    with Hasher(tmp_path / "cache") as hasher:
        assert hasher.digest(path) == Digest.of(b"content")


def test_two_runs_at_once_both_leave_what_they_learnt(tmp_path: Path, reads: list[str]) -> None:
    paths = [make(tmp_path, name, name.encode()) for name in "ab"]
    ann, bob = Hasher(tmp_path / "cache"), Hasher(tmp_path / "cache")
    ann.digest(paths[0])
    bob.digest(paths[1])
    ann.close()
    bob.close()
    with Hasher(tmp_path / "cache") as hasher:
        hasher.digests(paths)
    assert reads == ["a", "b"]


def test_a_memory_that_cannot_be_written_loses_nothing(tmp_path: Path, reads: list[str]) -> None:
    path = make(tmp_path, "a", b"content")
    make(tmp_path, "file", b"")
    with Hasher(tmp_path / "file" / "cache") as hasher:
        assert hasher.digest(path) == Digest.of(b"content")


@pytest.mark.parametrize("kind", ["nothing", "fifo", "directory"])
def test_what_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    before = time.monotonic()
    with Hasher() as hasher, pytest.raises(LayerError, match="thing"):
        hasher.digest(os.fspath(path))
    assert time.monotonic() - before < 5


def test_temporary_content_is_gone_at_the_end() -> None:
    with Hasher() as hasher:
        digest, path = hasher.keep(b"made")
        assert Path(path).read_bytes() == b"made"
        assert hasher.made_path(digest) == path
    assert not Path(path).exists()
