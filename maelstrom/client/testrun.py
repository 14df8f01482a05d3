"""Decide what a test run does next: list, run, remember, tell.

Rules of this file:
1. Events come in through `handle`, instructions go out as its result. Nothing else changes the
   state.
2. Every target that was announced ends exactly once, every case of it is told exactly once.
3. The cases of a target are submitted as soon as it is listed; a listing goes before any case,
   since others wait for it.
4. What has passed in an equal world is not run again; what has failed or is new goes first.
5. After a stop nothing is submitted; what was submitted still ends, be it as cancelled. When the
   user has interrupted the run, what breaks in the hurry is nobody's fault: it is cancelled, too.
"""

from itertools import count
from math import inf
from typing import assert_never

import msgspec

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
from maelstrom.client.history import History
from maelstrom.errors import UserError
from maelstrom.frameworks.base import Invocation, Target
from maelstrom.model.case import Case, CaseResult, Status, Verdict
from maelstrom.model.outcome import (
    Cancelled,
    ExecutionError,
    Exited,
    InfrastructureFault,
    LimitExceeded,
    Outcome,
    Ran,
    Signaled,
    TimedOut,
    effects_of,
)
from maelstrom.model.spec import JobSpec
from maelstrom.report.events import (
    CaseFinished,
    CaseStarted,
    TargetFailed,
    TargetFinished,
    TargetListed,
)

LISTING_PRIORITY = 2
URGENT_PRIORITY = 1
"""Of cases that are new or have failed last time."""
LISTING_OUTPUT_BYTES_MAX = 64 << 20


class _Job:
    """What a job is for: a case, or the listing of a program."""

    __slots__ = ("case", "digest", "program", "run", "why")

    def __init__(
        self, run: "_Run", program: Target, case: Case | None, digest: str, why: str = ""
    ) -> None:
        self.why = why
        self.run = run
        self.program = program
        self.case = case
        self.digest = digest


class _Run:
    """A target under way."""

    __slots__ = (
        *("broken", "cases", "history", "is_cancelled", "listed", "plan", "results", "unlisted"),
    )

    def __init__(self, plan: TargetPlan, history: History) -> None:
        self.plan = plan
        self.history = history
        self.unlisted = len(plan.programs)
        self.listed: list[tuple[Target, Case]] = []
        self.cases: set[str] = set()
        self.results: list[CaseResult] = []
        self.broken: TargetFailed | None = None
        self.is_cancelled = False

    def turn(self, listed: tuple[Target, Case]) -> tuple[bool, float]:
        """Return what orders cases: new ones and those that failed first, then the longest.

        Whoever schedules them does the same; but the first of them start before the last are told.
        """
        name = listed[1].name
        duration_s = self.history.durations.get(name, inf)
        return not (name in self.history.failed or duration_s == inf), -duration_s

    @property
    def is_over(self) -> bool:
        """Whether its cases will never be run: it only waits for listings of others to end."""
        return self.is_cancelled or self.broken is not None


