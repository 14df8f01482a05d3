"""Drive SCons' taskmaster so that a test costs neither a thread nor a `-j` slot while it runs.

SCons' own runners call a task's `execute` and take it for done when that returns. Here the action
of a test only submits: it leaves a `Pending` behind, and its task is retired when that is finished,
from whatever thread. Ordinary tasks keep to `-j`.

Rules of this file:
1. Only the task protocol is relied upon: next_task, prepare, needs_execute, execute, executed,
   failed, postprocess. It is the same from SCons 4.0 to 4.11.
2. The main thread alone talks to the taskmaster; other threads only put results into the queue.
3. With `-j1` ordinary tasks run on the main thread in SCons' own order: actions with `chdir=` are
   only safe there. Beyond, ready ordinary tasks are parked, not yet prepared, while there may be
   tests behind them that are ready too.
4. When a failure stops the build, queued cases are taken back and running ones may finish. When
   the user interrupts, everything is taken back, and we do not wait for long.
"""

import collections
import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import SCons.Errors
import SCons.Node
import SCons.Script.Main
import SCons.Taskmaster

INTERRUPTED_WAIT_S = 3.0
"""How long an interrupted build waits for its cases to be gone."""
WORKER_JOIN_S = 1.0


class Cancelled(SCons.Errors.BuildError):  # type: ignore[misc]  # SCons has no types.
    """A test that was taken back: its task is retired without a line about it."""


class Pending:
    """The rest of a test's action: whoever runs it calls `finish` exactly once, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_done = False
        self._error: Exception | None = None
        self._callback: Callable[[Exception | None], None] | None = None
        self.on_success: Callable[[], None] = _nothing
        """Called on the main thread, before SCons hears that the test has passed."""

    def finish(self, error: Exception | None) -> None:
        """Tell how the test ended: None if it passed."""
        with self._lock:
            if self._is_done:
                return
            self._is_done, self._error = True, error
            callback = self._callback
        if callback is not None:
            callback(error)

    def attach(self, callback: Callable[[Exception | None], None]) -> None:
        """Have `callback` called once with the result, at once if there is one already."""
        with self._lock:
            if not self._is_done:
                self._callback = callback
                return
        callback(self._error)

    def wait(self) -> None:
        """Block until finished; raises the error. For runners that cannot leave a task open."""
        done = threading.Event()
        self.attach(lambda _: done.set())
        done.wait()
        if self._error is not None:
            raise self._error
        self.on_success()


def _nothing() -> None:
    pass


class _Context(threading.local):
    """Whether this thread executes a task that may be left open, and what was left."""

    is_open = False
    pending: Pending | None = None

    def take(self) -> Pending | None:
        """Return what was left, and forget it."""
        pending, self.pending = self.pending, None
        return pending


_context = _Context()


def leave(pending: Pending) -> None:
    """Leave the task that is being executed open until `pending` is finished, or wait for it."""
    if _context.is_open:
        _context.pending = pending
    else:
        pending.wait()


class Interest(NamedTuple):
    """What the runner asks and tells those who own the tests."""

    on_read: Callable[[], None]
    """All SConscripts have been read."""
    on_begin: Callable[[list[Any]], None]
    """A build begins, of these nodes."""
    is_test: Callable[[Any], bool]
    """Whether a node is a test's."""
    has_more: Callable[[], bool]
    """Whether there may be tests that have not been looked at yet."""
    on_work: Callable[[], None]
    """Something is out of date: tests may follow."""
    on_up_to_date: Callable[[Any], None]
    """A test's node needs not run."""
    on_stop: Callable[[bool], None]
    """The build stops; the argument says whether the user has interrupted it."""
    on_end: Callable[[bool], int]
    """The build has ended; the argument as above. Returns the exit status we ask for."""


