"""Decide which jobs of a run the developer's own slots take off a shared broker.

Rules of this file:
1. Every job goes to the shared broker, which orders them and may know the outcome already. When a
   slot here has room, one that has not begun there is taken back and run here; one that has
   begun meanwhile, or whose outcome is known, is not.
2. The last in the broker's order is taken back first: it would wait longest, and is the least
   likely to begin there before the broker hears of it.
3. A job is told once: by the one that has it. One that was taken back is with neither for a moment.
4. What must run here for other reasons has its room here, too; what needs what is not here is left
   there.
5. When nothing can run here, what was taken back goes to the shared broker again, and no more is.
"""

import enum
import heapq
from typing import TypeAlias, assert_never

import msgspec

AHEAD = 2
"""How many jobs wait here beside those that run, so that no slot waits for the broker."""

# Events


class Place(enum.Enum):
    """Where a job may run."""

    ANY = enum.auto()
    HERE = enum.auto()
    THERE = enum.auto()


class Wanted(msgspec.Struct, frozen=True):
    """The run has a job."""

    job: int
    priority: int = 0
    estimate_s: float = 0.0
    place: Place = Place.ANY


class Begun(msgspec.Struct, frozen=True):
    """The shared broker's worker has begun a job."""

    job: int


class EndedThere(msgspec.Struct, frozen=True):
    """The shared broker has an outcome; Cancelled if so said."""

    job: int
    is_cancelled: bool = False


class EndedHere(msgspec.Struct, frozen=True):
    """Our own slots have an outcome, or cannot run anything any more."""

    job: int
    is_hopeless: bool = False


class AllUnwanted(msgspec.Struct, frozen=True):
    """The run takes back all that it wanted; what runs only if so said."""

    running: bool


Event: TypeAlias = Wanted | Begun | EndedThere | EndedHere | AllUnwanted

# Instructions


class RunThere(msgspec.Struct, frozen=True):
    """Submit a job to the shared broker."""

    job: int


class TakeBack(msgspec.Struct, frozen=True):
    """Ask the shared broker for a job, if it has not begun; EndedThere follows."""

    job: int


class RunHere(msgspec.Struct, frozen=True):
    """Submit a job to our own slots."""

    job: int


class CancelAll(msgspec.Struct, frozen=True):
    """Take everything back, here and there."""

    running: bool


class Tell(msgspec.Struct, frozen=True):
    """Tell the run the outcome that came with the event at hand."""

    job: int


Instruction: TypeAlias = RunThere | TakeBack | RunHere | CancelAll | Tell


class Sharing:
    """The core; `handle` is the only way in."""

    def __init__(self, slots: int) -> None:
        self._room = slots + AHEAD
        # With the shared broker, and may be taken back; the last in its order is the first here.
        self._there: dict[int, tuple[int, float, int]] = {}
        self._last: list[tuple[int, float, int]] = []
        self._begun: dict[int, None] = {}
        self._asked: dict[int, bool] = {}
        """Whether it is still wanted if it comes back."""
        self._here: dict[int, bool] = {}
        """Whether it is bound to be here."""
        self._is_hopeless = False

    def handle(self, event: Event) -> list[Instruction]:
        """Take an event in; return what must be done now, in this order."""
        match event:
            case Wanted():
                return self._begin(event)
            case Begun(job):
                if self._there.pop(job, None) is not None:
                    self._begun[job] = None
                return []
            case EndedThere(job, is_cancelled):
                return self._end_there(job, is_cancelled=is_cancelled)
            case EndedHere(job, is_hopeless):
                return self._end_here(job, is_hopeless=is_hopeless)
            case AllUnwanted(running):
                self._last.clear()
                self._begun.update(dict.fromkeys(self._there))
                self._there.clear()
                self._asked = dict.fromkeys(self._asked, False)
                return [CancelAll(running)]
            case _:
                assert_never(event)

    def _begin(self, wanted: Wanted) -> list[Instruction]:
        job = wanted.job
        match wanted.place:
            case Place.HERE:
                self._here[job] = True
                return [RunHere(job)]
            case Place.THERE:
                self._begun[job] = None
                return [RunThere(job)]
            case Place.ANY:
                rank = (wanted.priority, wanted.estimate_s or float("inf"), -job)
                self._there[job] = rank
                heapq.heappush(self._last, rank)
                return [RunThere(job), *self._fill()]

    def _fill(self) -> list[Instruction]:
        done: list[Instruction] = []
        while self._last and not self._is_hopeless:
            if len(self._here) + len(self._asked) >= self._room:
                break
            rank = heapq.heappop(self._last)
            job = -rank[2]
            if self._there.get(job) == rank:
                del self._there[job]
                self._asked[job] = True
                done.append(TakeBack(job))
        return done

    def _end_there(self, job: int, *, is_cancelled: bool) -> list[Instruction]:
        self._there.pop(job, None)
        self._begun.pop(job, None)
        is_wanted = self._asked.pop(job, False)
        if not (is_wanted and is_cancelled):
            return [Tell(job), *self._fill()]
        if self._is_hopeless:
            self._begun[job] = None
            return [RunThere(job)]
        self._here[job] = False
        return [RunHere(job)]

    def _end_here(self, job: int, *, is_hopeless: bool) -> list[Instruction]:
        is_bound = self._here.pop(job)
        self._is_hopeless |= is_hopeless
        if is_hopeless and not is_bound:
            self._begun[job] = None
            return [RunThere(job)]
        return [Tell(job), *self._fill()]

    @property
    def jobs(self) -> list[int]:
        """Those that were not told."""
        return [*self._there, *self._begun, *self._asked, *self._here]

    def check(self) -> None:
        """Assert what must be true between two events."""
        jobs = self.jobs
        assert len(jobs) == len(set(jobs)), "a job is in one place"
        taken = len(self._asked) + sum(not is_bound for is_bound in self._here.values())
        assert taken <= self._room, "no more is taken than there is room for"
