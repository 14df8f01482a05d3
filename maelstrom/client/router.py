"""Know which job waits for what, and tell each its outcome exactly once.

Rules of this file:
1. A job is told its outcome once: by the broker, or by us when there is no broker (any more).
2. Before the connection stands, jobs are kept; then they leave in the order they came.
3. A job that was taken back before it left never leaves.
4. After a failure every job, old and new, hears of that failure.
5. The broker has no more of our jobs than it takes at a time; the rest waits here, in its order.
6. When the connection breaks, nothing is told. A broker that knows us still is told which jobs have
   no outcome, and given those it does not know; another one is given all that are still wanted.
"""

from collections import deque
from typing import TypeAlias, assert_never

import msgspec

from maelstrom.model.digest import Digest
from maelstrom.model.outcome import Cancelled, InfrastructureFault, Outcome

JOBS_MAX = 1_000_000

# Events


class Submitted(msgspec.Struct, frozen=True):
    """The test run wants a job to be run."""

    job: int


class TakenBack(msgspec.Struct, frozen=True):
    """The test run takes a job back."""

    job: int
    even_running: bool = True


class Connected(msgspec.Struct, frozen=True):
    """The broker is there, and knows us from before if `is_resumed`."""

    is_resumed: bool = False
    jobs_max: int = JOBS_MAX
    """How many jobs it takes from us that have not ended."""


class Disconnected(msgspec.Struct, frozen=True):
    """The broker cannot be reached; it is tried again."""


class Forgotten(msgspec.Struct, frozen=True):
    """The broker does not know these jobs."""

    jobs: tuple[int, ...]


class Failed(msgspec.Struct, frozen=True):
    """There is no broker, or no sandbox, and there will be none."""

    message: str
    hint: str = ""


class Ended(msgspec.Struct, frozen=True):
    """The broker tells an outcome."""

    job: int
    outcome: Outcome


class Progressed(msgspec.Struct, frozen=True):
    """The broker tells how far a job is."""

    job: int
    worker: str


class Wanted(msgspec.Struct, frozen=True):
    """The broker lacks contents."""

    digests: tuple[Digest, ...]


Event: TypeAlias = (
    Submitted
    | TakenBack
    | Connected
    | Disconnected
    | Forgotten
    | Failed
    | Ended
    | Progressed
    | Wanted
)

# Instructions


class SendJob(msgspec.Struct, frozen=True):
    """Submit a job to the broker."""

    job: int


class SendCancel(msgspec.Struct, frozen=True):
    """Take a job back from the broker."""

    job: int
    even_running: bool


class SendResume(msgspec.Struct, frozen=True):
    """Tell the broker which of the jobs it got have no outcome."""

    jobs: tuple[int, ...]


class SendContents(msgspec.Struct, frozen=True):
    """Offer, upload or withhold these, none of which was sent before."""

    digests: tuple[Digest, ...]


class TellOutcome(msgspec.Struct, frozen=True):
    """Tell the test run how its job ended."""

    job: int
    outcome: Outcome


class TellStatus(msgspec.Struct, frozen=True):
    """Tell the test run where its job is."""

    job: int
    worker: str


Instruction: TypeAlias = SendJob | SendCancel | SendResume | SendContents | TellOutcome | TellStatus


