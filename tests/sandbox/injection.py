"""A zygote whose slots fail at the n-th system call, as told through shared memory.

Loaded as the real one is, into a Python of its own. Calls are counted where this package makes
them: the functions of `os` and others, and `system_call`.
"""

import fcntl
import importlib
import mmap
import os
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

# `close` and what only asks about the process itself does not fail.
CALLS: dict[Any, tuple[str, ...]] = {
    os: (
        *("access", "chdir", "chmod", "dup", "dup2", "fchdir", "fork", "fstat", "getxattr"),
        *("listdir", "listxattr", "lseek", "memfd_create", "mkdir", "open", "pidfd_open", "pipe2"),
        *("posix_spawn", "pread", "pwrite", "read", "readlink", "rename", "rmdir", "scandir"),
        *("set_blocking", "stat", "symlink", "unlink", "utime", "wait4", "waitid", "write"),
    ),
    fcntl: ("ioctl",),
    resource: ("getrlimit", "prlimit", "setrlimit"),
    socket: ("send_fds", "sethostname", "socket", "socketpair"),
}
WRAPPED_MODULES = ("mount", "namespace", "process", "seccomp")
STAGE, JOB, CLEAN, FORESEE, WAIT = 1, 2, 3, 4, 5
REMOVAL_S = 0.2
_ORDER = struct.Struct("<IBiI")
_SIGHT = struct.Struct("<IIII64s2048sI")
_MEMORY_BYTES = _ORDER.size + _SIGHT.size


class Order(NamedTuple):
    """What is to be done: to count the calls of a phase, and to let one of them fail."""

    ticket: int = 0
    """Tells one order from the next."""
    phase: int = 0
    number: int = 0
    """The error number."""
    at: int = 0
    """Which call fails; 0 for none."""


class Sight(NamedTuple):
    """What the slot saw."""

    ticket: int = 0
    count: int = 0
    files: int = 0
    """The slot's open files after its last job."""
    mounts: int = 0
    name: bytes = b""
    """What was made to fail."""
    links: bytes = b""
    """What the open files are, as far as there is room."""
    cleaned: int = 0
    """The ticket of the job after or ahead of which it looked; written last."""


class Control:
    """The shared memory; each side writes to a part of its own."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _MEMORY_BYTES)

    @property
    def order(self) -> Order:
        """What the test says."""
        return Order(*_ORDER.unpack_from(self._memory))

    @order.setter
    def order(self, order: Order) -> None:
        _ORDER.pack_into(self._memory, 0, *order)

    @property
    def sight(self) -> Sight:
        """What the slot says."""
        sight = Sight(*_SIGHT.unpack_from(self._memory, _ORDER.size))
        return sight._replace(name=sight.name.rstrip(b"\0"), links=sight.links.rstrip(b"\0"))

    @sight.setter
    def sight(self, sight: Sight) -> None:
        _SIGHT.pack_into(self._memory, _ORDER.size, *sight)

    @staticmethod
    def make(path: Path) -> "Control":
        """Make the file it lives in."""
        path.write_bytes(bytes(_MEMORY_BYTES))
        path.chmod(0o666)
        return Control(str(path))


class _Injector:
    def __init__(self, control: Control) -> None:
        self.control = control
        self.ticket = 0
        """That of the slot's job."""
        self._phase = 0
        self._is_inside = False

    def wrap(self, module: Any, name: str) -> None:
        function: Callable[..., Any] = getattr(module, name)

        @wraps(function, updated=())
        def call(*arguments: Any, **keywords: Any) -> Any:
            # Python's own functions call one another.
            if self._phase and not self._is_inside:
                self._is_inside = True
                try:
                    self._count(name, arguments)
                finally:
                    self._is_inside = False
            return function(*arguments, **keywords)

        setattr(module, name, call)

    def _count(self, name: str, arguments: tuple[Any, ...]) -> None:
        order, sight = self.control.order, self.control.sight
        if order.phase != self._phase:
            return
        if sight.ticket != order.ticket:
            sight = sight._replace(ticket=order.ticket, count=0, name=b"")
        sight = sight._replace(count=sight.count + 1)
        if sight.count == order.at:
            what = arguments[0] if name == "system_call" else name
            sight = sight._replace(name=str(what).encode()[:64])
        self.control.sight = sight
        if sight.count == order.at:
            path = [argument for argument in arguments[:1] if isinstance(argument, str)]
            raise OSError(order.number, os.strerror(order.number), *path)

    @contextmanager
    def phase(self, phase: int) -> Iterator[None]:
        before, self._phase = self._phase, phase
        try:
            yield
        finally:
            self._phase = before

    def look(self) -> None:
        with self.phase(0):
            links = _open_files()
            # The host's own come and go.
            with open("/proc/self/mountinfo") as file:
                mounts = sum(not line.split()[4].startswith("/host") for line in file)
            sight = self.control.sight
            self.control.sight = sight._replace(
                cleaned=self.ticket, files=len(links), mounts=mounts, links=" ".join(links).encode()
            )


def _open_files() -> list[str]:
    links = []
    for name in os.listdir("/proc/self/fd"):
        # The one that this is read through is gone by now.
        with suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return sorted(links)


def main(path: str) -> None:
    """Be a zygote."""
    injector = _Injector(Control(path))
    zygote = importlib.import_module("maelstrom.sandbox.zygote")
    slot = importlib.import_module("maelstrom.sandbox.slot").Slot
    child = importlib.import_module("maelstrom.sandbox.child").Child
    for module, names in CALLS.items():
        for name in names:
            # A class must stay one.
            if name != "socket":
                injector.wrap(module, name)
    for module_name in WRAPPED_MODULES:
        injector.wrap(importlib.import_module(f"maelstrom.linux.{module_name}"), "system_call")
    remove = zygote.remove_tree

    def remove_slowly(path: str) -> None:
        # It is not over when the next slot is made.
        time.sleep(REMOVAL_S)
        remove(path)

    zygote.remove_tree = remove_slowly
    run_outer, run, clean = zygote._run_outer, slot.run, slot.clean
    foresee, wait = slot.foresee, child.wait

    def run_outer_counted(*arguments: Any) -> None:
        # It is as the first of the slot's calls; those after them are another phase's.
        injector._phase = STAGE
        run_outer(*arguments)

    def foresee_counted(self: Any, message: Any) -> None:
        injector.ticket = injector.control.order.ticket
        try:
            with injector.phase(FORESEE):
                foresee(self, message)
        finally:
            injector.look()

    def wait_counted(self: Any, line: socket.socket) -> None:
        # It runs beside the slot, which cannot be heard to count at the same time.
        injector._phase = WAIT
        wait(self, line)

    def run_counted(self: Any, message: Any) -> None:
        injector.ticket = injector.control.order.ticket
        with injector.phase(JOB):
            run(self, message)

    def clean_counted(self: Any) -> bool:
        try:
            with injector.phase(CLEAN):
                return bool(clean(self))
        finally:
            injector.look()

    zygote._run_outer, slot.run, slot.clean = run_outer_counted, run_counted, clean_counted
    slot.foresee, child.wait = foresee_counted, wait_counted
    zygote.main()
