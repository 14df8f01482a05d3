"""Count what happened in a run and say how it ended: pure, events in, figures out."""

from typing import NamedTuple

from maelstrom.model.case import CaseResult, Status
from maelstrom.report.events import (
    CaseFinished,
    CaseStarted,
    Event,
    RunFinished,
    RunStarted,
    TargetFailed,
    TargetFinished,
    TargetListed,
    TargetUnreached,
    TargetUpToDate,
)

SLOWEST_MAX = 5
SLOW_S = 0.5
EXIT_PASSED = 0
EXIT_FAILED = 2
EXIT_INFRASTRUCTURE = 3


class Place(NamedTuple):
    """Where a case is: its target and its name."""

    target: str
    case: str


class Summary:
    """The state of a run so far; every report keeps one."""

    def __init__(self) -> None:
        self.where = ""
        self.counts: dict[Status, int] = dict.fromkeys(Status, 0)
        self.cached = 0
        """Passes taken from the record, a part of `counts[Status.PASSED]`."""
        self.failures: list[CaseResult] = []
        self.broken: list[TargetFailed] = []
        self.slowest: list[CaseResult] = []
        """The longest first, at most SLOWEST_MAX, each slower than SLOW_S."""
        self.again: dict[str, str] = {}
        self.targets: dict[str, None] = {}
        self.running: dict[Place, None] = {}
        """In the order in which they started."""
        self.up_to_date = 0
        """Targets that needed no run."""
        self.unreached = 0
        """Targets that were asked for, and not built or not reached."""
        self.is_over = False
        self.interrupted = False
        self._started_s = 0.0
        self._ended_s = 0.0
        self._waiting: dict[str, int] = {}

    @property
    def done(self) -> int:
        """How many cases have their verdicts."""
        return sum(self.counts.values())

    @property
    def total(self) -> int:
        """How many cases are known to have, or to come to, a verdict."""
        return self.done + sum(self._waiting.values())

    @property
    def failed(self) -> int:
        """How many cases are not good, and targets that could not be tested."""
        return len(self.failures) + len(self.broken)

    @property
    def elapsed_s(self) -> float:
        """How long the finished run took."""
        return max(0.0, self._ended_s - self._started_s)

    @property
    def exit_status(self) -> int:
        """0 if all is good; 3 if we could not tell of some case; 2 for all other failures.

        Ours comes before theirs: with 3 the verdicts are incomplete. An interrupt comes before all:
        it says itself that they are.
        """
        if self.interrupted:
            return EXIT_FAILED
        ours = any(target.is_ours for target in self.broken)
        if ours or self.counts[Status.INFRASTRUCTURE_ERROR]:
            return EXIT_INFRASTRUCTURE
        return EXIT_FAILED if self.failed else EXIT_PASSED

    def handle(self, event: Event) -> None:
        """Take in what happened."""
        match event:
            case RunStarted(time_s, where):
                self._started_s, self.where = time_s, where
            case TargetListed(target, cases, again):
                self.targets[target] = None
                self._waiting[target] = len(cases)
                if again:
                    self.again[target] = again
            case CaseStarted(target, case):
                self.running[Place(target, case)] = None
            case CaseFinished(result):
                self._count(result)
            case TargetFailed(target, again=again):
                self.targets[target] = None
                self.broken.append(event)
                if again:
                    self.again[target] = again
                self._end(target)
            case TargetFinished(target):
                self._end(target)
            case TargetUpToDate():
                self.up_to_date += 1
            case TargetUnreached():
                self.unreached += 1
            case RunFinished(time_s, interrupted):
                self.is_over, self._ended_s, self.interrupted = True, time_s, interrupted
                self.running.clear()
            case _:
                pass  # A note is nothing to count.

    def _count(self, result: CaseResult) -> None:
        status = result.verdict.status
        self.targets[result.target] = None
        self.running.pop(Place(result.target, result.case), None)
        self.counts[status] += 1
        if waiting := self._waiting.get(result.target, 0):
            self._waiting[result.target] = waiting - 1
        if status is Status.PASSED and result.is_cached:
            self.cached += 1
        if not status.is_good:
            self.failures.append(result)
        if result.duration_s >= SLOW_S and not result.is_cached:
            # Sorting is stable: of equals the one that finished first stays first.
            self.slowest.append(result)
            self.slowest.sort(key=lambda slow: -slow.duration_s)
            del self.slowest[SLOWEST_MAX:]

    def _end(self, target: str) -> None:
        self._waiting.pop(target, None)
        for place in [place for place in self.running if place.target == target]:
            del self.running[place]
