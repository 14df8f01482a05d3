"""Start a job's program, look after it while it runs, and end all it has left.

The slot is process 1 of the job's PID namespace, so whatever a job leaves behind becomes the slot's
child, and one `kill(-1)` reaches it all, even while it forks.
"""

import contextlib
import os
import resource
import select
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

from maelstrom.linux import memory
from maelstrom.linux.ipc import IpcObjects
from maelstrom.sandbox.channel import Channel
from maelstrom.sandbox.diagnosis import Words, explain_start, find_program
from maelstrom.sandbox.room import Room
from maelstrom.sandbox.stage import SLOT_FILES_MIN, StageFiles
from maelstrom.sandbox.stdin import open_stdin
from maelstrom.sandbox.steps import Spawn, Watch
from maelstrom.sandbox.template import Template, Usage

READ_BYTES = 65536
# A look at all processes costs some 20 us each: at most a tenth of the time goes into it.
SAMPLE_INTERVAL_S = 0.02
SAMPLE_SHARE = 10
DRAIN_S_MAX = 5.0
# Between them a job cannot be told from one that is stuck in the kernel.
_DRAIN_PAUSES_S = (0.0002, 0.001, 0.005, 0.02)
OOM_SCORE_JOB, OOM_SCORE_SLOT = b"900", b"0"
# Of those that are not named the library asks the kernel first, one by one.
_SIGNALS = tuple(map(int, signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))


class StartError(Exception):
    """The program could not be started, for a reason that was found."""

    def __init__(self, words: Words, number: int) -> None:
        super().__init__(words[0])
        self.words = words
        self.number = number


class WorkerGone(Exception):
    """Nobody waits for the outcome any more."""


class StatusLost(Exception):
    """The template of a job was killed when it had just learned how the job ended."""


class Surprise(Exception):
    """The slot is not what it should be: it must be replaced."""


class Pipes(NamedTuple):
    """What a job's output goes through.

    We hold the job's ends too as long as it runs, so that no end of a stream wakes us up.
    """

    stdout: int
    stderr: int
    stdout_end: int
    stderr_end: int

    @classmethod
    def open(cls) -> "Pipes":
        """Make them; only our own ends do not block."""
        opened: list[int] = []
        try:
            for _ in range(2):
                opened.extend(os.pipe2(os.O_CLOEXEC))
                os.set_blocking(opened[-2], False)
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        stdout, stdout_end, stderr, stderr_end = opened
        return cls(stdout, stderr, stdout_end, stderr_end)

    def close(self) -> None:
        """Let go of them."""
        for descriptor in self:
            os.close(descriptor)


class Process(NamedTuple):
    """The program that runs."""

    pid: int
    descriptor: int
    started_s: float
    template: Template | None = None
    """What it is a fork of, and is reaped by."""


class Ended(NamedTuple):
    """How it ended; `why` is empty if it did so by itself."""

    why: str
    status: int
    duration_s: float
    cpu_user_s: float
    cpu_system_s: float
    memory_peak_bytes: int
    stdout: tuple[bytes, bytes, int]
    stderr: tuple[bytes, bytes, int]


class Capture:
    """Keep the first and the last half of a stream, and count what is dropped between."""

    def __init__(self, bytes_max: int) -> None:
        self._head_max = bytes_max // 2
        self._tail_max = bytes_max - self._head_max
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, content: bytes) -> None:
        """Take the next bytes of the stream."""
        room = self._head_max - len(self._head)
        if room > 0:
            self._head += content[:room]
            content = content[room:]
        self._tail += content
        # Trimmed when it has doubled, so that each byte is moved once on average.
        if len(self._tail) > 2 * self._tail_max + READ_BYTES:
            self._trim()

    def result(self) -> tuple[bytes, bytes, int]:
        """Return head, tail and the number of bytes dropped between them."""
        self._trim()
        return bytes(self._head), bytes(self._tail), self._dropped

    def _trim(self) -> None:
        excess = len(self._tail) - self._tail_max
        if excess > 0:
            del self._tail[:excess]
            self._dropped += excess


