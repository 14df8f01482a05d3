"""Control groups: what is written to them, and real ones as far as the host has them."""

import os
from pathlib import Path

import pytest

from maelstrom.model.outcome import Exited, LimitExceeded, Signaled
from maelstrom.sandbox.groups import (
    SLOT_BYTES,
    SLOT_PROCESSES,
    Groups,
    find_groups,
    lacks_groups,
    own_group,
)
from maelstrom.sandbox.steps import GroupLimits
from tests.sandbox.conftest import Sandbox, text

MADE_UP = {
    "cgroup.procs": "",
    "cgroup.controllers": "cpuset cpu io memory pids\n",
    "cgroup.subtree_control": "",
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return something that looks like a delegated group."""
    for name, content in MADE_UP.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def _group(directory: Path, slot: int) -> Path:
    group = directory / f"slot-{os.getpid()}-{slot}"
    group.mkdir()
    for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max"):
        (group / name).write_text("max")
    return group


def _shown(group: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in group.iterdir()}


def test_what_there_is_of_controllers_is_handed_on(directory: Path) -> None:
    groups = Groups(directory)
    assert groups.controllers == ("cpu", "memory", "pids")
    assert (directory / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (directory / "worker").is_dir()


def test_limits_are_written_when_they_differ(directory: Path) -> None:
    groups = Groups(directory)
    group = _group(directory, 3)
    limits = GroupLimits(1000, 5, 7, 1.5)
    groups.limit(3, limits)
    assert _shown(group) == {
        "memory.max": str(1000 + SLOT_BYTES),
        "memory.swap.max": "5",
        "pids.max": str(7 + SLOT_PROCESSES),
        "cpu.max": "150000 100000",
    }
    (group / "pids.max").write_text("untouched")
    groups.limit(3, limits)
    assert (group / "pids.max").read_text() == "untouched"
    groups.limit(3, limits._replace(processors=0.0))
    assert (group / "cpu.max").read_text() == "max 100000"


def test_a_kill_for_memory_is_told_once(directory: Path) -> None:
    groups = Groups(directory)
    group = _group(directory, 1)
    assert not groups.was_short(1), "there is no such file"
    (group / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert groups.was_short(1)
    assert not groups.was_short(1)


def test_what_a_kernel_lacks_is_left_out(directory: Path) -> None:
    groups = Groups(directory)
    group = directory / f"slot-{os.getpid()}-2"
    group.mkdir()
    groups.limit(2, GroupLimits(1, 2, 3, 4.0))
    assert _shown(group) == {}
    groups.sweep()
    assert not group.exists()


def test_nobody_takes_what_was_not_given(tmp_path: Path) -> None:
    assert find_groups({"MAELSTROM_CGROUP": str(tmp_path / "missing")}) is None
    own = own_group()
    assert own is None or own.is_dir()


def test_a_group_that_our_processes_cannot_reach_is_no_good(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = directory.parent / "cgroup.procs"
    gate.touch()
    closed = {gate}
    monkeypatch.setattr("maelstrom.sandbox.groups.own_group", lambda: directory.parent / "ours")
    monkeypatch.setattr(os, "access", lambda path, mode: path not in closed)
    environment = {"MAELSTROM_CGROUP": str(directory)}
    assert find_groups(environment) is None
    assert lacks_groups(environment).startswith(f"`{gate}` is not ours to write to")
    closed.clear()
    assert find_groups(environment) is not None
    assert lacks_groups(environment) == ""


class _Short:
    """Groups of a host whose kernel always kills for memory."""

    def limit(self, slot: int, limits: GroupLimits) -> None:
        """Do nothing."""

    def was_short(self, slot: int) -> bool:
        """Say so."""
        return True


def test_an_outcome_says_that_memory_was_short(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.pool, "_groups", _Short())
    outcome = sandbox.run("sh", "-c", "kill -9 $$")
    assert isinstance(outcome, LimitExceeded)
    assert outcome.limit == "memory"
    assert isinstance(sandbox.run("sh", "-c", "exit 0"), Exited)
    monkeypatch.undo()
    assert isinstance(sandbox.run("sh", "-c", "kill -9 $$"), Signaled)


def test_each_slot_has_a_group_and_leaves_none(
    layers_root: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    del sandbox  # A host that has none skips this.
    own = own_group()
    mine = own / "maelstrom-test" if own is not None else None
    try:
        assert mine is not None
        mine.mkdir()
    except (AssertionError, OSError):
        pytest.skip("no control groups to make here")
    monkeypatch.setenv("MAELSTROM_CGROUP", str(mine))
    grouped = Sandbox(layers_root)
    try:
        grouped.start()
        slots = list(mine.glob("slot-*"))
        assert len(slots) == 1
        # The outer process and the slot.
        assert len((slots[0] / "cgroup.procs").read_text().split()) == 2
        assert "0::/\n" in text(grouped.run("cat", "/proc/self/cgroup"))
    finally:
        grouped.close()
        assert list(mine.glob("slot-*")) == []
        (mine / "worker").rmdir()
        mine.rmdir()