class Router:
    """The core; `handle` is the only way in."""

    def __init__(self) -> None:
        # A job's value tells whether it was given to the broker.
        self._jobs: dict[int, bool] = {}
        # Those that were not, in their order, and some that are over.
        self._waiting: deque[int] = deque()
        self._given = 0
        self._jobs_max = 0
        # Those that were taken back after they were given, and whether they are to be killed.
        self._taken_back: dict[int, bool] = {}
        self._is_connected = False
        self._failure: InfrastructureFault | None = None

    def handle(self, event: Event) -> list[Instruction]:
        """Take an event in; return what must be done now, in this order."""
        match event:
            case Submitted(job):
                return self._submit(job)
            case Ended(job, outcome):
                return self._end(job, outcome) if job in self._jobs else []
            case Progressed(job, worker):
                return [TellStatus(job, worker)] if job in self._jobs else []
            case TakenBack(job, even_running):
                return self._take_back(job, even_running=even_running)
            case Connected():
                return self._connect(event)
            case Disconnected():
                self._is_connected = False
                return []
            case Forgotten(jobs):
                return self._forget([job for job in dict.fromkeys(jobs) if self._jobs.get(job)])
            case Failed(message, hint):
                return self._fail(InfrastructureFault(message, hint))
            case Wanted(digests):
                return [SendContents(digests)] if self._is_connected else []
            case _:
                assert_never(event)

    def _submit(self, job: int) -> list[Instruction]:
        assert job not in self._jobs, "a job is submitted once"
        if self._failure is not None:
            return [TellOutcome(job, self._failure)]
        self._jobs[job] = False
        self._waiting.append(job)
        return self._give()

    def _take_back(self, job: int, *, even_running: bool) -> list[Instruction]:
        is_given = self._jobs.get(job)
        if is_given is None:
            return []
        if not is_given:
            return self._end(job, Cancelled())
        self._taken_back[job] = even_running or self._taken_back.get(job, False)
        return [SendCancel(job, even_running)] if self._is_connected else []

    def _end(self, job: int, outcome: Outcome) -> list[Instruction]:
        self._given -= self._jobs.pop(job)
        self._taken_back.pop(job, None)
        return [TellOutcome(job, outcome), *self._give()]

    def _connect(self, event: Connected) -> list[Instruction]:
        self._is_connected = True
        self._jobs_max = event.jobs_max
        given = [job for job, is_given in self._jobs.items() if is_given]
        if not event.is_resumed:
            return self._forget(given)
        cancels = [
            SendCancel(job, self._taken_back[job]) for job in given if job in self._taken_back
        ]
        return [SendResume(tuple(given)), *cancels, *self._give()]

    def _forget(self, jobs: list[int]) -> list[Instruction]:
        """Give jobs once more that the broker does not know, unless they are not wanted now."""
        done: list[Instruction] = []
        again = []
        for job in jobs:
            self._given -= self._jobs[job]
            self._jobs[job] = False
            if job in self._taken_back:
                del self._jobs[job], self._taken_back[job]
                done.append(TellOutcome(job, Cancelled()))
            else:
                again.append(job)
        self._waiting.extendleft(reversed(again))
        return done + self._give()

    def _give(self) -> list[Instruction]:
        """Give the broker what it has room for."""
        done: list[Instruction] = []
        while self._is_connected and self._waiting and self._given < self._jobs_max:
            job = self._waiting.popleft()
            if self._jobs.get(job) is False:
                self._jobs[job] = True
                self._given += 1
                done.append(SendJob(job))
        return done

    def _fail(self, failure: InfrastructureFault) -> list[Instruction]:
        if self._failure is None:
            self._failure = failure
        self._is_connected = False
        jobs, self._jobs = list(self._jobs), {}
        self._given = 0
        self._waiting.clear()
        self._taken_back.clear()
        return [TellOutcome(job, self._failure) for job in jobs]

    @property
    def jobs(self) -> list[int]:
        """Those that have not heard of their end."""
        return list(self._jobs)

    def check(self) -> None:
        """Assert what must be true between two events."""
        assert not (self._failure and self._is_connected), "after a failure nothing is connected"
        assert not (self._failure and self._jobs), "after a failure nobody waits"
        assert self._given == sum(self._jobs.values()), "what the broker has is counted"
        if self._is_connected and self._given < self._jobs_max:
            assert all(self._jobs.values()), "all jobs that it has room for are with the broker"
        waiting = [job for job in self._waiting if self._jobs.get(job) is False]
        assert len(waiting) == len(self._jobs) - self._given, "what was not given waits, once"
        assert all(self._jobs.get(job) for job in self._taken_back), "what waits leaves no trace"