def spawn(step: Spawn, files: StageFiles, devices: int, pipes: Pipes, known: set[bytes]) -> Process:
    """Start the program, which may be one of the known ones of its root.

    Raises StartError, or OSError where the slot itself is short of means.
    """
    path = find_program(step.program, step.search_path, known)
    stdin = open_stdin(step, devices)
    try:
        return _start(step, files, path, (stdin, pipes.stdout_end, pipes.stderr_end))
    finally:
        os.close(stdin)


def _start(step: Spawn, files: StageFiles, path: bytes, streams: tuple[int, ...]) -> Process:
    if files.last_pid >= 0:
        # So every job finds itself with the same PID.
        os.pwrite(files.last_pid, b"1", 0)
    os.pwrite(files.oom_score, OOM_SCORE_JOB, 0)
    few = step.open_files_max if step.open_files_max < SLOT_FILES_MIN else 0
    started_s = time.monotonic()
    try:
        pid = (
            _spawn_with_few_files(step, path, streams, few) if few else _spawn(step, path, streams)
        )
    except OSError as error:
        os.pwrite(files.oom_score, OOM_SCORE_SLOT, 0)
        number = error.errno or 0
        raise StartError(explain_start(path, number), number) from error
    try:
        os.pwrite(files.oom_score, OOM_SCORE_SLOT, 0)
        return Process(pid, os.pidfd_open(pid), started_s)
    except OSError as error:
        # It runs, and nobody would end it.
        raise Surprise(f"cannot watch `{os.fsdecode(path)}`: {error.strerror}") from error


def _spawn(step: Spawn, path: bytes, streams: tuple[int, ...]) -> int:
    return os.posix_spawn(
        path,
        step.arguments,
        dict(step.environment),
        file_actions=[
            (os.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate(streams)
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=_SIGNALS,
    )


def _spawn_with_few_files(step: Spawn, path: bytes, streams: tuple[int, ...], few: int) -> int:
    """Let the program have fewer open files than the slot itself needs.

    So the limit holds only while it starts; and as the library refuses to hand on descriptors above
    it, the slot's own standard ones are the job's for that time.
    """
    own_limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    own = [os.dup(number) for number in range(len(streams))]
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, own_limits[1]))
        pid = _spawn(step, path, ())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, own_limits)
        for number, descriptor in enumerate(own):
            os.dup2(descriptor, number)
            os.close(descriptor)
    try:
        # For good: it could have raised a soft limit.
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, few))
    except OSError as error:
        raise Surprise(f"cannot limit `{os.fsdecode(path)}`: {error.strerror}") from error
    return pid


