"""The core of a test run, by tables: events in, instructions out."""

from typing import Any

import pytest

from maelstrom.client.events import (
    CancelJobs,
    EndTarget,
    EngineFailed,
    JobEnded,
    JobStarted,
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
from maelstrom.client.testrun import TestRun
from maelstrom.errors import SpecError
from maelstrom.frameworks.base import Invocation, ListingError, Target, judge
from maelstrom.model.case import Case, Status, Verdict
from maelstrom.model.outcome import (
    Cancelled,
    Effects,
    ExecutionError,
    Exited,
    InfrastructureFault,
    Outcome,
    Output,
    Ran,
)
from maelstrom.model.spec import JobSpec


class Words:
    """A framework whose listing prints the cases; `!` before one disables it."""

    name = "words"

    def listing(self, target: Target) -> Invocation | None:
        return Invocation(target.program, ("list",)) if target.program != "/one" else None

    def cases(self, outcome: Ran) -> list[Case]:
        names = outcome.effects.stdout.text().split()
        if not names:
            raise ListingError("it lists nothing", hint="write a case")
        return [Case(name.lstrip("!"), is_disabled=name.startswith("!")) for name in names]

    def invocation(self, target: Target, case: Case) -> Invocation:
        if case.name == "bad":
            raise SpecError("it cannot be run")
        return Invocation(target.program, (case.name,), (("CASE", case.name),))

    def verdict(self, case: Case, outcome: Outcome) -> Verdict:
        return judge(outcome, lambda status, _: Verdict(Status.FAILED if status else Status.PASSED))


def plan(name: str = "t", *programs: str, world: JobSpec | None = None) -> TargetPlan:
    targets = tuple(Target(program) for program in programs or (f"/{name}",))
    return TargetPlan(name, Words(), targets, world or JobSpec("/"), again=f"again {name}")


def listed(names: str) -> Exited:
    return Exited(0, Effects(stdout=Output(names.encode())))


GOOD = Exited(0, Effects(duration_s=2.0))
BAD = Exited(1, Effects())


def short(instruction: Any) -> str:
    """Tell an instruction in a few words, so that tables can be read."""
    match instruction:
        case SubmitJob(job, spec, priority, estimate_s):
            extra = f" ~{estimate_s:g}" if estimate_s else ""
            return f"submit {job}: {spec.program} {' '.join(spec.arguments)} p{priority}{extra}"
        case Tell(event):
            kind = type(event).__name__
            if kind == "CaseFinished":
                result = event.result
                cached = " (record)" if result.is_cached else ""
                return f"{result.case} {result.verdict.status.value}{cached}"
            if kind == "TargetListed":
                return f"listed {event.target}: {' '.join(event.cases)}"
            if kind == "TargetFailed":
                return f"broken {event.target}: {event.message}{' (ours)' * event.is_ours}"
            if kind == "CaseStarted":
                return f"started {event.case}"
            return f"finished {event.target}"
        case KeepListing(target, _, cases):
            return f"keep listing {target}: {' '.join(case.name for case in cases)}"
        case KeepResult(_, case, _, is_good):
            return f"keep {case}: {'good' if is_good else 'bad'}"
        case EndTarget(name, complaint, is_ours, is_cancelled):
            marks = " (ours)" * is_ours + " (cancelled)" * is_cancelled
            return f"end {name}: {complaint or 'passed'}{marks}"
        case CancelJobs(running):
            return "cancel all" if running else "cancel queued"
    raise AssertionError(instruction)


Script = list[tuple[RunEvent, list[str]]]

LISTING: Script = [
    (TargetReady(plan()), ["submit 1: /t list p2"]),
    (
        JobEnded(1, listed("a b")),
        [
            "keep listing t: a b",
            "listed t: a b",
            "submit 2: /t a p1",
            "submit 3: /t b p1",
        ],
    ),
]

SCRIPTS: dict[str, Script] = {
    "a target is listed, its cases run, its end told": [
        *LISTING,
        (JobStarted(3), ["started b"]),
        (JobEnded(3, GOOD), ["b passed", "keep b: good"]),
        (JobEnded(2, GOOD), ["a passed", "keep a: good", "finished t", "end t: passed"]),
    ],
    "a failed case fails its target, and the others still run": [
        *LISTING,
        (JobEnded(2, BAD), ["a failed", "keep a: bad"]),
        (JobEnded(3, GOOD), ["b passed", "keep b: good", "finished t",
                             "end t: 1 of 2 cases failed"]),
    ],
    "a target without a listing is one case of its name": [
        (TargetReady(plan("one")), ["listed one: one", "submit 1: /one one p1"]),
        (JobEnded(1, GOOD), ["one passed", "keep one: good", "finished one", "end one: passed"]),
    ],
    "disabled cases are told and need no job": [
        (TargetReady(plan()), ["submit 1: /t list p2"]),
        (JobEnded(1, listed("!a")), ["keep listing t: a", "listed t: a", "a disabled",
                                     "finished t", "end t: passed"]),
    ],
    "a case that cannot be described spares the others": [
        (TargetReady(plan()), ["submit 1: /t list p2"]),
        (JobEnded(1, listed("bad a")), ["keep listing t: bad a", "listed t: bad a",
                                        "bad execution error", "submit 2: /t a p1"]),
        (JobEnded(2, GOOD), ["a passed", "keep a: good", "finished t",
                             "end t: 1 of 2 cases failed"]),
    ],
    "a listing that says nothing": [
        (TargetReady(plan()), ["submit 1: /t list p2"]),
        (JobEnded(1, listed("")), ["broken t: it lists nothing", "finished t",
                                   "end t: it lists nothing"]),
    ],
    "a listing that cannot start": [
        (TargetReady(plan()), ["submit 1: /t list p2"]),
        (JobEnded(1, ExecutionError("no such program")),
         ["broken t: no such program", "finished t", "end t: no such program"]),
    ],
    "a listing that is our fault": [
        (TargetReady(plan()), ["submit 1: /t list p2"]),
        (JobEnded(1, InfrastructureFault("disk full")),
         ["broken t: disk full (ours)", "finished t", "end t: disk full (ours)"]),
    ],
    "a case that is our fault is no failure": [
        *LISTING,
        (JobEnded(2, InfrastructureFault("lost")), ["a infrastructure error"]),
        (JobEnded(3, GOOD), ["b passed", "keep b: good", "finished t",
                             "end t: 1 of 2 cases could not be run (ours)"]),
    ],
    "a target whose layers could not be made": [
        (TargetBroken("t", "no file", "make it"),
         ["broken t: no file", "finished t", "end t: no file"]),
    ],
    "several programs are one list": [
        (TargetReady(plan("t", "/x", "/y")), ["submit 1: /x list p2", "submit 2: /y list p2"]),
        (JobEnded(2, listed("b")), ["keep listing t: b"]),
        (JobEnded(1, listed("a")), ["keep listing t: a", "listed t: b a", "submit 3: /y b p1",
                                    "submit 4: /x a p1"]),
    ],
    "two cases of one name in several programs": [
        (TargetReady(plan("t", "/x", "/y")), ["submit 1: /x list p2", "submit 2: /y list p2"]),
        (JobEnded(1, listed("a")), ["keep listing t: a"]),
        (JobEnded(2, listed("a")), ["keep listing t: a", "broken t: two cases have the name `a`",
                                    "finished t", "end t: two cases have the name `a`"]),
    ],
    "a program that does not list waits for the listings of others": [
        (TargetReady(plan("t", "/x", "/y")), ["submit 1: /x list p2", "submit 2: /y list p2"]),
        (JobEnded(1, listed("")), ["broken t: it lists nothing"]),
        (JobEnded(2, listed("a")), ["keep listing t: a", "finished t", "end t: it lists nothing"]),
    ],
    "after a failure nothing is submitted, and what runs may end": [
        *LISTING,
        (Stopped(is_interrupt=False), ["cancel queued"]),
        (TargetReady(plan("u")), ["end u: cancelled (cancelled)"]),
        (TargetDropped("v"), ["end v: cancelled (cancelled)"]),
        (JobEnded(3, Cancelled()), ["b cancelled"]),
        (JobEnded(2, GOOD), ["a passed", "keep a: good", "finished t",
                             "end t: cancelled (cancelled)"]),
    ],
    "an interrupt takes everything back": [
        *LISTING,
        (Stopped(is_interrupt=True), ["cancel all"]),
        (JobEnded(2, Cancelled()), ["a cancelled"]),
        (JobEnded(3, Cancelled()), ["b cancelled", "finished t", "end t: cancelled (cancelled)"]),
    ],
    "what breaks in the hurry of an interrupt is cancelled": [
        *LISTING,
        (TargetReady(plan("u")), ["submit 4: /u list p2"]),
        (Stopped(is_interrupt=True), ["cancel all"]),
        (JobEnded(2, InfrastructureFault("closed")), ["a cancelled"]),
        (JobEnded(4, InfrastructureFault("closed")),
         ["finished u", "end u: cancelled (cancelled)"]),
        (EngineFailed("the broker ended"), ["end t: cancelled (cancelled)"]),
    ],
    "a listing that is taken back": [
        (TargetReady(plan()), ["submit 1: /t list p2"]),
        (Stopped(is_interrupt=True), ["cancel all"]),
        (JobEnded(1, Cancelled()), ["finished t", "end t: cancelled (cancelled)"]),
    ],
    "a listing that ends after a stop submits nothing": [
        (TargetReady(plan()), ["submit 1: /t list p2"]),
        (Stopped(is_interrupt=False), ["cancel queued"]),
        (JobEnded(1, listed("a")), ["keep listing t: a", "listed t: a", "a cancelled",
                                    "finished t", "end t: cancelled (cancelled)"]),
    ],
    "an engine that fails is told once": [
        *LISTING,
        (TargetReady(plan("u")), ["submit 4: /u list p2"]),
        (EngineFailed("no sandbox"), ["broken t: no sandbox (ours)", "end t: no sandbox (ours)",
                                      "end u: cancelled (cancelled)"]),
        (EngineFailed("no sandbox"), []),
        (JobEnded(2, InfrastructureFault("no sandbox")), []),
        (JobEnded(4, InfrastructureFault("no sandbox")), []),
        (TargetReady(plan("v")), ["end v: cancelled (cancelled)"]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("story", SCRIPTS)
def test_a_run(story: str) -> None:
    core = TestRun()
    for event, expected in SCRIPTS[story]:
        assert [short(i) for i in core.handle(event)] == expected
        core.check()


@pytest.mark.parametrize("story", SCRIPTS)
def test_a_run_interrupted_anywhere_ends_each_target_once(story: str) -> None:
    script = SCRIPTS[story]
    for stop in range(len(script) + 1):
        core = TestRun()
        begun: set[str] = set()
        ended: list[str] = []
        jobs: set[int] = set()

        def play(event: RunEvent, core: TestRun = core, ended: list[str] = ended,
                 jobs: set[int] = jobs) -> None:  # fmt: skip
            for instruction in core.handle(event):
                if isinstance(instruction, SubmitJob):
                    jobs.add(instruction.job)
                if isinstance(instruction, EndTarget):
                    ended.append(instruction.name)
            core.check()

        for event, _ in script[:stop]:
            if isinstance(event, TargetReady):
                begun.add(event.plan.name)
            if isinstance(event, TargetBroken | TargetDropped):
                begun.add(event.name)
            if isinstance(event, JobEnded):
                jobs.discard(event.job)
            play(event)
        play(Stopped(is_interrupt=True))
        for job in sorted(jobs):
            play(JobEnded(job, Cancelled()))
        assert sorted(ended) == sorted(begun)
        assert core.is_idle


def digests(core: TestRun, event: RunEvent) -> dict[str, str]:
    return {i.case: i.digest for i in core.handle(event) if isinstance(i, KeepResult)}


def remembered() -> History:
    """Run once; return what a record would know afterwards: `a` has passed, `b` has failed."""
    core = TestRun()
    core.handle(TargetReady(plan()))
    kept = [i for i in core.handle(JobEnded(1, listed("a b"))) if isinstance(i, KeepListing)]
    passes = digests(core, JobEnded(2, GOOD))
    core.handle(JobEnded(3, BAD))
    return History(
        listings={kept[0].digest: kept[0].cases},
        passes=frozenset(passes.values()),
        durations={"a": 2.0, "b": 3.0},
        failed=frozenset({"b"}),
    )


def test_what_has_passed_in_an_equal_world_is_not_run_again() -> None:
    told = TestRun().handle(TargetReady(plan(), remembered()))
    assert [short(i) for i in told] == [
        "listed t: a b",
        "submit 1: /t b p1 ~3",
        "a passed (record)",
    ]


def test_in_another_world_all_is_run_and_what_failed_goes_first() -> None:
    core = TestRun()
    other = plan(world=JobSpec("/", environment=(("X", "1"),)))
    assert [short(i) for i in core.handle(TargetReady(other, remembered()))] == [
        "submit 1: /t list p2"
    ]
    told = [short(i) for i in core.handle(JobEnded(1, listed("a b c")))]
    assert told[2:] == ["submit 2: /t c p1", "submit 3: /t b p1 ~3", "submit 4: /t a p0 ~2"]


def test_without_the_cache_everything_runs_and_nothing_is_kept_elsewhere() -> None:
    core = TestRun()
    core.handle(TargetReady(plan()))
    core.handle(JobEnded(1, listed("a")))
    kept = [i for i in core.handle(JobEnded(2, GOOD)) if isinstance(i, KeepResult)]
    history = History(passes=frozenset({kept[0].digest}), durations={"a": 2.0})
    for uses_cache in (True, False):
        core = TestRun(uses_cache=uses_cache)
        submitted = [
            core.handle(TargetReady(plan(), history)),
            core.handle(JobEnded(1, listed("a"))),
        ]
        jobs = [i for said in submitted for i in said if isinstance(i, SubmitJob)]
        assert [job.may_be_cached for job in jobs] == ([True] if uses_cache else [False, False])


def test_a_case_tells_where_its_outcome_is_from() -> None:
    core = TestRun()
    core.handle(TargetReady(plan()))
    core.handle(JobEnded(1, listed("a b")))
    cached = Exited(0, Effects(is_cached=True))
    run = Exited(0, Effects(missed="the broker has evicted it"))
    told = [*core.handle(JobEnded(2, cached)), *core.handle(JobEnded(3, run))]
    results = [i.event.result for i in told if isinstance(i, Tell) and hasattr(i.event, "result")]
    assert [(r.is_cached, r.ran_because, r.missed) for r in results] == [
        (True, "", ""),
        (False, "it has not been run before", "the broker has evicted it"),
    ]
