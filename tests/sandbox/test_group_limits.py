"""Limits that the kernel keeps for a control group, for real: below MAELSTROM_TEST_CGROUP.

It names an empty group that we may write to, as we may to the one above, in which we are
ourselves.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.model.outcome import Exited, LimitExceeded, TimedOut
from maelstrom.model.spec import Limits
from maelstrom.sandbox.groups import SLOT_PROCESSES, WANTED, Groups
from maelstrom.sandbox.steps import GroupLimits
from tests.sandbox.conftest import MIB, Sandbox, text

SMALL = Limits(memory_bytes_max=16 * MIB, write_bytes_max=MIB)
# More than that, and than what a slot has for itself.
HIDDEN_MIB = "140"
FORKING = """
import os, sys
sys.stdin.readline()
count = 0
try:
    while count < 50:
        if os.fork() == 0:
            sys.stdin.read()
            os._exit(0)
        count += 1
except BlockingIOError:
    print(count, flush=True)
sys.stdin.read()
while count:
    os.wait()
    count -= 1
"""
DELEGATED = """
import os, sys
from maelstrom.sandbox.groups import find_groups, lacks_groups
sys.stdin.readline()
print(repr(lacks_groups({})))
print(*find_groups({}).controllers)
"""


@pytest.fixture(scope="module")
def given() -> Path:
    """Return the group that is ours."""
    named = os.environ.get("MAELSTROM_TEST_CGROUP")
    if not named:
        pytest.skip("MAELSTROM_TEST_CGROUP names no control group")
    # It hands on what it has.
    Path(named, "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in WANTED))
    return Path(named)


@pytest.fixture(scope="module")
def grouped(given: Path, layers_root: Path) -> Iterator[Sandbox]:
    """Return a sandbox whose slots have groups there."""
    mine = given / "sandbox"
    mine.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAELSTROM_CGROUP", str(mine))
        made = Sandbox(layers_root)
        made.start()
        yield made
        made.close()
    (mine / "worker").rmdir()
    # No slot has left its own.
    mine.rmdir()


def _slot(given: Path) -> Path:
    """Return the group of the slot, of which there is one."""
    (slot,) = (given / "sandbox").glob("slot-*")
    return slot


def _events(group: Path, name: str) -> dict[str, int]:
    lines = (group / name).read_text().splitlines()
    return {key: int(value) for key, value in map(str.split, lines)}


def test_memory_that_no_measurement_sees_is_limited(grouped: Sandbox) -> None:
    outcome = grouped.run("/t", "hide", HIDDEN_MIB, limits=SMALL)
    assert isinstance(outcome, LimitExceeded), outcome
    assert outcome.limit == "memory"
    assert "held" not in text(outcome)
    # The next job has the room that it is given.
    wider = Limits(memory_bytes_max=int(HIDDEN_MIB) * MIB)
    assert text(grouped.run("/t", "hide", HIDDEN_MIB, limits=wider)) == "held\n"
    assert isinstance(grouped.run("/t", "hide", HIDDEN_MIB, limits=SMALL), LimitExceeded)


def test_what_a_job_writes_to_its_root_is_not_taken_from_its_memory(grouped: Sandbox) -> None:
    limits = Limits(memory_bytes_max=16 * MIB, write_bytes_max=100 * MIB)
    outcome = grouped.run("/t", "fill", "/tmp/x", limits=limits, timeout_s=120.0)
    assert isinstance(outcome, Exited), outcome


def test_swap_is_limited_apart(grouped: Sandbox, given: Path) -> None:
    if len(Path("/proc/swaps").read_text().splitlines()) == 1:
        pytest.skip("this host has no swap")
    limits = Limits(memory_bytes_max=16 * MIB, write_bytes_max=MIB, swap_bytes_max=160 * MIB)
    outcome = grouped.run("/t", "hide", HIDDEN_MIB, limits=limits, timeout_s=120.0)
    assert isinstance(outcome, Exited), outcome
    assert text(outcome) == "held\n"
    assert isinstance(grouped.run("/t", "hide", HIDDEN_MIB, limits=SMALL), LimitExceeded)


def test_processor_time_is_limited(grouped: Sandbox, given: Path) -> None:
    spin = ("sh", "-c", "while :; do :; done")
    slow = grouped.run(*spin, limits=Limits(processors=0.1), timeout_s=2.0)
    assert isinstance(slow, TimedOut), slow
    assert _events(_slot(given), "cpu.stat")["nr_throttled"] > 0
    effects = slow.effects
    assert effects.cpu_user_s + effects.cpu_system_s < 0.2 * effects.duration_s
    # The next job is free again.
    assert isinstance(grouped.run(*spin, timeout_s=1.0), TimedOut)
    assert (_slot(given) / "cpu.max").read_text() == "max 100000\n"


def test_processes_are_limited_whoever_they_belong_to(given: Path) -> None:
    mine = given / "processes"
    mine.mkdir()
    groups = Groups(mine)
    assert groups.controllers == WANTED
    with subprocess.Popen(
        [sys.executable, "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        groups.add(0, child.pid)
        groups.limit(0, GroupLimits(1 << 30, 0, 6, 0.0))
        print("go", file=child.stdin, flush=True)
        # Itself is one of them.
        assert int(child.stdout.readline()) == 6 + SLOT_PROCESSES - 1
    assert _events(next(mine.glob("slot-*")), "pids.events")["max"] > 0
    assert groups.sweep() == 0
    (mine / "worker").rmdir()
    mine.rmdir()


def test_a_group_that_systemd_has_marked_is_taken_over(given: Path) -> None:
    marked = given / "marked"
    marked.mkdir()
    os.setxattr(marked, "user.delegate", b"1")
    with subprocess.Popen(
        [sys.executable, "-c", DELEGATED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        (marked / "cgroup.procs").write_text(str(child.pid))
        assert child.communicate("go\n")[0] == f"''\n{' '.join(WANTED)}\n"
    (marked / "worker").rmdir()
    marked.rmdir()
