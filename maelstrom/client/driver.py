"""Carry out a test run: events from everywhere into its core, instructions out to everyone.

Rules of this file:
1. One thread of ours owns the core, the record and the reporter; all others only put events into
   its queue. A second thread prepares targets, since hashing takes time.
2. Whoever asks for a target hears of its end exactly once, on our thread.
3. What a preparation raises breaks its target, not the run; what the engine raises ends the run.
"""

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, assert_never

import msgspec

from maelstrom.client.engine import Engine, Submission
from maelstrom.client.events import (
    CancelJobs,
    EndTarget,
    EngineFailed,
    Instruction,
    JobEnded,
    JobStarted,
    KeepFiles,
    KeepListing,
    KeepResult,
    RunEvent,
    Stopped,
    SubmitJob,
    TargetBroken,
    TargetDropped,
    TargetPlan,
    TargetReady,
    Tell,
)
from maelstrom.client.outputs import write_outputs
from maelstrom.client.record import Record
from maelstrom.client.testrun import TestRun
from maelstrom.client.undeclared import Undeclared
from maelstrom.client.unrun import Unrun, events
from maelstrom.errors import MaelstromError, ProtocolError, StoreError, UserError
from maelstrom.model.case import CaseResult, Status
from maelstrom.model.outcome import InfrastructureFault, Outcome
from maelstrom.report import Reporter
from maelstrom.report.events import CaseFinished, Note, RunFinished, RunStarted
from maelstrom.report.order import Planned

STACK_BYTES = 8 << 20
CLOSE_S = 5.0
EXPLAINED = (Status.FAILED, Status.CRASHED, Status.TIMED_OUT)
"""What may have its cause in a missing declaration."""


class Request(NamedTuple):
    """A target that somebody wants to be run."""

    name: str
    prepare: Callable[[], TargetPlan]
    """Makes the plan, layers included; called on a thread of ours; may raise MaelstromError."""
    on_end: Callable[[EndTarget], None]
    again: str


class Driver:
    """One test run, from its first target to the summary."""

    on_case: Callable[[Planned], None] | None = None
    """Told of cases by a run that does not run them."""

    def __init__(
        self,
        engine: Engine,
        reporter: Reporter,
        record: Record,
        *,
        where: str,
        uses_cache: bool = True,
        outputs: Path | None = None,
    ) -> None:
        self._outputs = outputs
        self._engine = engine
        self._reporter = reporter
        self._record = record
        self._core = TestRun(uses_cache=uses_cache)
        self._events: queue.SimpleQueue[RunEvent | None] = queue.SimpleQueue()
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._on_end: dict[str, Callable[[EndTarget], None]] = {}
        self._undeclared: dict[str, Undeclared] = {}
        self._is_stopped = False
        self._is_interrupted = False
        self._fault: BaseException | None = None
        reporter.handle(RunStarted(time.monotonic(), where))
        self._threads = [
            _thread("maelstrom-run", self._serve),
            _thread("maelstrom-prepare", self._prepare_all),
        ]

    # For the thread of the build.

    def run(self, request: Request) -> None:
        """Run a target; returns at once."""
        self._on_end[request.name] = request.on_end
        self._requests.put(request)

    def stop(self, *, is_interrupt: bool) -> None:
        """Start nothing more."""
        self._is_stopped = True
        self._is_interrupted |= is_interrupt
        self._events.put(Stopped(is_interrupt))

    def close(self, unrun: Unrun) -> int:
        """End the run, print the summary, leave nothing behind; returns the exit status."""
        self._is_stopped = True
        self._requests.put(None)
        self._engine.close(timeout_s=CLOSE_S)
        self._events.put(None)
        for thread in self._threads:
            thread.join(CLOSE_S)
        for event in events(unrun, self._record):
            self._reporter.handle(event)
        self._record.close()
        self._reporter.handle(RunFinished(time.monotonic(), self._is_interrupted))
        self._reporter.close()
        if self._fault is not None:
            raise self._fault
        if self._engine.failure is not None and not self._is_interrupted:
            return self._engine.failure.exit_status
        return self._reporter.summary.exit_status

    # The thread that prepares.

    def _prepare_all(self) -> None:
        while (request := self._requests.get()) is not None:
            if self._is_stopped:
                self._events.put(TargetDropped(request.name))
                continue
            try:
                plan = request.prepare()
                if plan.undeclared is not None:
                    self._undeclared[plan.name] = plan.undeclared
                event: RunEvent = TargetReady(plan, self._record.history(request.name))
            except MaelstromError as error:
                is_ours = not isinstance(error, UserError)
                event = TargetBroken(
                    request.name, error.message, error.hint, is_ours, request.again
                )
            except Exception as error:  # The outermost loop of this thread.
                message = f"preparing it failed: {type(error).__name__}: {error}"
                event = TargetBroken(request.name, message, "", True, request.again)
            self._events.put(event)

    # The thread that runs.

    def _serve(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                for instruction in self._core.handle(event):
                    self._carry_out(instruction)
            except Exception as error:  # As above; `close` raises it again.
                if self._fault is None:
                    self._fault = error
                for on_end in list(self._on_end.values()):
                    on_end(EndTarget("", f"{type(error).__name__}: {error}", is_ours=True))

    def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case SubmitJob():
                self._submit(instruction)
            case Tell(CaseFinished(result)):
                self._reporter.handle(CaseFinished(self._explained(result)))
            case Tell(event):
                self._reporter.handle(event)
            case KeepListing() | KeepResult():
                self._record.keep(instruction)
            case KeepFiles():
                self._keep_files(instruction)
            case EndTarget(name):
                self._record.end(instruction)
                self._on_end.pop(name)(instruction)
            case CancelJobs(running):
                self._engine.cancel_all(running=running)
            case _:
                assert_never(instruction)

    def _explained(self, result: CaseResult) -> CaseResult:
        undeclared = self._undeclared.get(result.target)
        if undeclared is None or result.verdict.status not in EXPLAINED:
            return result
        hint = undeclared.hint(f"{result.verdict.stdout}\n{result.verdict.stderr}")
        return msgspec.structs.replace(result, hint=hint) if hint else result

    def _keep_files(self, kept: KeepFiles) -> None:
        if self._outputs is None:
            return
        try:
            write_outputs(self._outputs, kept.target, kept.case, kept.files, self._engine.output)
        except (OSError, ProtocolError, StoreError) as error:
            self.note(f"{kept.target}: cannot write the outputs of `{kept.case}`: {error}")

    def _submit(self, job: SubmitJob) -> None:
        number, events = job.job, self._events
        self._engine.submit(
            Submission(
                job.spec,
                on_outcome=lambda outcome: self._on_outcome(number, outcome),
                on_status=lambda worker: events.put(JobStarted(number)) if worker else None,
                priority=job.priority,
                estimate_s=job.estimate_s,
                may_be_cached=job.may_be_cached,
            )
        )

    def _on_outcome(self, number: int, outcome: Outcome) -> None:
        failure = self._engine.failure
        if failure is not None and isinstance(outcome, InfrastructureFault):
            self._events.put(EngineFailed(failure.message, failure.hint))
        self._events.put(JobEnded(number, outcome))

    def note(self, text: str) -> None:
        """Tell a person something."""
        self._reporter.handle(Note(text))


def _thread(name: str, target: Callable[[], None]) -> threading.Thread:
    # SCons sets a size for its own threads that is too small for some of what we call.
    before = threading.stack_size(STACK_BYTES)
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    threading.stack_size(before)
    return thread
