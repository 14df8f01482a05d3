"""A program that was started ahead, and of which jobs are forks.

What all jobs of a target begin with (an interpreter, its test framework) is done once. A job is a
fork of the template in a root of its own: the kernel moves every process whose root is the old one
to the new one when the root of its mount namespace is changed.

Rules of this file:
1. No job runs in the root the template was started in, nor in one that another job has written to.
2. A template outlives a job only if that ended by itself and left nothing: no process, no IPC
   object, and no change to the template that its forks would inherit.
3. Forks share nothing that one of them could change: no file but the connection is open in the
   template, no memory is shared, and the root it was started in, where its program lies, is
   read-only from then on.
4. Where anything else happens the template is dropped; the job, if it has not begun, then starts as
   if there were none.
"""

import contextlib
import errno
import json
import os
import select
import signal
import socket
from collections.abc import Callable
from typing import NamedTuple

from maelstrom.linux import mount, namespace
from maelstrom.linux.ipc import IpcObjects
from maelstrom.sandbox.bearing import Bearing
from maelstrom.sandbox.root import Root
from maelstrom.sandbox.steps import Spawn

START_S_MAX = 30.0
ANSWER_S_MAX = 5.0
# After it, a template that was stopped goes on. Time is counted in these moments, in which it could
# have run, and so without those in which the whole machine stood still.
GO_ON_S = 0.1
# A message must fit into the buffer of a socket.
REQUEST_BYTES_MAX = 100_000
ANSWER_BYTES_MAX = 256
HOW_IT_ENDED = b"end"
# Its connection has two ends.
TEMPLATE_SOCKETS = 2
_CONNECTION = 3
# Below /proc; if it is user 0, a job may write to these, and forks are as they say.
_INHERITED = ("oom_score_adj", "coredump_filter")
_DESCRIPTORS = {"0", "1", "2", str(_CONNECTION)}


def request_of(step: Spawn, directory: str) -> bytes:
    """Return what a template is asked for, at most `REQUEST_BYTES_MAX` of it if that is to go."""
    request = {
        "arguments": list(map(os.fsdecode, step.arguments[1 + step.template_arguments :])),
        "environment": {os.fsdecode(k): os.fsdecode(v) for k, v in step.environment},
        "directory": directory,
    }
    return json.dumps(request).encode()


class Usage(NamedTuple):
    """What processes used."""

    user_s: float = 0.0
    system_s: float = 0.0
    peak_bytes: int = 0

    def plus(self, other: "Usage") -> "Usage":
        """Add what others used, who need not have been there at the same time."""
        return Usage(
            self.user_s + other.user_s,
            self.system_s + other.system_s,
            max(self.peak_bytes, other.peak_bytes),
        )


