"""The same on older kernels: the newer ways are not taken, and nothing else changes."""

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.model.outcome import ExecutionError, Exited, InfrastructureFault, LimitExceeded
from maelstrom.model.spec import Limits
from maelstrom.sandbox.launch import linux_version
from maelstrom.sandbox.removal import remove_tree
from tests.sandbox.conftest import MANY_LAYERS, MIB, Sandbox, descendants, text

# Debian 12's, one that writes to memory but has no list of layers, one whose times are coarse.
KERNELS = [linux for linux in ((6, 1), (6, 7), (6, 9)) if linux <= linux_version()]


@pytest.fixture(scope="module", params=KERNELS, ids=str)
def old(request: pytest.FixtureRequest, sandbox: Sandbox, layers_root: Path) -> Iterator[Sandbox]:
    """Return a sandbox that does as if the kernel were older."""
    made = Sandbox(layers_root, linux=request.param)
    try:
        made.start()
        place = made.pool._zygote._uppers
        yield made
    finally:
        made.close()
    assert bool(place) == (request.param == (6, 1))
    assert not place or not Path(place).exists()


LAYERS = ("tool", "shell", *(f"small{number}" for number in range(12)))


@pytest.mark.parametrize("count", [1, 3, 14])
def test_a_job_writes_and_the_next_sees_nothing(old: Sandbox, count: int) -> None:
    layers = (*LAYERS[2:count], "tool", "shell") if count > 1 else ("shell",)
    script = "cat /same; echo new > /same; echo x > /made; cat /same; ls /made; ls -a /tmp"
    first = old.run("sh", "-c", script, layers=layers)
    assert isinstance(first, Exited)
    assert old.run("sh", "-c", script, layers=layers).effects.stdout == first.effects.stdout  # type: ignore[union-attr]
    assert "/made" in text(first)


def test_what_is_written_is_bound(old: Sandbox) -> None:
    # Slowly, so that a busy machine does not write much before it is seen.
    script = "n=0; while cat /bin/sh > /f$n || exit 7; do n=$((n + 1)); done"
    outcome = old.run("sh", "-c", script, limits=Limits(write_bytes_max=2 * MIB))
    if old.linux == (6, 1):
        assert isinstance(outcome, LimitExceeded), outcome
        assert outcome.limit == "disk"
    else:
        assert isinstance(outcome, Exited), outcome
        assert outcome.status == 7


def test_whole_directories_can_be_replaced(old: Sandbox) -> None:
    script = "rm -r /etc && mkdir /etc && ls -A /etc && echo x > /etc/x && ls -A /etc"
    for _ in range(2):
        assert text(old.run("sh", "-c", script)) == "x\n"


def test_closed_directories_are_no_hindrance(old: Sandbox) -> None:
    script = "mkdir -p /a/b/c && touch /a/b/c/d && chmod 0 /a/b/c /a/b /a"
    for _ in range(2):
        outcome = old.run("sh", "-c", script)
        assert isinstance(outcome, Exited)
        assert outcome.status == 0, outcome.effects.stderr.text()


def test_a_job_may_be_deeper_than_a_path_is_long(old: Sandbox) -> None:
    # What is not removed would be left when the sandbox is closed.
    assert text(old.run("/t", "dig", "3000", limits=Limits(write_bytes_max=64 * MIB))) == "3000\n"


@pytest.mark.parametrize("way", ["retired", "killed"])
def test_a_slot_that_ends_takes_what_its_jobs_wrote_with_it(old: Sandbox, way: str) -> None:
    script = "echo x > /x; mkdir /y && chmod 0 /y"
    assert isinstance(old.run("sh", "-c", script), Exited)
    first = _slots_on_disk(old)
    assert bool(first) == (old.linux == (6, 1))
    if way == "killed":
        for pid, name in descendants(os.getpid()).items():
            if name == "maelstrom-out":
                os.kill(pid, signal.SIGKILL)
    # A slot of another kind takes its place.
    assert isinstance(old.run("sh", "-c", script, user=0 if way == "retired" else 1234), Exited)
    deadline_s = time.monotonic() + 20.0
    while first & _slots_on_disk(old) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not first & _slots_on_disk(old)


def _slots_on_disk(old: Sandbox) -> set[Path]:
    # Where the kernel is old itself, other pools have their own.
    place = old.pool._zygote._uppers
    return set(Path(place).iterdir()) if place else set()


def test_faults_are_told_as_ever(old: Sandbox) -> None:
    assert isinstance(old.run("/t", layers=("tool", "gone")), InfrastructureFault)
    assert isinstance(old.run("nothing"), ExecutionError)


def test_too_many_layers_are_told_where_there_is_no_list(old: Sandbox) -> None:
    outcome = old.run("/t", "true", layers=("tool", *MANY_LAYERS))
    if old.linux == (6, 9):
        assert isinstance(outcome, Exited)
    else:
        assert isinstance(outcome, InfrastructureFault)
        assert outcome.message.endswith("200 layers are too many for a kernel before Linux 6.8")


def test_a_tree_is_removed_whatever_its_modes(tmp_path: Path) -> None:
    inner = tmp_path / "top/a/b"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    (inner / "link").symlink_to("/etc")
    inner.chmod(0)
    inner.parent.chmod(stat.S_IXUSR)
    remove_tree(str(tmp_path / "top"))
    assert list(tmp_path.iterdir()) == []
    remove_tree(str(tmp_path / "top"))


def test_a_tree_is_removed_whatever_its_depth(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    below = os.open(tmp_path / "top", os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=below)
        os.close(os.open("file", os.O_CREAT, dir_fd=below))
        above, below = below, os.open("d", os.O_RDONLY, dir_fd=below)
        os.close(above)
    os.close(below)
    remove_tree(str(tmp_path / "top"))
    assert list(tmp_path.iterdir()) == []
