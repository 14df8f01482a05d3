"""Control groups for slots, where an administrator has handed one over to us.

Rules of this file:
1. Only a group that was delegated on purpose is touched: one that systemd has marked
   (`Delegate=yes`), or one that is named in MAELSTROM_CGROUP.
2. A slot has a group of its own as long as it lives; between jobs only its limits are written, and
   those only if they differ.
3. What a kernel or a host lacks is left out: the limits that work without groups hold anyway.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from maelstrom.sandbox.steps import GroupLimits

WANTED = ("cpu", "memory", "pids")
CPU_PERIOD_US = 100_000
# A slot's Python, and what the kernel keeps for its mounts.
SLOT_BYTES = 64 << 20
SLOT_PROCESSES = 4
_OWN, _SLOT = "worker", "slot-"


class Groups:
    """The groups of one worker's slots."""

    def __init__(self, directory: Path) -> None:
        """Take over a delegated group; raises OSError if that does not go."""
        self._directory = directory
        self._set: dict[int, GroupLimits] = {}
        self._kills: dict[int, int] = {}
        self.controllers = self._take_over()

    def _take_over(self) -> tuple[str, ...]:
        # A group with processes of its own cannot hand out controllers to others.
        own = self._directory / _OWN
        own.mkdir(exist_ok=True)
        for pid in (self._directory / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                (own / "cgroup.procs").write_text(pid)
        there = (self._directory / "cgroup.controllers").read_text().split()
        found = tuple(name for name in WANTED if name in there)
        if found:
            words = " ".join(f"+{name}" for name in found)
            (self._directory / "cgroup.subtree_control").write_text(words)
        self.sweep()
        return found

    def add(self, slot: int, pid: int) -> None:
        """Make a slot's group, and put the process into it that the slot will be a child of."""
        self.sweep()
        group = self._group(slot)
        group.mkdir()
        (group / "cgroup.procs").write_text(str(pid))

    def limit(self, slot: int, limits: GroupLimits) -> None:
        """Set what the slot's next job may use."""
        if self._set.get(slot) == limits:
            return
        group = self._group(slot)
        quota = f"{int(limits.processors * CPU_PERIOD_US)}" if limits.processors else "max"
        _write(group, "memory.max", str(limits.memory_bytes + SLOT_BYTES))
        _write(group, "memory.swap.max", str(limits.swap_bytes))
        _write(group, "pids.max", str(limits.processes + SLOT_PROCESSES))
        _write(group, "cpu.max", f"{quota} {CPU_PERIOD_US}")
        self._set[slot] = limits

    def was_short(self, slot: int) -> bool:
        """Whether the kernel has killed a process of the slot for memory since the last time."""
        kills = _events(self._group(slot)).get("oom_kill", 0)
        before = self._kills.get(slot, 0)
        self._kills[slot] = kills
        return kills > before

    def forget(self, slot: int) -> None:
        """Let go of a slot that ends; its group goes with the next sweep."""
        self._set.pop(slot, None)
        self._kills.pop(slot, None)

    def sweep(self) -> int:
        """Remove the groups of slots that are gone, those of a killed worker too.

        Returns how many of our own are left.
        """
        left = 0
        for group in self._directory.glob(f"{_SLOT}*"):
            try:
                group.rmdir()
            except OSError:
                left += group.name.startswith(f"{_SLOT}{os.getpid()}-")
        return left

    def _group(self, slot: int) -> Path:
        return self._directory / f"{_SLOT}{os.getpid()}-{slot}"


def find_groups(environment: Mapping[str, str]) -> Groups | None:
    """Return groups if we were given one, and None if not."""
    named = environment.get("MAELSTROM_CGROUP")
    directory = Path(named) if named else own_group()
    if directory is None or not (named or _is_delegated(directory)) or _barrier(directory):
        return None
    try:
        return Groups(directory)
    except OSError:
        return None


def lacks_groups(environment: Mapping[str, str]) -> str:
    """Say why there are none for us, or nothing; changes nothing."""
    named = environment.get("MAELSTROM_CGROUP")
    found = Path(named) if named else own_group()
    if found is None:
        return "there are none of the second version here"
    if not named and not _is_delegated(found):
        return f"`{found}` was not handed over to us"
    try:
        there = set((found / "cgroup.controllers").read_text().split())
    except OSError as error:
        return f"cannot look at `{found}`: {error.strerror}"
    lacking = sorted(set(WANTED) - there)
    if lacking:
        return f"`{found}` lacks {', '.join(lacking)}"
    barrier = _barrier(found)
    return f"`{barrier}` is not ours to write to, so no process moves to `{found}`" * bool(barrier)


def own_group() -> Path | None:
    """Return the directory of the group we are in, of the second version of control groups."""
    try:
        groups = Path("/proc/self/cgroup").read_text().splitlines()
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return None
    path = next((line[3:] for line in groups if line.startswith("0::/")), "")
    for line in mounts:
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2" and path:
            inside = os.path.relpath(path, fields[3])
            return None if inside.startswith("..") else Path(fields[4], inside)
    return None


def _barrier(directory: Path) -> Path | None:
    """Return the file that lets nobody but others move our processes to a group, if one does."""
    own = own_group()
    if own is None:
        return None
    # The kernel wants to see the right to the nearest group above both.
    gate = Path(os.path.commonpath((own, directory.absolute())), "cgroup.procs")
    return gate if gate.exists() and not os.access(gate, os.W_OK) else None


def _is_delegated(directory: Path) -> bool:
    try:
        return os.getxattr(directory, "user.delegate") == b"1" and os.access(directory, os.W_OK)
    except OSError:
        return False


def _write(group: Path, name: str, value: str) -> None:
    with contextlib.suppress(OSError):
        file = os.open(group / name, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(file, value.encode())
        finally:
            os.close(file)


def _events(group: Path) -> dict[str, int]:
    try:
        lines = (group / "memory.events").read_text().splitlines()
    except OSError:
        return {}
    return {name: int(count) for name, count in (line.split() for line in lines)}
