"""Run jobs as plain processes of this host: what `scons test` does without `--maelstrom`.

Rules of this file:
1. It has the face of a session, so that a test run cannot tell the two apart. Layers, mounts and
   network mean nothing here.
2. A job gets a session of its own; when it ends, what is left of its process group is killed.
3. Output is read until its end, but only as much is kept as the spec allows.
"""

import contextlib
import heapq
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from maelstrom.client.engine import Submission
from maelstrom.errors import MaelstromError
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import (
    Cancelled,
    Effects,
    ExecutionError,
    Exited,
    InfrastructureFault,
    Outcome,
    Output,
    Signaled,
    TimedOut,
)
from maelstrom.model.spec import JobSpec

STACK_BYTES = 1 << 20
"""SCons makes its threads with stacks too small for anything."""
READ_BYTES = 1 << 16
ORPHANS_WAIT_S = 1.0
"""How long output is still read when a job has ended but something holds its streams."""


class _Job(NamedTuple):
    number: int
    wanted: Submission


class PlainEngine:
    """Runs at most `slots` jobs at once, each in a process group of its own."""

    failure: MaelstromError | None = None
    """Plain processes cannot be unavailable."""

    def __init__(self, *, slots: int) -> None:
        self._slots = slots
        self._condition = threading.Condition()
        self._queue: list[tuple[int, float, int]] = []
        self._jobs: dict[int, _Job] = {}
        self._running: dict[int, int] = {}
        self._cancelled: set[int] = set()
        self._numbers = count(1)
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._is_closed = False

    def start(self) -> None:
        """Nothing has to be started."""

    def offer(self, sources: Mapping[Any, Any]) -> None:
        """Content is where it is."""

    def submit(self, job: Submission) -> int:
        """Queue a job; it is told on a thread of ours."""
        with self._condition:
            number = next(self._numbers)
            self._jobs[number] = _Job(number, job)
            # As a broker has it: what nobody has timed yet counts as the longest.
            length_s = job.estimate_s or float("inf")
            heapq.heappush(self._queue, (-job.priority, -length_s, number))
            self._condition.notify()
            if len(self._queue) > self._idle and len(self._threads) < self._slots:
                self._start_thread()
        return number

    def _start_thread(self) -> None:
        before = threading.stack_size(STACK_BYTES)
        thread = threading.Thread(target=self._serve, name="maelstrom-plain", daemon=True)
        thread.start()
        threading.stack_size(before)
        self._threads.append(thread)

    def cancel(self, number: int) -> None:
        """Take one job back, killing it if it runs."""
        with self._condition:
            if number in self._jobs:
                self._cancelled.add(number)
                self._kill(number)

    def output(self, blob: Digest) -> Path:
        """Nothing is kept apart here."""
        raise AssertionError(f"an outcome of ours refers to {blob}")

    def cancel_all(self, *, running: bool) -> None:
        """Take back all that is queued, and what runs too if so told."""
        with self._condition:
            self._cancelled.update(n for n in self._jobs if running or n not in self._running)
            for number in self._cancelled:
                self._kill(number)

    def _kill(self, number: int) -> None:
        group = self._running.get(number)
        if group:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)

    def close(self, *, timeout_s: float = 5.0) -> None:
        """Cancel everything and wait until it is gone."""
        self.cancel_all(running=True)
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
        deadline_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))

    # Threads.

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            outcome: Outcome
            if job.number in self._cancelled:
                outcome = Cancelled()
            else:
                if job.wanted.on_status is not None:
                    job.wanted.on_status("running")
                try:
                    outcome = self._run(job)
                except OSError as error:
                    outcome = InfrastructureFault(f"cannot run a process: {error}")
            with self._condition:
                del self._jobs[job.number]
                self._running.pop(job.number, None)
                self._cancelled.discard(job.number)
            job.wanted.on_outcome(outcome)

    def _next(self) -> _Job | None:
        with self._condition:
            while not self._queue:
                if self._is_closed:
                    return None
                self._idle += 1
                self._condition.wait()
                self._idle -= 1
            job = self._jobs[heapq.heappop(self._queue)[2]]
            self._running[job.number] = 0
            return job

    def _run(self, job: _Job) -> Outcome:
        spec = job.wanted.spec
        try:
            process = subprocess.Popen(
                [spec.program, *spec.arguments],
                stdin=subprocess.PIPE if spec.stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=spec.working_directory,
                env=dict(spec.environment),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return _cannot_start(spec, error)
        with self._condition:
            self._running[job.number] = process.pid
            if job.number in self._cancelled:
                self._kill(job.number)
        with process:
            return self._attend(job, process)

    def _attend(self, job: _Job, process: "subprocess.Popen[bytes]") -> Outcome:
        spec, started_s = job.wanted.spec, time.monotonic()
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdin is not None:
            feeder = threading.Thread(target=_feed, args=(process, spec.stdin), daemon=True)
            feeder.start()
        kept = {
            process.stdout.fileno(): Capture(spec.limits.output_bytes_max),
            process.stderr.fileno(): Capture(spec.limits.output_bytes_max),
        }
        streams = list(kept.values())
        deadline_s = started_s + spec.timeout_s if spec.timeout_s else float("inf")
        with contextlib.closing(_Watch(process.pid, kept)) as watch:
            is_timeout = not watch.until_exit(deadline_s)
            if is_timeout:
                _signal_group(process.pid, signal.SIGTERM)
                watch.until_exit(time.monotonic() + spec.grace_s)
                _signal_group(process.pid, signal.SIGKILL)
                watch.until_exit(float("inf"))
            # Unreaped, its number cannot be taken by another group.
            _signal_group(process.pid, signal.SIGKILL)
            watch.until_closed(time.monotonic() + ORPHANS_WAIT_S)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = code = os.waitstatus_to_exitcode(status)
        effects = Effects(
            stdout=streams[0].output(),
            stderr=streams[1].output(),
            duration_s=time.monotonic() - started_s,
            cpu_user_s=usage.ru_utime,
            cpu_system_s=usage.ru_stime,
            memory_peak_bytes=usage.ru_maxrss * 1024,
        )
        if job.number in self._cancelled:
            return Cancelled()
        if is_timeout:
            return TimedOut(effects)
        return Exited(code, effects) if code >= 0 else Signaled(-code, effects)


class _Watch:
    """Reads the streams of a process and sees it end."""

    def __init__(self, pid: int, captures: "dict[int, Capture]") -> None:
        self._captures = dict(captures)
        self._pidfd = os.pidfd_open(pid)
        self._poll = select.poll()
        for descriptor in (self._pidfd, *captures):
            self._poll.register(descriptor, select.POLLIN)

    def until_exit(self, deadline_s: float) -> bool:
        """Read until the process has ended; False if that was not before the deadline."""
        while True:
            ready = self._step(deadline_s)
            if self._pidfd in ready:
                return True
            if not ready and time.monotonic() >= deadline_s:
                return False

    def until_closed(self, deadline_s: float) -> None:
        """Read what is left after the end."""
        self._poll.unregister(self._pidfd)
        while self._captures and (self._step(deadline_s) or time.monotonic() < deadline_s):
            pass

    def _step(self, deadline_s: float) -> set[int]:
        left_s = max(0.0, min(deadline_s - time.monotonic(), 3600.0))
        ready = {descriptor for descriptor, _ in self._poll.poll(left_s * 1000)}
        for descriptor in ready & self._captures.keys():
            chunk = os.read(descriptor, READ_BYTES)
            if chunk:
                self._captures[descriptor].add(chunk)
            else:
                self._poll.unregister(descriptor)
                del self._captures[descriptor]
        return ready

    def close(self) -> None:
        os.close(self._pidfd)


class Capture:
    """The first and the last half of what a stream says."""

    def __init__(self, size_bytes_max: int) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._head_max = (size_bytes_max + 1) // 2
        self._tail_max = size_bytes_max // 2

    def add(self, chunk: bytes) -> None:
        """Take the next piece."""
        room = self._head_max - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:] if room < len(chunk) else b""
        surplus = len(self._tail) - self._tail_max
        if surplus > 0:
            del self._tail[:surplus]
            self._dropped += surplus

    def output(self) -> Output:
        """Return what was kept."""
        return Output(bytes(self._head), bytes(self._tail), self._dropped)


def _feed(process: "subprocess.Popen[bytes]", content: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError):
        process.stdin.write(content)
        process.stdin.close()


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _cannot_start(spec: JobSpec, error: Exception) -> Outcome:
    if isinstance(error, OSError) and error.filename == spec.working_directory:
        return ExecutionError(f"working directory {spec.working_directory!r}: {error.strerror}")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    message = f"cannot start `{spec.program}`: {reason}"
    if isinstance(error, PermissionError):
        return ExecutionError(message, "set its execute bit, or run it through its interpreter")
    if isinstance(error, FileNotFoundError) and (interpreter := _interpreter(spec.program)):
        return ExecutionError(f"interpreter `{interpreter}` of `{spec.program}` is not there")
    return ExecutionError(message)


def _interpreter(program: str) -> str:
    """Return what the first line of a script asks for, if that is what is not there."""
    with contextlib.suppress(OSError), Path(program).open("rb") as file:
        line = file.readline(4096).decode(errors="replace")
        if line.startswith("#!") and (words := line[2:].split()):
            return words[0]
    return ""
