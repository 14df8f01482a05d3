import os
from collections.abc import Callable
from pathlib import Path

import pytest

from maelstrom.layers import python_state


def replace(path: Path, text: str) -> None:
    """Put another file of the same size and times in its place."""
    was = path.stat()
    other = path.with_name("other")
    other.write_text(text)
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    other.replace(path)


def edit(path: Path, text: str) -> None:
    """Write a file, at a time that differs from its last by more than the clock's grain."""
    path.write_text(text)
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 10**9))


SEEN: dict[str, Callable[[Path], object]] = {
    "a file is edited": lambda root: edit(root / "package/module.py", "a = 2\n"),
    "another file of its size and times takes its place": lambda root: replace(
        root / "package/module.py", "a = 2\n"
    ),
    "a module comes": lambda root: (root / "package/new.py").write_text(""),
    "a module goes": lambda root: (root / "package/module.py").unlink(),
    "a package goes": lambda root: (root / "package").rename(root.parent / "gone"),
    "what a link leads to is edited": lambda root: edit(root.parent / "linked.py", "later"),
    "a link leads elsewhere": lambda root: (
        (root / "link.py").unlink(),
        (root / "link.py").symlink_to(root / "package/module.py"),
    ),
    "a library is edited": lambda root: edit(root / "package/fast.so", "ELF2"),
}
UNSEEN: dict[str, Callable[[Path], object]] = {
    "nothing happens": lambda root: None,
    "sources are compiled": lambda root: (root / "package/__pycache__").mkdir(),
    "a directory has other times": lambda root: os.utime(root / "package", (1, 1)),
    "version control does something": lambda root: (root / ".git").mkdir(),
    "an environment in a checkout changes": lambda root: edit(root / "env/x.py", "later"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory as of an environment's packages."""
    root = tmp_path / "site-packages"
    (root / "package").mkdir(parents=True)
    (root / "package/module.py").write_text("a = 1\n")
    (root / "package/fast.so").write_text("ELF1")
    (root / "env").mkdir()
    (root / "env/pyvenv.cfg").write_text("")
    (root / "env/x.py").write_text("")
    (tmp_path / "linked.py").write_text("now")
    (root / "link.py").symlink_to("../linked.py")
    (root / "loop").symlink_to(".")
    return root


@pytest.mark.parametrize("change", SEEN)
def test_it_is_seen_when(root: Path, change: str) -> None:
    before = python_state.fingerprint([os.fspath(root)])
    SEEN[change](root)
    assert python_state.fingerprint([os.fspath(root)]) != before


@pytest.mark.parametrize("change", UNSEEN)
def test_it_makes_no_difference_when(root: Path, change: str) -> None:
    before = python_state.fingerprint([os.fspath(root)])
    UNSEEN[change](root)
    assert python_state.fingerprint([os.fspath(root)]) == before


def test_only_files_with_a_suffix_count_where_there_is_one(root: Path) -> None:
    def state() -> str:
        return python_state.fingerprint([os.fspath(root)], suffixes=(".py",))

    before = state()
    edit(root / "package/fast.so", "ELF2")
    assert state() == before
    edit(root / "package/module.py", "a = 2\n")
    assert state() != before


def test_a_root_may_be_a_file_or_missing(tmp_path: Path) -> None:
    path = tmp_path / "python"
    states = [python_state.fingerprint([os.fspath(path)])]
    for text in ("1", "22"):
        path.write_text(text)
        states.append(python_state.fingerprint([os.fspath(path)]))
    assert len(set(states)) == 3


def test_shared_objects_are_found(root: Path) -> None:
    assert python_state.shared_objects([os.fspath(root)]) == [f"{root}/package/fast.so"]