class _Interrupted:
    """What SCons' signal handlers set; runs inside of them, so it only puts into a queue."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.count = 0
        self._wake = wake

    def set(self) -> None:
        self.count += 1
        self._wake()

    def __call__(self) -> bool:
        return self.count > 0


class _Result(NamedTuple):
    task: Any
    is_good: bool
    pending: Pending | None


class AsyncJob:
    """The runner; has the face of SCons' own: `start`, `interrupted`, `taskmaster`."""

    def __init__(self, taskmaster: Any, jobs: int, stack_kib: int, interest: Interest) -> None:
        self.taskmaster = taskmaster
        self._jobs = jobs
        self._stack_kib = stack_kib
        self._interest = interest
        self._results: queue.SimpleQueue[_Result | None] = queue.SimpleQueue()
        self.interrupted = _Interrupted(lambda: self._results.put(None))
        self._work: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._parked: collections.deque[Any] = collections.deque()
        self._local = 0
        self._open: set[Any] = set()
        self._is_stopped = False
        self._deadline_s = 0.0

    # The loop.

    def start(self) -> None:
        """Run all tasks; returns when none is left."""
        try:
            while self._step():
                pass
            for task in self._open:  # Only when an interrupted build would not wait any longer.
                self._withdraw(task)
        finally:
            for _ in self._threads:
                self._work.put(None)
            for thread in self._threads:
                thread.join(WORKER_JOIN_S)
        self.taskmaster.cleanup()

    def _step(self) -> bool:
        self._drain()
        while self._parked and self._has_room() and not self._is_stopped:
            self._start_local(self._parked.popleft())
        looks_ahead = self._interest.has_more()
        pulls = self._is_stopped or looks_ahead or self._jobs == 1 or self._has_room()
        task = self.taskmaster.next_task() if pulls else None
        if task is not None:
            self._take(task, looks_ahead=looks_ahead)
            return True
        if self._parked and not self._is_stopped and (self._jobs == 1 or self._has_room()):
            self._start_local(self._parked.popleft())
            return True
        if pulls and not self._local and not self._open and self._results.empty():
            self._check_stop()
            return False
        return self._wait()

    def _has_room(self) -> bool:
        return self._jobs > 1 and self._local < self._jobs

    def _take(self, task: Any, *, looks_ahead: bool) -> None:
        if self._interest.is_test(task.targets[0]):
            self._start_test(task)
        elif not _must_run(task):
            # A source, or up to date: its parents wait for it, so it is never parked.
            self._start_local(task)
        elif not self._parked and (self._has_room() or (self._jobs == 1 and not looks_ahead)):
            self._start_local(task)
        else:
            self._parked.append(task)

    def _wait(self) -> bool:
        """Wait for a result; False when an interrupted build has waited long enough."""
        if not self.interrupted():
            self._finish(self._results.get())
            return True
        if not self._deadline_s:
            self._deadline_s = time.monotonic() + INTERRUPTED_WAIT_S
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0 or self.interrupted.count > 1:
            return False
        try:
            self._finish(self._results.get(timeout=left_s))
        except queue.Empty:
            return False
        return True

    def _drain(self) -> None:
        while True:
            try:
                result = self._results.get_nowait()
            except queue.Empty:
                return
            self._finish(result)

    # Tasks in.

    def _prepare(self, task: Any) -> bool:
        """Whether the task has to be executed; if not, it is already retired."""
        try:
            task.prepare()
        except Exception:  # As SCons' own runners do: every task must be retired.
            task.exception_set()
            self._retire(task, is_good=False)
            return False
        if task.needs_execute():
            return True
        if self._interest.is_test(task.targets[0]):
            self._interest.on_up_to_date(task.targets[0])
        task.executed()
        task.postprocess()
        return False

    def _start_local(self, task: Any) -> None:
        if not self._prepare(task):
            return
        if task.targets[0].has_builder():
            self._interest.on_work()
        if self._jobs == 1:
            self._retire(task, is_good=self._execute(task))
            return
        self._local += 1
        if len(self._threads) < min(self._jobs, self._local):
            self._start_thread()
        self._work.put(task)

    def _start_test(self, task: Any) -> None:
        if not self._prepare(task):
            return
        executor = task.targets[0].get_executor()
        post_actions, executor.post_actions = executor.post_actions, []
        _context.is_open = True
        try:
            is_good = self._execute(task)
        finally:
            _context.is_open = False
            pending = _context.take()
        if pending is None or not is_good:
            self._retire(task, is_good=is_good)
            return
        if post_actions:
            pending.on_success = _then(pending.on_success, executor, post_actions, task.targets)
        self._open.add(task)
        pending.attach(lambda error: self._put(task, pending, error))

    def _put(self, task: Any, pending: Pending, error: Exception | None) -> None:
        if error is not None:
            task.exception_set((type(error), error, None))
        self._results.put(_Result(task, error is None, pending))

    def _execute(self, task: Any) -> bool:
        try:
            if self.interrupted():
                raise SCons.Errors.BuildError(task.targets[0], errstr=_jobs_module().interrupt_msg)
            task.execute()
        except Exception:  # As above: a task's exception is the task's result.
            task.exception_set()
            return False
        return True

    def _start_thread(self) -> None:
        before = None
        with contextlib.suppress(ValueError, RuntimeError):  # Where we are not let to choose.
            before = threading.stack_size(self._stack_kib * 1024)
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        self._threads.append(thread)
        if before is not None:
            threading.stack_size(before)

    def _serve(self) -> None:
        while (task := self._work.get()) is not None:
            self._results.put(_Result(task, self._execute(task), None))

    # Tasks out.

    def _finish(self, result: _Result | None) -> None:
        if result is None:
            self._check_stop()
            return
        task, is_good, pending = result
        if pending is None:
            self._local -= 1
            self._retire(task, is_good=is_good)
            return
        self._open.discard(task)
        if is_good:
            try:
                pending.on_success()
            except Exception:  # As above.
                task.exception_set()
                is_good = False
        elif isinstance(task.exception[1], Cancelled):
            self._withdraw(task)
            return
        self._retire(task, is_good=is_good)

    def _withdraw(self, task: Any) -> None:
        failed = SCons.Node.failed
        self.taskmaster.will_not_build(task.targets, lambda node: node.set_state(failed))

    def _retire(self, task: Any, *, is_good: bool) -> None:
        if is_good:
            task.executed()
        else:
            if self.interrupted():
                message = _jobs_module().interrupt_msg
                error = SCons.Errors.BuildError(task.targets[0], errstr=message)
                task.exception_set((type(error), error, None))
            task.failed()
        task.postprocess()
        self._check_stop()

    def _check_stop(self) -> None:
        master = self.taskmaster
        if self._is_stopped or master.next_candidate != master.no_next_candidate:
            return
        self._is_stopped = True
        while self._parked:
            self._drop(self._parked.popleft())
        self._interest.on_stop(self.interrupted())

    def _drop(self, task: Any) -> None:
        """Withdraw a task that was pulled but never prepared."""
        self.taskmaster.will_not_build(task.targets)
        # Releases side effects and waiting parents, which the next call then flushes.
        SCons.Taskmaster.Task.postprocess(task)
        self.taskmaster.next_candidate()


