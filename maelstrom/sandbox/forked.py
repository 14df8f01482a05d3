"""Start a program by a fork of the slot, for what a spawn cannot do.

That is: limits of the kernel's that the slot itself could not live with, another identity than the
slot's, a terminal, and capabilities. The child does it all to itself and becomes the program; what
fails it tells through a pipe.

A job with capabilities gets namespaces of its own below the slot's, as any job can make for itself:
it is mighty over its container, and over nothing of the slot's.
"""

import contextlib
import fcntl
import marshal
import os
import resource
import signal
import struct
import termios
import time
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from maelstrom.linux import namespace, network, process
from maelstrom.sandbox.diagnosis import explain_start, find_program
from maelstrom.sandbox.job import OOM_SCORE_JOB, OOM_SCORE_SLOT, Process, StartError, Surprise
from maelstrom.sandbox.stage import StageFiles
from maelstrom.sandbox.stdin import open_stdin
from maelstrom.sandbox.steps import SpawnForked

TERMINAL_DEVICE = "/dev/pts/ptmx"
IDENTITIES = 65536
_UNLOCK, _GET_NUMBER = 0x40045431, 0x80045430
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
_ANSWER_BYTES_MAX = 4096


class Forked(NamedTuple):
    """The program that runs, and the slot's end of its terminal, or -1."""

    process: Process
    terminal: int


def spawn_forked(
    step: SpawnForked, files: StageFiles, devices: int, streams: tuple[int, int]
) -> Forked:
    """Start the program; raises StartError, NotFound or OSError."""
    path = find_program(step.program, step.search_path)
    terminal = -1
    held = [open_stdin(step, devices)]
    try:
        streams_of_job = (held[0], *streams)
        if step.terminal[0]:
            terminal, inner = _open_terminal(step.terminal)
            held.append(inner)
            streams_of_job = (inner, inner, inner)
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        held += ours, theirs
        go, gate = os.pipe2(os.O_CLOEXEC)
        held += go, gate
        started_s = time.monotonic()
        pid = _fork(files)
        if pid == 0:
            os.close(gate)
            _Child(step, path, theirs, go).run(streams_of_job)
        os.close(theirs)
        held.remove(theirs)
        with _watched(pid):
            answer = _read_answer(ours, pid, gate)
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
    except OSError as error:
        raise Surprise(f"cannot watch process {pid}: {error.strerror}") from error


def _read_answer(answers: int, pid: int, gate: int) -> bytes:
    """Give the child its identities if it asks, and return what it says, which is nothing if all
    went well."""
    answer = os.read(answers, _ANSWER_BYTES_MAX)
    if answer != b"map":
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
    return os.read(answers, _ANSWER_BYTES_MAX)


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


class _Child:
    """What happens between fork and exec."""

    def __init__(self, step: SpawnForked, path: bytes, answers: int, go: int) -> None:
        self._step = step
        self._path = path
        self._answers = answers
        self._go = go
        self._doing = ""

    def run(self, streams: tuple[int, int, int]) -> NoReturn:
        """Become the program, or say why not."""
        try:
            self._prepare(streams)
            self._doing = ""
            os.execve(self._path, self._step.arguments, dict(self._step.environment))
        except (OSError, ValueError, MemoryError) as error:
            number = error.errno or 0 if isinstance(error, OSError) else 0
            words = (error.strerror if isinstance(error, OSError) else "") or str(error)
            os.write(self._answers, marshal.dumps((self._doing, number, words))[:_ANSWER_BYTES_MAX])
        finally:
            os._exit(127)

    def _prepare(self, streams: tuple[int, int, int]) -> None:
        step = self._step
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        if step.terminal[0]:
            self._doing = "take the terminal"
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if step.has_powers:
            self._take_powers()
        if step.has_identities:
            self._doing = f"be user {step.user} and group {step.group}"
            os.setgroups(step.groups)
            os.setresgid(step.group, step.group, step.group)
            os.setresuid(step.user, step.user, step.user)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._limit()

    def _take_powers(self) -> None:
        step = self._step
        self._doing = "make namespaces for a job with capabilities"
        user, group = os.geteuid(), os.getegid()
        process.set_dumpable(is_dumpable=True)
        namespace.unshare(namespace.NEW_USER)
        if step.has_identities:
            os.write(self._answers, b"map")
            os.read(self._go, 1)
        else:
            namespace.map_identity(step.user, step.group, user, group)
        kinds = namespace.NEW_MOUNT | namespace.NEW_IPC | namespace.NEW_UTS
        namespace.unshare(kinds | (namespace.NEW_NETWORK if step.has_own_network else 0))
        if step.has_loopback:
            network.set_loopback(is_up=True)

    def _limit(self) -> None:
        limits = dict(self._step.kernel_limits)
        self._doing = "set limits"
        _lower(resource.RLIMIT_NOFILE, self._step.open_files_max)
        # The memory comes last: the rest must be done with what there is.
        for name in sorted(limits, key=lambda name: name in ("address_space", "data")):
            _lower(_LIMITS[name], limits[name])


def _lower(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(limit, (value, value))
