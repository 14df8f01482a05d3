"""The process all slots are forked from: small, with one thread, everything imported.

    worker ── zygote ── outer ── slot (process 1 of its namespaces) ── job
                     └─ outer ── slot ...

The outer process is only there because a process enters a new PID namespace by having a child in
it. Each of them dies with the one before it, and a slot also ends when its worker closes the
connection: whoever is killed, nothing stays behind.
"""

import contextlib
import gc
import marshal
import os
import select
import signal
import socket
import sys
import traceback

from maelstrom.linux import process
from maelstrom.sandbox.channel import Channel
from maelstrom.sandbox.disposal import Disposal, serve_disposal
from maelstrom.sandbox.removal import remove_tree
from maelstrom.sandbox.slot import serve
from maelstrom.sandbox.stage import StageError, leave_host
from maelstrom.sandbox.steps import Host, SlotKind

REQUEST_BYTES_MAX = 4096


def main() -> None:
    """Serve the worker.

    Arguments: its connection, the directory of layers, a user and a group to become or -1, the
    version of Linux, the directory of writes or nothing.
    """
    connection = socket.socket(fileno=int(sys.argv[1]))
    layers_root, user, group = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    major, minor = sys.argv[5].split(".")
    host = Host((int(major), int(minor)), sys.argv[6])
    _become_plain(connection.fileno())
    try:
        # Slots find the layers as their working directory: the way there may be closed to `user`.
        os.chdir(layers_root)
        if user >= 0:
            process.become(user, group)
        process.set_no_new_privileges()
        process.set_name(b"maelstrom-zyg")
    except OSError as error:
        connection.send(marshal.dumps(("unavailable", f"start in `{layers_root}`", error.errno)))
        return
    try:
        connection.send(marshal.dumps(("ready", os.getpid())))
    except BrokenPipeError:
        return  # The worker is gone already, and with it whoever would hear of this.
    gc.collect()
    gc.freeze()
    _Zygote(connection, host).run()


class _Zygote:
    def __init__(self, connection: socket.socket, host: Host) -> None:
        self._connection = connection
        self._host = host
        self._outers: dict[int, int] = {}
        """Process descriptors of the outer processes, by the number of the slot."""
        self._removers: set[int] = set()
        """Those of the processes that remove what a slot has left on disk."""
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def run(self) -> None:
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor != self._connection.fileno():
                    self._bury(descriptor)
                elif not self._serve():
                    self._end()
                    return

    def _serve(self) -> bool:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._connection, REQUEST_BYTES_MAX, 1)
        except ConnectionResetError:
            return False
        if not message:
            return False
        request, number, *arguments = marshal.loads(message)
        if request == "make":
            self._make(number, SlotKind(*arguments), descriptors[0])
        elif number in self._outers:
            signal.pidfd_send_signal(self._outers[number], signal.SIGKILL)
        return True

    def _make(self, number: int, kind: SlotKind, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._connection.close()
            for process_descriptor in (*self._outers.values(), *self._removers):
                os.close(process_descriptor)
            host = self._host._replace(uppers=self._place_of_writes(number))
            _run_outer(kind, host, Channel(socket.socket(fileno=descriptor)), parent)
        os.close(descriptor)
        self._outers[number] = os.pidfd_open(pid)
        self._poll.register(self._outers[number], select.POLLIN)

    def _bury(self, descriptor: int) -> None:
        os.waitid(os.P_PIDFD, descriptor, os.WEXITED)
        self._poll.unregister(descriptor)
        os.close(descriptor)
        self._removers.discard(descriptor)
        for number, outer in list(self._outers.items()):
            if outer == descriptor:
                del self._outers[number]
                self._remove_writes(number)

    def _end(self) -> None:
        for outer in self._outers.values():
            signal.pidfd_send_signal(outer, signal.SIGKILL)
        for outer in self._outers.values():
            os.waitid(os.P_PIDFD, outer, os.WEXITED)
        if self._host.uppers:
            # The worker may have been killed: then nobody else cleans up.
            # Where the directory above is closed to us, its content is gone at least.
            with contextlib.suppress(OSError):
                remove_tree(self._host.uppers)

    def _place_of_writes(self, number: int) -> str:
        """Return the directory on disk that is one slot's alone, or nothing."""
        return self._host.uppers and f"{self._host.uppers}/{number}"

    def _remove_writes(self, number: int) -> None:
        """Remove what a slot that was killed has left on disk, beside all else."""
        place = self._place_of_writes(number)
        if not place or not os.path.isdir(place):
            return
        pid = os.fork()
        if pid == 0:
            try:
                remove_tree(place)
            finally:
                os._exit(0)
        # It is buried like the others.
        remover = os.pidfd_open(pid)
        self._removers.add(remover)
        self._poll.register(remover, select.POLLIN)


def _run_outer(kind: SlotKind, host: Host, channel: Channel, parent: int) -> None:
    """Be the outer process; never returns."""
    try:
        process.set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        process.set_name(b"maelstrom-out")
        # Made here, it is none of the sockets of the slot's network.
        pair = socket.socketpair()
        if host.uppers:
            os.mkdir(host.uppers, 0o700)
        leave_host(kind, channel)
        # Entering the user namespace was a change of identity.
        process.set_parent_death_signal(signal.SIGKILL)
        _fork_slot(kind, host, channel, *pair)
    except StageError as error:
        channel.send(("unavailable", error.doing, error.error.errno))
    except OSError as error:
        channel.send(("unavailable", "start a slot", error.errno))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _fork_slot(
    kind: SlotKind, host: Host, channel: Channel, ours: socket.socket, theirs: socket.socket
) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            process.set_parent_death_signal(signal.SIGKILL)
            ours.close()
            # The outer process is not in sight from here: it is gone if its end is closed.
            if select.select([theirs], [], [], 0)[0]:
                os._exit(1)
            process.set_name(b"maelstrom-slot")
            # Ours tells of paths of the host.
            process.set_command(b"maelstrom-slot")
            serve(kind, host, channel, Disposal(theirs))
        except ConnectionError:
            pass  # The worker is gone.
        except OSError as error:
            channel.send(("unavailable", "start a slot", error.errno))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    theirs.close()
    # It must not keep the connection open when the slot is gone.
    os.close(channel.fileno())
    serve_disposal(ours)
    os.waitpid(pid, 0)
    os._exit(0)


def _become_plain(kept: int) -> None:
    """Forget what was inherited: descriptors, signal handlers and masks."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open("/dev/null", os.O_RDWR)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if kept != 3:
        os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
    os.set_inheritable(kept, False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # The library keeps some real-time signals for itself.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # What is typed at the worker's terminal is the worker's to act on.
    os.setsid()