class Watcher:
    """Looks after one running job until nothing of it is left."""

    def __init__(
        self, process: Process, pipes: Pipes, watch: Watch, channel: Channel, objects: IpcObjects
    ) -> None:
        self._process = process
        self._watch = watch
        self._channel = channel
        self._stdout = Capture(watch.output_bytes_max)
        self._stderr = Capture(watch.output_bytes_max)
        self._captures = {pipes.stdout: self._stdout, pipes.stderr: self._stderr}
        self._why = ""
        self._deadline_s = process.started_s + (watch.timeout_s or float("inf"))
        self._sample_s = process.started_s + SAMPLE_INTERVAL_S
        self._memory_peak_bytes = 0
        self._buried = Usage()
        """What those used who have ended before the job."""
        self.room: Room | None = None
        """What the job may write to, if it has no bound of its own."""
        self._objects = objects

    def run(self) -> Ended:
        """Wait for the end, bring it about where it must be, and clean up after it."""
        try:
            self._wait()
            duration_s = time.monotonic() - self._process.started_s
            status, usage = self._finish()
        finally:
            if self.room is not None:
                self.room.close()
        for descriptor, capture in self._captures.items():
            _drain(descriptor, capture)
        return Ended(
            self._why,
            status,
            duration_s,
            usage.user_s,
            usage.system_s,
            max(self._memory_peak_bytes, usage.peak_bytes),
            self._stdout.result(),
            self._stderr.result(),
        )

    def _wait(self) -> None:
        poll = select.poll()
        for descriptor in (*self._captures, self._process.descriptor, self._channel.fileno()):
            poll.register(descriptor, select.POLLIN)
        while True:
            wait_s = min(self._deadline_s, self._sample_s) - time.monotonic()
            for descriptor, _ in poll.poll(max(0.0, wait_s * 1000)):
                if descriptor == self._process.descriptor:
                    return
                if descriptor == self._channel.fileno():
                    if self._channel.receive() is None:
                        raise WorkerGone
                    self._why = "killed"
                    return
                # A job may read its own output, and take away what we were just told of.
                with contextlib.suppress(BlockingIOError):
                    self._captures[descriptor].add(os.read(descriptor, READ_BYTES))
            if self._is_over(time.monotonic()):
                return

    def _is_over(self, now_s: float) -> bool:
        """Whether we must end the job now."""
        if now_s >= self._deadline_s:
            if self._why:
                return True
            self._why = "timeout"
            self._deadline_s = now_s + self._watch.grace_s
            kill_all(signal.SIGTERM)
        if now_s < self._sample_s:
            return False
        began_s = time.monotonic()
        self._bury_orphans()
        excess = "memory" if self._has_too_much() else ""
        if not excess and self.room is not None and self.room.is_exceeded():
            excess = "disk"
        ended_s = time.monotonic()
        self._sample_s = ended_s + max(SAMPLE_INTERVAL_S, SAMPLE_SHARE * (ended_s - began_s))
        self._why = excess or self._why
        return bool(excess)

    def _bury_orphans(self) -> None:
        """Reap who has ended and has no other parent: a job may wait until he is gone."""
        template = self._process.template
        kept = (self._process.pid, template.pid if template is not None else 0)
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in kept:
                    # How they ended is asked for later, and so is the rest.
                    return
                used = os.wait4(ended.si_pid, 0)[2]
                self._buried = self._buried.plus(_usage_of(used))

    def _has_too_much(self) -> bool:
        shared = self._objects.detached_bytes()
        template = self._process.template
        spared = frozenset(("1", str(template.pid)) if template else ("1",))
        held = memory.held_bytes("/proc", spared) + shared
        if held > self._watch.memory_bytes_max:
            held = memory.proportional_bytes("/proc", spared) + shared
        self._memory_peak_bytes = max(self._memory_peak_bytes, held)
        return held > self._watch.memory_bytes_max

    def _finish(self) -> tuple[int, Usage]:
        """End what is left, and return the wait status and what all of it used."""
        template = self._process.template
        # Of a job that we end nobody asks for the status.
        status = 0 if self._why else None
        usage = self._buried
        if template is not None:
            told = None if self._why else template.report()
            if told is not None:
                status, used = told
                usage = usage.plus(used)
                if template.is_alone():
                    return status, usage
            template.is_spent = True
        return self._reap(status, usage)

    def _reap(self, status: int | None, usage: Usage) -> tuple[int, Usage]:
        """Wait until no child is left, and add up what all of them used."""
        for pid, child_status, used in reap_all():
            if self._process.template is not None and pid == self._process.template.pid:
                continue
            usage = usage.plus(_usage_of(used))
            if pid == self._process.pid and status is None:
                status = child_status
        if status is None:
            raise StatusLost
        return status, usage


def _usage_of(used: resource.struct_rusage) -> Usage:
    return Usage(used.ru_utime, used.ru_stime, used.ru_maxrss * 1024)


def reap_all() -> Iterator[tuple[int, int, resource.struct_rusage]]:
    """Wait until no child is left, ending those that do not end; raises Surprise."""
    pauses = 0
    deadline_s = time.monotonic() + DRAIN_S_MAX
    while True:
        try:
            ended = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended[0] != 0:
            yield ended
            continue
        if time.monotonic() > deadline_s:
            raise Surprise("a process of the job does not end; it is stuck in the kernel")
        if pauses == 0:
            kill_all(signal.SIGKILL)
        time.sleep(_DRAIN_PAUSES_S[min(pauses, len(_DRAIN_PAUSES_S) - 1)])
        pauses += 1


def _drain(descriptor: int, capture: Capture) -> None:
    """Read what is left in a pipe; no writer is left but us."""
    while True:
        try:
            content = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return
        if not content:
            return
        capture.add(content)


def kill_all(number: int) -> None:
    """Send a signal to every process of the namespace but the slot."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, number)
