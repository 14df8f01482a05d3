"""A run of tests as a story: builds the events that a report gets."""

import itertools
from collections.abc import Iterator

from maelstrom.model.case import CaseResult, Status, Verdict
from maelstrom.report.events import (
    CaseFinished,
    CaseStarted,
    Event,
    Note,
    RunFinished,
    RunStarted,
    TargetFailed,
    TargetFinished,
    TargetListed,
)


class Story:
    """Collects events; `verdict` starts and finishes a case at once."""

    def __init__(self, where: str = "stand-alone, 2 slots") -> None:
        self.events: list[Event] = [RunStarted(100.0, where)]

    def target(self, name: str, *cases: str, again: str = "") -> None:
        """List a target."""
        self.events.append(TargetListed(name, cases, again))

    def start(self, target: str, case: str) -> None:
        """Start a case and leave it running."""
        self.events.append(CaseStarted(target, case))

    def verdict(
        self,
        target: str,
        case: str,
        status: Status = Status.PASSED,
        reason: str = "",
        *,
        stdout: str = "",
        stderr: str = "",
        seconds: float = 0.012,
        is_cached: bool = False,
    ) -> None:
        """Finish a case, having started it if it needs a job."""
        if not is_cached and status is not Status.DISABLED:
            self.start(target, case)
        verdict = Verdict(status, reason, stdout, stderr)
        worker = "" if is_cached else "ann's laptop"
        self.events.append(
            CaseFinished(
                CaseResult(target, case, verdict, seconds, seconds / 2, 4 << 20, worker, is_cached)
            )
        )

    def broken(
        self, target: str, message: str, hint: str = "", *, is_ours: bool = False, again: str = ""
    ) -> None:
        """Fail a target as a whole."""
        self.events.append(TargetFailed(target, message, hint, is_ours, again))

    def done(self, target: str) -> None:
        """Finish a target."""
        self.events.append(TargetFinished(target))

    def note(self, told: str) -> None:
        """Say something."""
        self.events.append(Note(told))

    def end(self, seconds: float = 3.21, *, interrupted: bool = False) -> list[Event]:
        """End the run and return all of it."""
        self.events.append(RunFinished(100.0 + seconds, interrupted))
        return self.events


def everything() -> list[Event]:
    """Return a run with every kind of verdict."""
    story = Story()
    story.target("build/clamp", "low", "high", "slow", "off", "crash", "hang", again="scons clamp")
    story.verdict("build/clamp", "low")
    story.verdict(
        "build/clamp",
        "high",
        Status.FAILED,
        "clamp.c:7: expected 9, got 10",
        stdout="checking 10\nclamp.c:7: Failure\n  expected: 9\n  got: 10\n",
        stderr="warning: off by one?\n",
    )
    story.verdict("build/clamp", "slow", seconds=1.5)
    story.verdict("build/clamp", "off", Status.DISABLED, "disabled in the source", seconds=0)
    story.verdict("build/clamp", "crash", Status.CRASHED, "crashed with SIGSEGV")
    story.verdict("build/clamp", "hang", Status.TIMED_OUT, "timed out after 2.0 s", seconds=2.0)
    story.done("build/clamp")
    story.target("words", "old", "new", "windows", "lost", "gone", again="scons words")
    story.verdict("words", "old", is_cached=True)
    story.verdict("words", "windows", Status.SKIPPED, "only on Windows")
    story.verdict("words", "new", Status.EXECUTION_ERROR, "no program `word` in the container")
    story.verdict("words", "lost", Status.INFRASTRUCTURE_ERROR, "the worker went away")
    story.verdict("words", "gone", Status.CANCELLED, "cancelled")
    story.done("words")
    story.broken(
        "parser",
        "library `libfoo.so.1` of `build/parser` was not found",
        "build it, or name its directory with LIBPATH",
        again="scons parser",
    )
    story.note("the record of `.maelstrom` was made anew")
    return story.end()


def long_run(targets: int = 4, cases: int = 50) -> Iterator[Event]:
    """Yield a run of some length, in which each 17th case fails."""
    yield RunStarted(0.0, "stand-alone, 2 slots")
    number = itertools.count(1)
    for t in range(targets):
        names = tuple(f"group.case_{c:03}" for c in range(cases))
        yield TargetListed(f"build/target_{t}", names, f"scons build/target_{t} --maelstrom")
        for name in names:
            is_bad = next(number) % 17 == 0
            verdict = Verdict(Status.PASSED)
            if is_bad:
                verdict = Verdict(Status.FAILED, "expected 1, got 2", f"{name}: expected 1, got 2")
            yield CaseStarted(f"build/target_{t}", name)
            yield CaseFinished(CaseResult(f"build/target_{t}", name, verdict, 0.01))
        yield TargetFinished(f"build/target_{t}")
    yield RunFinished(2.5)
