"""Start jobs as forks of a template: the one that this slot keeps."""

import contextlib
import errno
import os
import resource
import select
import time
from collections.abc import Iterator
from typing import NamedTuple

from maelstrom.linux.ipc import IpcObjects
from maelstrom.sandbox.diagnosis import NotFound, refuse_ways_out
from maelstrom.sandbox.job import OOM_SCORE_JOB, OOM_SCORE_SLOT, Process, reap_all
from maelstrom.sandbox.root import Root
from maelstrom.sandbox.stage import SLOT_FILES_MIN, StageFiles
from maelstrom.sandbox.stdin import open_stdin
from maelstrom.sandbox.steps import Spawn
from maelstrom.sandbox.supply import RootSupply
from maelstrom.sandbox.template import REQUEST_BYTES_MAX, Template, request_of

# Targets whose template does not start: their jobs do without.
REFUSED_MAX = 64
# Jobs in a row that a template which is ready is not made to start.
FAILURES_MAX = 3
# What there may be none left of for a moment, as others of the same user have it all. That goes for
# descriptors on their way, too.
SHORTAGES = frozenset(
    (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.ETOOMANYREFS)
)


class _Key(NamedTuple):
    """What the jobs of one template have in common."""

    before: bytes
    root: bytes
    program: bytes
    arguments: tuple[bytes, ...]
    environment: tuple[tuple[bytes, bytes], ...]


@contextlib.contextmanager
def _one_process_more() -> Iterator[None]:
    """Have a template not be one of those that its jobs may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (min(soft + 1, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))


class FromTemplate:
    """The template of one slot, and the jobs that are forks of it."""

    def __init__(self, roots: RootSupply, files: StageFiles, *, devices: int, channel: int) -> None:
        self._roots = roots
        self._files = files
        self._devices = devices
        self._channel = channel
        self._key: _Key | None = None
        self._template: Template | None = None
        self._request = b""
        self._failures = 0
        self._refused: set[_Key] = set()

    @property
    def template(self) -> Template | None:
        """The template there is."""
        return self._template

    def choose(self, before: bytes, step: Spawn, directory: str) -> bool:
        """Make way for a job, and tell whether it may be a fork."""
        count = step.template_arguments
        key = None
        # A template itself needs some files, and is started from no working directory; and what is
        # read from a file of the root is opened there.
        has_few = step.open_files_max < SLOT_FILES_MIN
        if count and not has_few and not step.stdin_file and step.program.startswith(b"/"):
            arguments = step.arguments[: 1 + count]
            key = _Key(before, step.template_root, step.program, arguments, step.environment)
            self._request = request_of(step, directory)
        if key != self._key:
            self.drop()
            self._failures = 0
        self._key = key
        if len(self._request) > REQUEST_BYTES_MAX:
            self.drop()
            return False
        return key is not None and key not in self._refused

    def start(
        self, step: Spawn, root: Root, streams: tuple[int, ...], objects: IpcObjects
    ) -> Process | None:
        """Start the job that was chosen in a root; it may leave no such objects.

        None where it must start by itself, which will tell why if it cannot.
        """
        try:
            template = self._template or self._make(step, objects)
            template.get_ready(self._roots.leave, self._channel)
            template.move_to(root, self._roots.leave)
            pid, descriptor = self._fork(template, step, streams)
        except OSError as error:
            self._give_up(error)
            return None
        self._failures = 0
        return Process(pid, descriptor, time.monotonic(), template)

    def clean(self) -> None:
        """After a job: keep the template if it is as new."""
        template = self._template
        if template is not None and (template.is_spent or not template.is_as_new()):
            self.drop()

    def drop(self) -> None:
        """End the template, with all that is left of its jobs."""
        template, self._template = self._template, None
        if template is None:
            return
        for _ in reap_all():
            pass
        template.close()
        self._roots.drop(template.own_root)

    def _make(self, step: Spawn, objects: IpcObjects) -> Template:
        null = os.open("null", os.O_RDWR, dir_fd=self._devices)
        root = None
        try:
            root = self._roots.make(step.template_root)
            self._roots.enter(root)
            try:
                refuse_ways_out(step.program)
            except NotFound as error:
                raise OSError(errno.EXDEV, str(error)) from error
            self._number_next(1)
            os.pwrite(self._files.oom_score, OOM_SCORE_JOB, 0)
            try:
                with _one_process_more():
                    self._template = Template(step, null, root, objects)
            finally:
                os.pwrite(self._files.oom_score, OOM_SCORE_SLOT, 0)
            return self._template
        except OSError:
            # A template that began drops it with itself.
            if self._template is None:
                self._roots.drop(root)
            raise
        finally:
            os.close(null)
            self._roots.leave()

    def _fork(self, template: Template, step: Spawn, streams: tuple[int, ...]) -> tuple[int, int]:
        stdin = open_stdin(step, self._devices)
        try:
            self._number_next(template.pid)
            return template.fork(self._request, (stdin, *streams), self._channel)
        finally:
            os.close(stdin)

    def _number_next(self, pid: int) -> None:
        """Have the next process get the PID after this one, so that all jobs have the same."""
        if self._files.last_pid >= 0:
            os.pwrite(self._files.last_pid, b"%d" % pid, 0)

    def _give_up(self, error: OSError) -> None:
        """End the template; if that is to blame, jobs like the present one do without from now on.

        Not if there was too little of something, or if somebody wants the job to end.
        """
        assert self._key is not None
        if error.errno not in SHORTAGES and not select.select([self._channel], [], [], 0)[0]:
            self._failures += 1
            was_ready = self._template is not None and self._template.is_ready
            # Then one job may have done it. Where all do, each would wait for a template in vain.
            if not was_ready or self._failures >= FAILURES_MAX:
                self._refuse(self._key)
        self.drop()

    def _refuse(self, key: _Key) -> None:
        if len(self._refused) >= REFUSED_MAX:
            self._refused.clear()
        self._refused.add(key)