class TestRun:
    """The core of a test run."""

    __test__ = False  # Its name makes pytest think it were one of its own.

    def __init__(self, *, uses_cache: bool = True) -> None:
        self._uses_cache = uses_cache
        self._runs: dict[str, _Run] = {}
        self._jobs: dict[int, _Job] = {}
        self._numbers = count(1)
        self._is_stopped = False
        self._is_interrupted = False
        self._failure: EngineFailed | None = None

    def handle(self, event: RunEvent) -> list[Instruction]:
        """Take an event, return what is to be done, in that order."""
        match event:
            case TargetReady(plan, history):
                return self._begin(plan, history)
            case TargetBroken(name, message, hint, is_ours, again):
                failed = TargetFailed(name, message, hint, is_ours, again)
                return [Tell(failed), Tell(TargetFinished(name)), EndTarget(name, message, is_ours)]
            case TargetDropped(name):
                return [EndTarget(name, "cancelled", is_cancelled=True)]
            case JobStarted(number):
                return self._started(number)
            case JobEnded(number, outcome):
                return self._ended(number, outcome)
            case EngineFailed():
                return self._engine_failed(event)
            case Stopped(is_interrupt):
                self._is_stopped = True
                self._is_interrupted |= is_interrupt
                return [CancelJobs(running=is_interrupt)]
            case _:
                assert_never(event)

    @property
    def is_idle(self) -> bool:
        """Whether no target is under way."""
        return not self._runs

    def check(self) -> None:
        """Assert what always holds."""
        for job in self._jobs.values():
            assert self._runs[job.run.plan.name] is job.run, "a job of a target that has ended"
        for run in self._runs.values():
            assert len(run.results) <= len(run.cases), "more results than cases"
            jobs = [job for job in self._jobs.values() if job.run is run]
            assert jobs, "a target is under way without a job"

    # A target begins.

    def _begin(self, plan: TargetPlan, history: History) -> list[Instruction]:
        assert plan.name not in self._runs, "two targets of one name"
        if self._is_stopped or self._failure is not None:
            return [EndTarget(plan.name, "cancelled", is_cancelled=True)]
        run = self._runs[plan.name] = _Run(plan, history)
        instructions: list[Instruction] = []
        for program in plan.programs:
            if plan.name in self._runs:  # It has not been broken by the one before.
                instructions += self._list(run, program)
        return instructions

    def _list(self, run: _Run, program: Target) -> list[Instruction]:
        listing = run.plan.framework.listing(program)
        if listing is None:
            return self._listed(run, program, (Case(program.case or run.plan.name),))
        spec = _spec(run.plan.spec, listing)
        limits = msgspec.structs.replace(
            spec.limits,
            output_bytes_max=max(spec.limits.output_bytes_max, LISTING_OUTPUT_BYTES_MAX),
        )
        spec = msgspec.structs.replace(spec, limits=limits, outputs=())
        digest = spec.digest.hash
        known = run.history.listings.get(digest)
        if known is not None:
            return self._listed(run, program, known)
        return [self._submit(_Job(run, program, None, digest), spec, LISTING_PRIORITY, 0.0)]

    def _listed(self, run: _Run, program: Target, cases: tuple[Case, ...]) -> list[Instruction]:
        run.unlisted -= 1
        for case in cases:
            if case.name in run.cases:
                message = f"two cases have the name `{case.name}`"
                return self._break(run, TargetFailed(run.plan.name, message))
            run.cases.add(case.name)
            run.listed.append((program, case))
        if run.unlisted or run.is_over:
            return self._maybe_end(run)
        names = tuple(case.name for _, case in run.listed)
        instructions: list[Instruction] = [Tell(TargetListed(run.plan.name, names, run.plan.again))]
        for program_of_case, case in sorted(run.listed, key=run.turn):
            instructions += self._start(run, program_of_case, case)
        return instructions + self._maybe_end(run)

    def _start(self, run: _Run, program: Target, case: Case) -> list[Instruction]:
        framework, history = run.plan.framework, run.history
        if case.is_disabled:
            verdict = Verdict(Status.DISABLED, case.reason or "disabled in the source")
            return self._told(run, CaseResult(run.plan.name, case.name, verdict))
        if self._is_stopped:
            verdict = framework.verdict(case, Cancelled())
            return self._told(run, CaseResult(run.plan.name, case.name, verdict))
        try:
            spec = _spec(run.plan.spec, framework.invocation(program, case))
        except UserError as error:
            verdict = framework.verdict(case, ExecutionError(error.message, error.hint))
            return self._told(run, CaseResult(run.plan.name, case.name, verdict))
        digest = spec.digest.hash
        why = history.why_run(case.name, spec) if self._uses_cache else "the cache is not used"
        if self._uses_cache and digest in history.passes and not spec.is_local:
            duration_s = history.durations.get(case.name, 0.0)
            result = CaseResult(
                run.plan.name, case.name, Verdict(Status.PASSED), duration_s, is_cached=True
            )
            return self._told(run, result)
        is_urgent = case.name in history.failed or case.name not in history.durations
        return [
            self._submit(
                _Job(run, program, case, digest, why),
                spec,
                URGENT_PRIORITY if is_urgent else 0,
                history.durations.get(case.name, 0.0),
            )
        ]

    def _submit(self, job: _Job, spec: JobSpec, priority: int, estimate_s: float) -> SubmitJob:
        number = next(self._numbers)
        self._jobs[number] = job
        case = job.case.name if job.case else ""
        what = (job.run.plan.name, case, job.why)
        return SubmitJob(number, spec, priority, estimate_s, self._uses_cache, *what)

    # Jobs come back.

    def _started(self, number: int) -> list[Instruction]:
        job = self._jobs.get(number)
        if job is None or job.case is None:
            return []
        return [Tell(CaseStarted(job.run.plan.name, job.case.name))]

    def _ended(self, number: int, outcome: Outcome) -> list[Instruction]:
        job = self._jobs.pop(number, None)
        if job is None:
            return []  # Its target has already ended with the engine's failure.
        if self._is_interrupted and isinstance(outcome, InfrastructureFault):
            outcome = Cancelled()
        if job.case is None:
            return self._listing_ended(job, outcome)
        verdict = job.run.plan.framework.verdict(job.case, outcome)
        effects = effects_of(outcome)
        result = CaseResult(
            target=job.run.plan.name,
            case=job.case.name,
            verdict=verdict,
            duration_s=effects.duration_s,
            cpu_s=effects.cpu_user_s + effects.cpu_system_s,
            memory_peak_bytes=effects.memory_peak_bytes,
            worker=effects.worker,
            is_cached=effects.is_cached,
            ran_because="" if effects.is_cached else job.why,
            missed=effects.missed,
        )
        instructions = self._told(job.run, result)
        if effects.files:
            instructions.append(KeepFiles(result.target, result.case, effects.files))
        if verdict.status not in (Status.INFRASTRUCTURE_ERROR, Status.CANCELLED):
            is_good = verdict.status.is_good
            # A skip is no pass to be taken from the record: it runs again, and says again why.
            digest = "" if verdict.status is Status.SKIPPED else job.digest
            keep = KeepResult(result.target, result.case, digest, is_good, effects.duration_s)
            instructions.append(keep)
        return instructions + self._maybe_end(job.run)

    def _listing_ended(self, job: _Job, outcome: Outcome) -> list[Instruction]:
        run = job.run
        name = run.plan.name
        match outcome:
            case Cancelled():
                run.is_cancelled = True
                return self._maybe_end(run)
            case ExecutionError(message, hint):
                return self._break(run, TargetFailed(name, message, hint))
            case InfrastructureFault(message, hint):
                return self._break(run, TargetFailed(name, message, hint, is_ours=True))
            case Exited() | Signaled() | TimedOut() | LimitExceeded():
                return self._read_listing(job, outcome)
            case _:
                assert_never(outcome)

    def _read_listing(self, job: _Job, outcome: Ran) -> list[Instruction]:
        run, name = job.run, job.run.plan.name
        try:
            cases = tuple(run.plan.framework.cases(outcome))
        except UserError as error:
            return self._break(run, TargetFailed(name, error.message, error.hint))
        return [KeepListing(name, job.digest, cases), *self._listed(run, job.program, cases)]

    def _break(self, run: _Run, failed: TargetFailed) -> list[Instruction]:
        """End a target that could not be listed, once its other listings are back."""
        told: list[Instruction] = []
        if run.broken is None:
            run.broken = msgspec.structs.replace(failed, again=run.plan.again)
            told.append(Tell(run.broken))
        return told + self._maybe_end(run)

    def _engine_failed(self, failure: EngineFailed) -> list[Instruction]:
        if self._failure is not None:
            return []
        self._failure = failure
        instructions: list[Instruction] = []
        self._jobs.clear()
        for name in list(self._runs):
            del self._runs[name]
            # Once is enough: all have the same reason.
            if not instructions and not self._is_interrupted:
                instructions.append(
                    Tell(TargetFailed(name, failure.message, failure.hint, is_ours=True))
                )
                instructions.append(EndTarget(name, failure.message, is_ours=True))
            else:
                instructions.append(EndTarget(name, "cancelled", is_cancelled=True))
        return instructions

    # A target ends.

    def _told(self, run: _Run, result: CaseResult) -> list[Instruction]:
        quiet = msgspec.structs.replace(result.verdict, stdout="", stderr="")
        run.results.append(msgspec.structs.replace(result, verdict=quiet, is_cached=True))
        return [Tell(CaseFinished(result))]

    def _maybe_end(self, run: _Run) -> list[Instruction]:
        name = run.plan.name
        if name not in self._runs:
            return []
        if run.is_over:
            is_waiting = any(job.run is run for job in self._jobs.values())
        else:
            is_waiting = run.unlisted > 0 or len(run.results) < len(run.cases)
        if is_waiting:
            return []
        del self._runs[name]
        return [Tell(TargetFinished(name)), _end(run)]


def _end(run: _Run) -> EndTarget:
    name, statuses = run.plan.name, [result.verdict.status for result in run.results]
    if run.broken is not None:
        return EndTarget(name, run.broken.message, run.broken.is_ours)
    bad = [status for status in statuses if not status.is_good]
    failed = [status for status in bad if status is not Status.CANCELLED]
    if failed:
        is_ours = all(status is Status.INFRASTRUCTURE_ERROR for status in failed)
        noun = "case" if len(statuses) == 1 else "cases"
        how = "could not be run" if is_ours else "failed"
        complaint = f"{len(failed)} of {len(statuses)} {noun} {how}"
        return EndTarget(name, complaint, is_ours)
    if bad or run.is_cancelled:
        return EndTarget(name, "cancelled", is_cancelled=True)
    return EndTarget(name, results=tuple(run.results))


def _spec(world: JobSpec, invocation: Invocation) -> JobSpec:
    environment = world.environment
    if invocation.environment:
        environment = tuple(sorted((dict(environment) | dict(invocation.environment)).items()))
    return msgspec.structs.replace(
        world,
        program=invocation.program,
        arguments=invocation.arguments,
        template_arguments=invocation.template_arguments,
        environment=environment,
    )