class Template:
    """One template; made in its root, from which it keeps its files."""

    def __init__(self, step: Spawn, null: int, own_root: Root, objects: IpcObjects) -> None:
        """Start the program; raises OSError."""
        self.own_root = own_root
        self._objects = objects
        self._seen: Root | None = None
        """Where it is now."""
        self.is_spent = False
        self._bearing: Bearing | None = None
        self._files: list[int] = []
        self._content: list[bytes] = []
        with contextlib.ExitStack() as undone:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._connection = undone.enter_context(ours)
            with theirs:
                self.pid = _spawn(step, null, theirs.fileno())
            undone.callback(_end, self.pid)
            self._descriptor = os.pidfd_open(self.pid)
            undone.pop_all()

    @property
    def is_ready(self) -> bool:
        """Whether it has begun well: what comes later is not its own fault."""
        return self._bearing is not None

    def get_ready(self, go_home: Callable[[], None], channel: int) -> None:
        """Wait until it has loaded what there is to load, where that is; raises OSError.

        A message on `channel` ends the waiting.
        """
        if self._bearing is None:
            self._answer(START_S_MAX, channel)
            self._check()
            self._seal_root(go_home)
            for name in _INHERITED:
                self._files.append(os.open(f"/proc/{self.pid}/{name}", os.O_RDONLY))
            self._content = self._read_files()
            self._bearing = Bearing.of(self.pid)

    def move_to(self, root: Root, go_home: Callable[[], None]) -> None:
        """Have the template, and with it the next job, see a root; raises OSError."""
        if root is self._seen:
            return
        self._seen = None
        try:
            namespace.enter(root.namespace, namespace.NEW_MOUNT)
            tree = mount.clone_tree("/")
            try:
                namespace.enter(self.own_root.namespace, namespace.NEW_MOUNT)
                mount.attach(os.dup(tree), "/")
                os.fchdir(tree)
                mount.pivot_root()
            finally:
                os.close(tree)
        finally:
            go_home()
        self._seen = root

    def fork(self, request: bytes, streams: tuple[int, ...], channel: int) -> tuple[int, int]:
        """Start a job; return its PID, and a descriptor of it that is the caller's to close.

        Raises OSError. A message on `channel` ends the waiting.
        """
        socket.send_fds(self._connection, [request], streams)
        answer = self._answer(ANSWER_S_MAX, channel)
        if not answer.isdigit():
            raise OSError(errno.EPROTO, "a template does not tell of its fork")
        # It may have ended, but is not buried before its end is asked for.
        return int(answer), os.pidfd_open(int(answer))

    def report(self) -> tuple[int, Usage] | None:
        """Return the wait status of the job that has ended, or None if that is not known."""
        try:
            self._connection.send(HOW_IT_ENDED)
            status, user_s, system_s, peak = self._answer(ANSWER_S_MAX, -1).split()
            return int(status), Usage(float(user_s), float(system_s), int(peak) * 1024)
        except (OSError, ValueError):
            return None

    def is_alone(self) -> bool:
        """Whether no process is left but this one."""
        processes = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
        return sorted(processes) == [1, self.pid]

    def is_as_new(self) -> bool:
        """Whether its forks will be like the first one."""
        return (
            self._objects.is_untouched()
            and Bearing.of(self.pid) == self._bearing
            and self._read_files() == self._content
        )

    def _read_files(self) -> list[bytes]:
        return [os.pread(file, 64, 0) for file in self._files]

    def _check(self) -> None:
        """Raise OSError where its forks would share what one of them could change."""
        place = f"/proc/{self.pid}"
        is_plain = (
            self.is_alone()
            and self._objects.is_untouched()
            and set(os.listdir(f"{place}/fdinfo")) == _DESCRIPTORS
            and len(os.listdir(f"{place}/task")) == 1
            and not _shares_memory(f"{place}/maps")
        )
        if not is_plain:
            raise OSError(errno.EBUSY, "a template shares something with its forks")

    def _seal_root(self, go_home: Callable[[], None]) -> None:
        """Let no job change the root through what leads there, as `/proc/self/exe` does."""
        try:
            namespace.enter(self.own_root.namespace, namespace.NEW_MOUNT)
            root = os.open("/", os.O_PATH | os.O_DIRECTORY)
            try:
                mount.set_attributes(root, mount.ATTRIBUTE_READ_ONLY, is_recursive=True)
            finally:
                os.close(root)
        finally:
            go_home()

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()
        for descriptor in (self._descriptor, *self._files):
            os.close(descriptor)

    def _answer(self, seconds_max: float, channel: int) -> bytes:
        self._wait(seconds_max, channel)
        answer = self._connection.recv(ANSWER_BYTES_MAX)
        if not answer:
            raise OSError(errno.ESRCH, "a template has ended")
        return answer

    def _wait(self, seconds_max: float, channel: int) -> None:
        poll = select.poll()
        for descriptor in (self._connection.fileno(), self._descriptor, channel):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        ready: list[int] = []
        for _ in range(round(seconds_max / GO_ON_S)):
            # Its job may have stopped it, which leaves no trace once it goes on.
            signal.pidfd_send_signal(self._descriptor, signal.SIGCONT)
            ready = [number for number, _ in poll.poll(GO_ON_S * 1000)]
            if ready:
                break
        if self._connection.fileno() not in ready:
            raise OSError(errno.ETIMEDOUT, "a template does not answer")


def _spawn(step: Spawn, null: int, connection: int) -> int:
    return os.posix_spawn(
        step.program,
        step.arguments[: 1 + step.template_arguments],
        dict(step.environment) | {b"MAELSTROM_TEMPLATE": b"%d" % _CONNECTION},
        file_actions=[
            *((os.POSIX_SPAWN_DUP2, null, number) for number in range(3)),
            (os.POSIX_SPAWN_DUP2, connection, _CONNECTION),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
    )


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _shares_memory(maps: str) -> bool:
    """Whether a process has mapped memory that its forks could write to for all others."""
    with open(maps, "rb") as lines:
        # As `7f1c2000-7f1c3000 rw-s ...`.
        return any(line.split(None, 2)[1].endswith(b"s") and b"w" in line[:40] for line in lines)
