"""Start a program by a fork of the slot, for what a spawn cannot do.

That is: limits of the kernel's that the slot itself could not live with, another identity than the
slot's, a terminal, and capabilities. Where such a job is likely to come, its process is made ahead.
"""

import contextlib
import errno
import fcntl
import marshal
import os
import socket
import struct
import termios
import time
from collections.abc import Iterator
from typing import NamedTuple

from maelstrom.sandbox.child import ANSWER_BYTES_MAX, MAP, READY, Child, Order
from maelstrom.sandbox.diagnosis import explain_start, find_program
from maelstrom.sandbox.job import (
    OOM_SCORE_JOB,
    OOM_SCORE_SLOT,
    Process,
    StartError,
    Surprise,
    reap_all,
)
from maelstrom.sandbox.stage import StageFiles
from maelstrom.sandbox.stdin import open_stdin
from maelstrom.sandbox.steps import SpawnForked, Standing

TERMINAL_DEVICE = "/dev/pts/ptmx"
IDENTITIES = 65536
_UNLOCK, _GET_NUMBER = 0x40045431, 0x80045430


class Forked(NamedTuple):
    """The program that runs, and the slot's end of its terminal, or -1."""

    process: Process
    terminal: int


class Waiting:
    """A process that was made ahead, and waits to be told what to become."""

    def __init__(self, standing: Standing, files: StageFiles) -> None:
        """Make it where we are; raises OSError if it does not get ready."""
        self.standing = standing
        self._mounts = -1
        self._line, theirs = socket.socketpair()
        with theirs:
            try:
                self._pid = _fork(files)
            except OSError:
                self._line.close()
                raise
            if self._pid == 0:
                self._line.close()
                Child(standing, theirs.fileno(), theirs.fileno()).wait(theirs)
        try:
            if self._answer() != READY:
                raise OSError(errno.ECHILD, os.strerror(errno.ECHILD))
            if standing.has_powers:
                # Who is the last to hold a mount namespace waits for the kernel to free it: not the
                # job, of whose end we would not hear before.
                self._mounts = os.open(f"/proc/{self._pid}/ns/mnt", os.O_RDONLY)
        except OSError:
            self.end()
            raise

    def tell(self, order: Order) -> tuple[int, bytes] | None:
        """Have it become a program here; returns its PID and answer, or None if it is gone."""
        try:
            order._replace(directory=os.getcwd()).send(self._line)
            with _watched(self._pid):
                answer = self._answer()
        except OSError:
            # Among them that it was killed before it had heard all.
            self.end()
            return None
        self._line.close()
        return self._pid, answer

    def end(self) -> None:
        """Make sure that it is gone; raises Surprise."""
        self._line.close()
        if self._mounts >= 0:
            os.close(self._mounts)
        for _ in reap_all():
            pass

    def _answer(self) -> bytes:
        return _read_answer(self._line.fileno(), self._pid, self._line.fileno())


def spawn_forked(
    step: SpawnForked,
    files: StageFiles,
    devices: int,
    streams: tuple[int, int],
    waiting: Waiting | None = None,
) -> Forked:
    """Start the program; raises StartError, NotFound or OSError."""
    path = find_program(step.program, step.search_path, set())
    terminal = -1
    held = [open_stdin(step, devices)]
    try:
        order = Order(step, path, "", (held[0], *streams))
        if step.terminal[0]:
            terminal, inner = _open_terminal(step.terminal)
            held.append(inner)
            order = order._replace(streams=(inner, inner, inner))
        started_s = time.monotonic()
        pid, answer = (waiting and waiting.tell(order)) or _start(order, files)
        _check(answer, pid, path)
        with _watched(pid):
            running = Process(pid, os.pidfd_open(pid), started_s)
    except BaseException:
        if terminal >= 0:
            os.close(terminal)
        raise
    finally:
        for descriptor in held:
            os.close(descriptor)
    return Forked(running, terminal)


def _start(order: Order, files: StageFiles) -> tuple[int, bytes]:
    """Start a process, and return its PID and answer."""
    held: list[int] = []
    try:
        for _ in range(2):
            held += os.pipe2(os.O_CLOEXEC)
        ours, theirs, go, gate = held
        pid = _fork(files)
        if pid == 0:
            os.close(gate)
            Child(order.step.standing, theirs, go).run(order)
        os.close(theirs)
        held.remove(theirs)
        with _watched(pid):
            return pid, _read_answer(ours, pid, gate)
    finally:
        for descriptor in held:
            os.close(descriptor)


def _fork(files: StageFiles) -> int:
    if files.last_pid >= 0:
        os.pwrite(files.last_pid, b"1", 0)
    os.pwrite(files.oom_score, OOM_SCORE_JOB, 0)
    try:
        pid = os.fork()
    except OSError:
        os.pwrite(files.oom_score, OOM_SCORE_SLOT, 0)
        raise
    if pid:
        with _watched(pid):
            os.pwrite(files.oom_score, OOM_SCORE_SLOT, 0)
    return pid


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[None]:
    """Take what goes wrong now for the slot's end: a process runs, and nobody would end it."""
    try:
        yield
    except ConnectionResetError:
        raise  # It does not.
    except OSError as error:
        raise Surprise(f"cannot watch process {pid}: {error.strerror}") from error


def _read_answer(answers: int, pid: int, gate: int) -> bytes:
    """Give the child its identities if it asks, and return what it says, which is nothing if all
    went well."""
    answer = os.read(answers, ANSWER_BYTES_MAX)
    if answer != MAP:
        return answer
    # Line by line as the slot's own: none may cross from one of its parts to the next.
    extents = f"0 0 1\n1 1 {IDENTITIES - 1}\n".encode()
    for name in ("uid_map", "gid_map"):
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, extents)
        finally:
            os.close(descriptor)
    os.write(gate, b"x")
    return os.read(answers, ANSWER_BYTES_MAX)


def _check(answer: bytes, pid: int, path: bytes) -> None:
    if not answer:
        return
    os.waitpid(pid, 0)
    doing, number, words = marshal.loads(answer)
    if not doing:
        raise StartError(explain_start(path, number), number)
    raise StartError((f"cannot {doing}: {words}", ""), number)


def _open_terminal(size: tuple[int, int]) -> tuple[int, int]:
    """Return both ends of a new terminal of the job's own instance."""
    outer = -1
    try:
        outer = os.open(TERMINAL_DEVICE, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
        fcntl.ioctl(outer, _UNLOCK, struct.pack("i", 0))
        (number,) = struct.unpack("i", fcntl.ioctl(outer, _GET_NUMBER, bytes(4)))
        resize(outer, *size)
        inner = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if outer >= 0:
            os.close(outer)
        number = error.errno or 0
        raise StartError((f"cannot open a terminal: {error.strerror}", ""), number) from error
    return outer, inner


def resize(terminal: int, rows: int, columns: int) -> None:
    """Tell a terminal's program of its size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
