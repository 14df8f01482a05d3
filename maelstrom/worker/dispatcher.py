"""Know the life of every job on this worker: prepare its layers, wait, run, end.

Rules of this file:
1. A job starts when all its layers are laid out and its slots are free; first come, first served
   among those that are ready, so that a job whose layers are still coming holds nobody up.
2. A layer is prepared once, however many jobs wait for it. One that cannot be prepared fails the
   jobs that wait, and is tried anew for the next.
3. What a job uses is kept; of the layers that no job uses, the LAYERS_IDLE_MAX used last are kept.
4. A job that was recalled is given back if it has not begun. One that was killed always ends.
5. Each assignment is answered exactly once, by Report or Return. Two attempts of one job may meet
   here, when the broker took us for lost; neither knows of the other.
6. A worker that is leaving begins nothing: it gives back what has not begun, and what still comes.
"""

from collections import OrderedDict, deque
from typing import TypeAlias, assert_never

import msgspec

from maelstrom.model.digest import Digest
from maelstrom.model.ids import JobId
from maelstrom.model.outcome import (
    Cancelled,
    ExecutionError,
    InfrastructureFault,
    Outcome,
)

LAYERS_IDLE_MAX = 256

# Events


class JobAssigned(msgspec.Struct, frozen=True):
    """The broker wants a job to be run."""

    job: JobId
    attempt: int
    layers: tuple[Digest, ...]
    slots: int = 1


class JobRecalled(msgspec.Struct, frozen=True):
    """The broker would like to have a job back."""

    job: JobId
    attempt: int


class JobKilled(msgspec.Struct, frozen=True):
    """Nobody wants this job any more."""

    job: JobId
    attempt: int


class LayerPrepared(msgspec.Struct, frozen=True):
    """A layer is laid out."""

    layer: Digest


class LayerFailed(msgspec.Struct, frozen=True):
    """A layer could not be had or laid out."""

    layer: Digest
    message: str
    hint: str = ""
    is_specs_fault: bool = False


class Leaving(msgspec.Struct, frozen=True):
    """This worker is to end when what runs has ended."""


class JobEnded(msgspec.Struct, frozen=True):
    """The sandbox is done with a job."""

    job: JobId
    attempt: int
    outcome: Outcome


Event: TypeAlias = (
    JobAssigned | JobRecalled | JobKilled | LayerPrepared | LayerFailed | JobEnded | Leaving
)

# Instructions


class PrepareLayer(msgspec.Struct, frozen=True):
    """Pin, fetch and lay out a layer; LayerPrepared or LayerFailed follows."""

    layer: Digest


class ReleaseLayer(msgspec.Struct, frozen=True):
    """No job needs this layer: it may be evicted."""

    layer: Digest


class StartJob(msgspec.Struct, frozen=True):
    """Run the job in a slot; JobEnded follows."""

    job: JobId
    attempt: int


class KillJob(msgspec.Struct, frozen=True):
    """End the job in its slot; JobEnded follows as ever."""

    job: JobId
    attempt: int


class ReportJob(msgspec.Struct, frozen=True):
    """Tell the broker how the job ended."""

    job: JobId
    attempt: int
    outcome: Outcome


class ReturnJob(msgspec.Struct, frozen=True):
    """Tell the broker that the job is its own again."""

    job: JobId
    attempt: int


Instruction: TypeAlias = PrepareLayer | ReleaseLayer | StartJob | KillJob | ReportJob | ReturnJob


Place: TypeAlias = tuple[JobId, int]
"""A job and its attempt."""


class _Job:
    __slots__ = ("is_running", "lacking", "layers", "slots")

    def __init__(self, event: JobAssigned) -> None:
        self.layers = tuple(dict.fromkeys(event.layers))
        self.slots = event.slots
        self.lacking: dict[Digest, None] = {}
        self.is_running = False


class _Layer:
    __slots__ = ("is_prepared", "users", "waiting")

    def __init__(self) -> None:
        self.is_prepared = False
        self.users = 0
        self.waiting: dict[Place, None] = {}


