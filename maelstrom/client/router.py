"""Know which job waits for what, and tell each its outcome exactly once.

Rules of this file:
1. A job is told its outcome once: by the broker, or by us when there is no broker (any more).
2. Before the connection stands, jobs are kept; then they leave in the order they came.
3. A job that was taken back before it left never leaves.
4. After a failure every job, old and new, hears of that failure.
5. When the connection breaks, nothing is told. A broker that knows us still is told which jobs have
   no outcome, and given those it does not know; another one is given all that are still wanted.
"""

from typing import TypeAlias, assert_never

import msgspec

from maelstrom.model.digest import Digest
from maelstrom.model.outcome import Cancelled, InfrastructureFault, Outcome

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
        # Those that were taken back after that, and whether they are to be killed.
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
            case Connected(is_resumed):
                return self._connect(is_resumed=is_resumed)
            case Disconnected():
                self._is_connected = False
                return []
            case Forgotten(jobs):
                return self._give([job for job in dict.fromkeys(jobs) if job in self._jobs])
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
        self._jobs[job] = self._is_connected
        return [SendJob(job)] if self._is_connected else []

    def _take_back(self, job: int, *, even_running: bool) -> list[Instruction]:
        is_sent = self._jobs.get(job)
        if is_sent is None:
            return []
        if not is_sent:
            return self._end(job, Cancelled())
        self._taken_back[job] = even_running or self._taken_back.get(job, False)
        return [SendCancel(job, even_running)] if self._is_connected else []

    def _end(self, job: int, outcome: Outcome) -> list[Instruction]:
        del self._jobs[job]
        self._taken_back.pop(job, None)
        return [TellOutcome(job, outcome)]

    def _connect(self, *, is_resumed: bool) -> list[Instruction]:
        self._is_connected = True
        known = [job for job, is_sent in self._jobs.items() if is_sent and is_resumed]
        done: list[Instruction] = [SendResume(tuple(known))] if is_resumed else []
        done += [SendCancel(job, self._taken_back[job]) for job in known if job in self._taken_back]
        return done + self._give(
            [job for job, is_sent in self._jobs.items() if not (is_sent and is_resumed)]
        )

    def _give(self, jobs: list[int]) -> list[Instruction]:
        """Give jobs to a broker that does not know them, unless they are not wanted any more."""
        done: list[Instruction] = []
        for job in jobs:
            if job in self._taken_back:
                done += self._end(job, Cancelled())
            else:
                self._jobs[job] = True
                done.append(SendJob(job))
        return done

    def _fail(self, failure: InfrastructureFault) -> list[Instruction]:
        if self._failure is None:
            self._failure = failure
        self._is_connected = False
        jobs, self._jobs = list(self._jobs), {}
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
        if self._is_connected:
            assert all(self._jobs.values()), "all jobs are with the broker while it is there"
        assert all(self._jobs.get(job) for job in self._taken_back), "what waits leaves no trace"
