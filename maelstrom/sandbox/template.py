"""A program that was started ahead, and of which jobs are forks.

What all jobs of a target begin with (an interpreter, its test framework) is done once. A job is a
fork of the template in a root of its own: the kernel moves every process whose root is the old one
to the new one when the root of its mount namespace is changed.

Rules of this file:
1. No job runs in the root the template was started in, nor in one that another job has written to.
2. A template outlives a job only if that ended by itself and left nothing: no process, no IPC
   object, and no change to the template that its forks would inherit.
3. Where anything else happens the template is dropped; the job, if it has not begun, then starts as
   if there were none.
"""

import errno
import json
import os
import select
import signal
import socket
import time
from typing import NamedTuple

from maelstrom.linux import mount, namespace
from maelstrom.linux.ipc import IpcObjects
from maelstrom.sandbox.bearing import Bearing
from maelstrom.sandbox.root import Root
from maelstrom.sandbox.steps import Spawn

START_S_MAX = 30.0
ANSWER_S_MAX = 5.0
GO_ON_S = 0.1
# A message must fit into the buffer of a socket.
REQUEST_BYTES_MAX = 100_000
# Its connection has two ends.
TEMPLATE_SOCKETS = 2
_CONNECTION = 3


class Usage(NamedTuple):
    """What processes used."""

    user_s: float = 0.0
    system_s: float = 0.0
    peak_bytes: int = 0


class Template:
    """One template; made in its root, from which it keeps its files."""

    def __init__(self, step: Spawn, null: int, own_root: Root) -> None:
        """Start the program; raises OSError."""
        self.own_root = own_root
        self._seen: Root | None = None
        """Where it is now."""
        self.is_spent = False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._connection = ours
        with theirs:
            self.pid = os.posix_spawn(
                step.program,
                step.arguments[: 1 + step.template_arguments],
                dict(step.environment) | {b"MAELSTROM_TEMPLATE": b"%d" % _CONNECTION},
                file_actions=[
                    *((os.POSIX_SPAWN_DUP2, null, number) for number in range(3)),
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), _CONNECTION),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
            )
        self._descriptor = os.pidfd_open(self.pid)
        self._objects = IpcObjects("/proc")
        self._bearing: Bearing | None = None

    def get_ready(self, channel: int) -> None:
        """Wait until it has loaded what there is to load, where that is; raises OSError.

        A message on `channel` ends the waiting.
        """
        if self._bearing is None:
            self._answer(START_S_MAX, channel)
            self._bearing = Bearing.of(self.pid)

    def move_to(self, root: Root, home: int) -> None:
        """Have the template, and with it the next job, see a root; raises OSError."""
        if root is self._seen:
            return
        self._seen = None
        try:
            namespace.enter(root.namespace, namespace.NEW_MOUNT)
            tree = mount.clone_tree("/")
            directory = os.dup(tree)
            try:
                namespace.enter(self.own_root.namespace, namespace.NEW_MOUNT)
                mount.attach(tree, "/")
                os.fchdir(directory)
                mount.pivot_root()
            finally:
                os.close(directory)
        finally:
            namespace.enter(home, namespace.NEW_MOUNT)
        self._seen = root

    def fork(self, step: Spawn, directory: str, streams: tuple[int, ...], channel: int) -> int:
        """Start a job and return its PID; raises OSError.

        A message on `channel` ends the waiting.
        """
        request = {
            "arguments": list(map(os.fsdecode, step.arguments[1 + step.template_arguments :])),
            "environment": {os.fsdecode(k): os.fsdecode(v) for k, v in step.environment},
            "directory": directory,
        }
        content = json.dumps(request).encode()
        if len(content) > REQUEST_BYTES_MAX:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        socket.send_fds(self._connection, [content], streams)
        return int(self._answer(ANSWER_S_MAX, channel))

    def report(self) -> tuple[int, Usage] | None:
        """Return the wait status of the job that has ended, or None if that is not known."""
        try:
            answer = self._answer(ANSWER_S_MAX, -1).split()
        except OSError:
            return None
        user_s, system_s, peak = float(answer[1]), float(answer[2]), int(answer[3])
        return int(answer[0]), Usage(user_s, system_s, peak * 1024)

    def is_alone(self) -> bool:
        """Whether no process is left but this one."""
        processes = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
        return sorted(processes) == [1, self.pid]

    def is_as_new(self) -> bool:
        """Whether its forks will be like the first one."""
        return self._objects.is_empty() and Bearing.of(self.pid) == self._bearing

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()
        self._objects.close()
        os.close(self._descriptor)

    def _answer(self, seconds_max: float, channel: int) -> bytes:
        poll = select.poll()
        for descriptor in (self._connection.fileno(), self._descriptor, channel):
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
        deadline_s = time.monotonic() + seconds_max
        ready: list[int] = []
        while not ready and time.monotonic() < deadline_s:
            # Its job may have stopped it, which leaves no trace once it goes on.
            signal.pidfd_send_signal(self._descriptor, signal.SIGCONT)
            ready = [number for number, _ in poll.poll(GO_ON_S * 1000)]
        answer = self._connection.recv(256) if self._connection.fileno() in ready else b""
        if not answer:
            raise OSError(errno.ETIMEDOUT, "a template does not answer")
        return answer