class Dispatcher:
    """The core; `handle` is the only way in."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._free = slots
        self._jobs: dict[Place, _Job] = {}
        self._ready: deque[Place] = deque()
        self._layers: dict[Digest, _Layer] = {}
        self._idle: OrderedDict[Digest, None] = OrderedDict()
        self._is_leaving = False

    def handle(self, event: Event) -> list[Instruction]:
        """Take an event in; return what must be done now, in this order."""
        match event:
            case JobEnded(job, attempt, outcome):
                return self._end((job, attempt), outcome)
            case JobAssigned():
                return self._accept(event)
            case LayerPrepared(layer):
                return self._prepared(layer)
            case LayerFailed():
                return self._failed(event)
            case JobRecalled(job, attempt):
                return self._withdraw((job, attempt), ReturnJob(job, attempt))
            case JobKilled(job, attempt):
                return self._kill((job, attempt))
            case Leaving():
                self._is_leaving = True
                waiting = [place for place, job in self._jobs.items() if not job.is_running]
                return [i for place in waiting for i in self._withdraw(place, ReturnJob(*place))]
            case _:
                assert_never(event)

    def _accept(self, event: JobAssigned) -> list[Instruction]:
        place = (event.job, event.attempt)
        if place in self._jobs:
            # The broker never gives us an attempt twice; whoever does gets one answer for both.
            return []
        if self._is_leaving:
            return [ReturnJob(event.job, event.attempt)]
        if event.slots > self._slots:
            message = f"the job needs {event.slots} slots and this worker has {self._slots}"
            return [ReportJob(event.job, event.attempt, ExecutionError(message))]
        job = self._jobs[place] = _Job(event)
        done: list[Instruction] = []
        for digest in job.layers:
            layer = self._layers.get(digest)
            if layer is None:
                layer = self._layers[digest] = _Layer()
                done.append(PrepareLayer(digest))
            layer.users += 1
            self._idle.pop(digest, None)
            if not layer.is_prepared:
                layer.waiting[place] = None
                job.lacking[digest] = None
        if not job.lacking:
            self._ready.append(place)
        return [*done, *self._start()]

    def _start(self) -> list[Instruction]:
        done: list[Instruction] = []
        while self._ready and not self._is_leaving:
            job = self._jobs.get(self._ready[0])
            if job is None:
                self._ready.popleft()  # It was taken back while it waited.
                continue
            if job.slots > self._free:
                break
            self._free -= job.slots
            job.is_running = True
            done.append(StartJob(*self._ready.popleft()))
        return done

    def _prepared(self, digest: Digest) -> list[Instruction]:
        layer = self._layers[digest]
        layer.is_prepared = True
        for place in layer.waiting:
            job = self._jobs[place]
            del job.lacking[digest]
            if not job.lacking:
                self._ready.append(place)
        layer.waiting.clear()
        return [*self._let_go(digest, layer), *self._start()]

    def _failed(self, event: LayerFailed) -> list[Instruction]:
        layer = self._layers[event.layer]
        kind = ExecutionError if event.is_specs_fault else InfrastructureFault
        outcome = kind(event.message, event.hint)
        done: list[Instruction] = []
        for place in list(layer.waiting):
            done += [ReportJob(*place, outcome), *self._forget(place)]
        assert not layer.users, "whoever uses a layer that is not prepared waits for it"
        self._idle.pop(event.layer, None)
        del self._layers[event.layer]
        return [*done, ReleaseLayer(event.layer)]

    def _withdraw(self, place: Place, answer: Instruction) -> list[Instruction]:
        job = self._jobs.get(place)
        if job is None or job.is_running:
            return []
        return [answer, *self._forget(place), *self._start()]

    def _kill(self, place: Place) -> list[Instruction]:
        job = self._jobs.get(place)
        if job is not None and job.is_running:
            return [KillJob(*place)]
        return self._withdraw(place, ReportJob(*place, Cancelled()))

    def _end(self, place: Place, outcome: Outcome) -> list[Instruction]:
        self._free += self._jobs[place].slots
        return [ReportJob(*place, outcome), *self._forget(place), *self._start()]

    def _forget(self, place: Place) -> list[Instruction]:
        job = self._jobs.pop(place)
        done: list[Instruction] = []
        for digest in job.layers:
            layer = self._layers[digest]
            layer.users -= 1
            layer.waiting.pop(place, None)
            done += self._let_go(digest, layer)
        return done

    def _let_go(self, digest: Digest, layer: _Layer) -> list[Instruction]:
        """Note that nobody uses a layer, if so, and release the one unused for longest."""
        if layer.users or not layer.is_prepared:
            return []  # One that is being prepared is let go when that has ended.
        self._idle[digest] = None
        if len(self._idle) <= LAYERS_IDLE_MAX:
            return []
        oldest, _ = self._idle.popitem(last=False)
        del self._layers[oldest]
        return [ReleaseLayer(oldest)]

    @property
    def jobs(self) -> list[Place]:
        """What was assigned and not answered yet."""
        return list(self._jobs)

    @property
    def has_waiting(self) -> bool:
        """Whether a job can begin as soon as another one ends."""
        return bool(self._ready)

    def check(self) -> None:
        """Assert what must be true between two events."""
        running = [job for job in self._jobs.values() if job.is_running]
        assert self._free == self._slots - sum(job.slots for job in running), "slots are counted"
        assert self._free >= 0, "no slot is given twice"
        # What was taken back leaves its place behind, under its old attempt.
        waiting = [place for place in self._ready if place in self._jobs]
        assert len(waiting) == len(set(waiting)), "a job is ready once"
        for place, job in self._jobs.items():
            assert not (job.is_running and job.lacking), "what runs lacks nothing"
            is_ready = place in self._ready
            assert job.is_running + is_ready + bool(job.lacking) == 1, "a job is in one state"
            for digest in job.lacking:
                assert place in self._layers[digest].waiting, "a layer knows who waits"
        for digest, layer in self._layers.items():
            users = sum(digest in job.layers for job in self._jobs.values())
            assert layer.users == users, "users of a layer are counted"
            assert (digest in self._idle) == (layer.is_prepared and not users), "idle is unused"
        assert len(self._idle) <= LAYERS_IDLE_MAX, "not too many idle layers are kept"