def _must_run(task: Any) -> bool:
    return any(target.get_state() == SCons.Node.executing for target in task.targets)


def _then(
    first: Callable[[], None], executor: Any, actions: list[Any], targets: list[Any]
) -> Callable[[], None]:
    """Post-actions belong after the test, not after its submission."""

    def both() -> None:
        first()
        env = executor.get_build_env()
        for action in actions:
            status = action(targets, executor.get_all_sources(), env)
            if isinstance(status, SCons.Errors.BuildError):
                raise status
            if status:
                raise SCons.Errors.BuildError(targets, errstr=f"Error {status}", status=status)

    return both


def _jobs_module() -> ModuleType:
    """Return the module of SCons' job runners, which moved in 4.5."""
    name = "SCons.Taskmaster.Job" if hasattr(SCons.Taskmaster, "__path__") else "SCons.Job"
    __import__(name)
    return sys.modules[name]


def install(interest: Interest) -> None:
    """Have SCons' main build run by `AsyncJob`.

    SCons looks its factory of runners up when the build starts. Configure checks, `-c` and `-q`
    keep SCons' own runner.
    """
    module = _jobs_module()
    original = module.Jobs

    class Jobs(original):  # type: ignore[misc, valid-type]  # SCons has no types.
        """SCons' factory with our runner for the main build."""

        def __init__(self, jobs: int, taskmaster: Any) -> None:
            super().__init__(jobs, taskmaster)
            main = SCons.Script.Main
            self.is_ours = taskmaster.tasker is main.BuildTask
            if self.is_ours or taskmaster.tasker in (main.QuestionTask, main.CleanTask):
                interest.on_read()
            if self.is_ours:
                stack_kib = module.explicit_stack_size or module.default_stack_size
                interest.on_begin(taskmaster.original_top)
                self.job = AsyncJob(taskmaster, jobs, stack_kib, interest)

        def run(self, postfunc: Callable[[], None] = _nothing) -> None:
            if not self.is_ours:
                super().run(postfunc)
                return
            statuses: list[int] = []

            def conclude() -> None:
                # The report comes before SCons' last lines, and with its signal handlers still up.
                statuses.append(interest.on_end(self.were_interrupted()))
                postfunc()

            super().run(conclude)
            main = SCons.Script.Main
            # SCons would say 2 for anything that failed; an error of ours has its own status.
            main.exit_status = max(main.exit_status, *statuses)

    setattr(module, "Jobs", Jobs)  # noqa: B010  # To a module without types.
