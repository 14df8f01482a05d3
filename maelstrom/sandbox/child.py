"""What happens between fork and exec: a process does it all to itself and becomes the program.

It may be forked before it is known what it will run. Then it does what is known, says that it is
ready, and waits for the rest. What fails is told in words that complete "cannot ...".

A job with capabilities gets namespaces of its own below the slot's, as any job can make for itself:
it is mighty over its container, and over nothing of the slot's.
"""

import fcntl
import marshal
import os
import resource
import signal
import socket
import struct
import termios
from typing import NamedTuple, NoReturn

from maelstrom.linux import namespace, network, process
from maelstrom.sandbox.channel import Channel
from maelstrom.sandbox.steps import SpawnForked, Standing

ANSWER_BYTES_MAX = 4096
MAP, READY = b"map", b"ready"
_LIMITS = {
    "address_space": resource.RLIMIT_AS,
    "cpu_s": resource.RLIMIT_CPU,
    "data": resource.RLIMIT_DATA,
    "file_size": resource.RLIMIT_FSIZE,
    "locked_memory": resource.RLIMIT_MEMLOCK,
    "message_queues": resource.RLIMIT_MSGQUEUE,
    "pending_signals": resource.RLIMIT_SIGPENDING,
    "stack": resource.RLIMIT_STACK,
}

_STREAMS = struct.Struct("3i")


class Order(NamedTuple):
    """What a process is to become."""

    step: SpawnForked
    path: bytes
    directory: str
    """Where it goes; empty for where it is."""
    streams: tuple[int, ...]

    def send(self, line: socket.socket) -> None:
        """Send it to a process that waits; raises OSError."""
        socket.send_fds(line, [b"x"], self.streams)
        # Its input is open by now.
        step = self.step._replace(stdin=b"")
        Channel(line).send((tuple(step), self.path, self.directory))

    @classmethod
    def receive(cls, line: socket.socket) -> "Order | None":
        """Wait for it; None if none will come."""
        # The library's own way forgets the flag in Python 3.11, and they would be the program's.
        room = socket.CMSG_LEN(_STREAMS.size)
        _, ancillary, _, _ = line.recvmsg(1, room, socket.MSG_CMSG_CLOEXEC)
        message = Channel(line).receive() if ancillary else None
        if message is None:
            return None
        step, path, directory = message
        streams = _STREAMS.unpack(ancillary[0][2])
        # As it was sent.
        return cls(SpawnForked(*step), path, directory, streams)  # type: ignore[misc, arg-type]


class Child:
    """The process."""

    def __init__(self, standing: Standing, answers: int, go: int) -> None:
        """Take the descriptors to tell the slot through, and to hear of its identities."""
        self._standing = standing
        self._answers = answers
        self._go = go
        self._doing = ""

    def run(self, order: Order) -> NoReturn:
        """Become the program, or say why not."""
        self._run(order, None)

    def wait(self, line: socket.socket) -> NoReturn:
        """Get ready, and become what is told."""
        self._run(None, line)

    def _run(self, order: Order | None, line: socket.socket | None) -> NoReturn:
        try:
            self._stand()
            if line is not None:
                process.set_name(b"maelstrom-next")
                os.write(self._answers, READY)
                order = Order.receive(line)
            if order is not None:
                self._become(order)
        except (OSError, ValueError, MemoryError) as error:
            number = error.errno or 0 if isinstance(error, OSError) else 0
            words = (error.strerror if isinstance(error, OSError) else "") or str(error)
            os.write(self._answers, marshal.dumps((self._doing, number, words))[:ANSWER_BYTES_MAX])
        finally:
            os._exit(127)

    def _stand(self) -> None:
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if self._standing.has_powers:
            self._take_powers()

    def _take_powers(self) -> None:
        standing = self._standing
        self._doing = "make namespaces for a job with capabilities"
        user, group = os.geteuid(), os.getegid()
        process.set_dumpable(is_dumpable=True)
        namespace.unshare(namespace.NEW_USER)
        if standing.has_identities:
            os.write(self._answers, MAP)
            os.read(self._go, 1)
        else:
            namespace.map_identity(standing.user, standing.group, user, group)
        kinds = namespace.NEW_MOUNT | namespace.NEW_IPC | namespace.NEW_UTS
        namespace.unshare(kinds | (namespace.NEW_NETWORK if standing.has_own_network else 0))
        if standing.has_loopback:
            network.set_loopback(is_up=True)

    def _become(self, order: Order) -> None:
        step = order.step
        self._doing = ""
        for number, stream in enumerate(order.streams):
            os.dup2(stream, number)
        if step.terminal[0]:
            self._doing = "take the terminal"
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if order.directory:
            self._doing = f"enter the working directory `{order.directory}`"
            os.chdir(order.directory)
        if self._standing.has_identities:
            user, group = self._standing.user, self._standing.group
            self._doing = f"be user {user} and group {group}"
            os.setgroups(step.groups)
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
        self._doing = "set limits"
        _limit(step)
        self._doing = ""
        os.execve(order.path, step.arguments, dict(step.environment))


def _limit(step: SpawnForked) -> None:
    limits = dict(step.kernel_limits)
    process.lower_limit(resource.RLIMIT_NOFILE, step.open_files_max)
    # The memory comes last: the rest must be done with what there is.
    for name in sorted(limits, key=lambda name: name in ("address_space", "data")):
        process.lower_limit(_LIMITS[name], limits[name])
