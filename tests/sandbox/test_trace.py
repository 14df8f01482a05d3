"""A change is seen even where the clock of the file system did not move meanwhile."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from maelstrom.sandbox import trace
from maelstrom.sandbox.removal import clear_directory, names_of
from maelstrom.sandbox.trace import Trace


def _replace(top: Path) -> None:
    (top / "a/b").rmdir()
    (top / "a/c").mkdir()


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file": lambda top: (top / "file").touch(),
    "a file below": lambda top: (top / "a/b/file").touch(),
    "a directory": lambda top: (top / "a/b/more").mkdir(),
    "a directory less": lambda top: (top / "a/b").rmdir(),
    "another directory": _replace,
    "a link": lambda top: (top / "a/link").symlink_to("b"),
    "a mode": lambda top: (top / "a").chmod(0o711),
    "an attribute": lambda top: os.setxattr(top / "a/b", "user.left", b"1"),
}


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock of file systems."""

    def stop(look: Callable[..., os.stat_result]) -> Callable[..., SimpleNamespace]:
        def look_without_time(*arguments: object, **keywords: object) -> SimpleNamespace:
            found = look(*arguments, **keywords)
            times = {"st_ctime_ns": 0, "st_mtime_ns": 0}
            return SimpleNamespace(st_mode=found.st_mode, st_ino=found.st_ino, **times)

        return look_without_time

    frozen = SimpleNamespace(**vars(os) | {"stat": stop(os.stat), "fstat": stop(os.fstat)})
    monkeypatch.setattr(trace, "os", frozen)


@pytest.mark.parametrize("change", [None, *CHANGES])
def test_a_change_is_seen_though_the_clock_stands(
    stopped: None, tmp_path: Path, change: str | None
) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        seen = Trace(directory, is_empty=False, has_fine_times=False)
        assert seen.is_same()
        if change is not None:
            CHANGES[change](tmp_path)
        assert seen.is_same() == (change is None)
    finally:
        os.close(directory)


def test_of_very_many_names_no_more_are_read_than_must_be_known(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}").touch()
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert len(names_of(directory, 4)) == 5
        assert len(names_of(directory, 9)) == 9
        assert not clear_directory(directory, 4)
        assert clear_directory(directory, 9)
    finally:
        os.close(directory)
    assert list(tmp_path.iterdir()) == []
