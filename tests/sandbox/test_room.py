"""What a job has written to disk is found, in parts, whatever it looks like."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.sandbox.room import ENTRIES_AT_ONCE, ENTRIES_FREE, Room

KIB = 1 << 10


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    """Return an open directory, with some files on a few levels."""
    (tmp_path / "a/b/c").mkdir(parents=True)
    for place in (".", "a", "a/b/c"):
        (tmp_path / place / "file").write_bytes(bytes(64 * KIB))
    os.sync()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def _is_ever_exceeded(room: Room, looks: int = 6) -> bool:
    found = any(room.is_exceeded() for _ in range(looks))
    room.close()
    return found


def test_all_that_is_written_is_found(directory: int) -> None:
    assert _is_ever_exceeded(Room(directory, 180 * KIB))
    assert not _is_ever_exceeded(Room(directory, 300 * KIB))


def test_nothing_hides_below_a_path_that_is_longer_than_the_kernel_takes(directory: int) -> None:
    below = os.open("a", os.O_RDONLY, dir_fd=directory)
    for _ in range(30):
        os.mkdir("n" * 200, dir_fd=below)
        above, below = below, os.open("n" * 200, os.O_RDONLY, dir_fd=below)
        os.close(above)
    file = os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=below)
    os.write(file, bytes(512 * KIB))
    os.fsync(file)
    os.close(file)
    os.close(below)
    assert _is_ever_exceeded(Room(directory, 600 * KIB))


def test_a_file_of_many_names_counts_once(directory: int, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"link{number}").hardlink_to(tmp_path / "file")
    assert not _is_ever_exceeded(Room(directory, 300 * KIB))


def test_a_link_leads_nowhere(directory: int, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/usr")
    assert not _is_ever_exceeded(Room(directory, 300 * KIB))


def test_many_empty_files_are_too_many(directory: int, tmp_path: Path) -> None:
    for number in range(ENTRIES_FREE + 200):
        (tmp_path / f"a/empty{number}").touch()
    assert not _is_ever_exceeded(Room(directory, 1 << 30))
    assert _is_ever_exceeded(Room(directory, 300 * KIB))


def test_a_look_goes_on_where_the_last_one_stopped(directory: int, tmp_path: Path) -> None:
    for number in range(ENTRIES_AT_ONCE):
        (tmp_path / f"a/b/empty{number}").touch()
    room = Room(directory, 10 << 20)
    assert not room.is_exceeded()
    with (tmp_path / "a/b/c/file").open("ab") as file:
        file.write(bytes(20 << 20))
        os.fsync(file.fileno())
    assert _is_ever_exceeded(room)


def test_what_goes_away_meanwhile_is_no_matter(directory: int, tmp_path: Path) -> None:
    for number in range(ENTRIES_AT_ONCE + 10):
        (tmp_path / f"empty{number}").touch()
    room = Room(directory, 100 << 20)
    assert not room.is_exceeded()
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert not _is_ever_exceeded(room)
