"""Tell who has a store open, and what each of them needs kept.

Several processes may share one store: the broker and the worker of a stand-alone run, and the runs
of several projects. Rules of this file:
1. Every user of a store has a file below `users`, locked for as long as the user lives. A file
   whose lock is free belongs to a process that died.
2. The file begins with the boot and the time it was made in, and goes on as a log of pins.
3. Pins are written with the gate shared, and read for eviction with the gate held alone: what was
   pinned before an eviction began is safe from it, and so is what is pinned later.
"""

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

COMPACT_LINES_MIN = 1000
LAG_NS = 10**9


class Dead(NamedTuple):
    """A user that went without closing its store."""

    name: str
    boot: str
    since_ns: int


def boot_id() -> str:
    """Return the identity of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@contextlib.contextmanager
def gate(root: Path, *, alone: bool) -> Iterator[None]:
    """Hold the store's gate, shared or alone; held for moments only."""
    # Every holder opens the file anew: a lock belongs to the open file, so that two threads of one
    # process exclude one another as two processes do.
    descriptor = os.open(root / "gate", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


class Tenant:
    """This process's own entry among the users of a store; call `enter` with the gate held alone.

    Not safe for threads by itself: the store has a lock around it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.name = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._path = root / "users" / self.name
        self._pins: dict[str, set[str]] = {}
        self._lines = 0
        self._file = -1
        self._boot = boot_id()
        # The kernel's own stamps lag behind by a tick.
        self.since_ns = time.time_ns() - LAG_NS

    def enter(self) -> None:
        """Appear among the users."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.write(self._file, f"{self._head}\n".encode())

    @property
    def _head(self) -> str:
        return f"{self._boot} {self.since_ns}"

    def clock_was(self, now_ns: int) -> None:
        """Note what time it is when something is written; raises OSError.

        If the clock was set back, what is written now looks older than we are, and would not be
        verified after a loss of power: so it must be on disk that we began earlier.
        """
        if now_ns - LAG_NS < self.since_ns:
            self.since_ns = now_ns - LAG_NS
            self._compact()
            os.fsync(self._file)

    def leave(self) -> None:
        """Disappear, cleanly."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = -1

    def pin(self, hashes: Iterable[str], by: str) -> None:
        """Keep these for `by`, besides what it has already."""
        kept = self._pins.setdefault(by, set())
        fresh = [item for item in hashes if item not in kept]
        if fresh:
            kept.update(fresh)
            self._append(json.dumps([by, fresh]))

    def unpin(self, by: str) -> None:
        """Forget all that was kept for `by`."""
        if self._pins.pop(by, None) is not None:
            self._append(json.dumps([by, None]))

    def _append(self, line: str) -> None:
        self._lines += 1
        if self._lines > COMPACT_LINES_MIN + 4 * len(self._pins):
            self._compact()
            return
        with gate(self._root, alone=False):
            _write_all(self._file, f"{line}\n".encode())

    def _compact(self) -> None:
        lines = [json.dumps([by, sorted(hashes)]) for by, hashes in self._pins.items()]
        with gate(self._root, alone=False):
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            _write_all(self._file, "\n".join([self._head, *lines, ""]).encode())
        self._lines = len(lines)


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def pinned(root: Path) -> set[str]:
    """Return what any living user has pinned; call with the gate held alone, after `bury`."""
    every: set[str] = set()
    for path in (root / "users").iterdir():
        pins: dict[str, set[str]] = {}
        for line in path.read_text().splitlines()[1:]:
            by, hashes = json.loads(line)
            if hashes is None:
                pins.pop(by, None)
            else:
                pins.setdefault(by, set()).update(hashes)
        every.update(*pins.values())
    return every


def bury(root: Path) -> list[Dead]:
    """Remove the entries of users that died; call with the gate held alone."""
    dead = []
    for path in sorted((root / "users").iterdir()):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            head = os.read(descriptor, 100).decode(errors="replace").partition("\n")[0]
            boot, _, since = head.partition(" ")
            # A head that was lost with the machine tells nothing: then all is in doubt.
            dead.append(Dead(path.name, boot, int(since) if since.isdecimal() else 0))
            path.unlink()
        finally:
            os.close(descriptor)
    return dead
