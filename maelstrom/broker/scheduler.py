"""Decide which worker runs which job.

Rules of this file:
1. Which job: see queue.py. Which worker: the least loaded with room; ties go to the lower id, so
   that equal histories give equal decisions.
2. A worker gets a few jobs more than it has slots, so that none waits for us between two jobs. When
   another worker idles and nothing is queued, one of these is recalled for it.
3. A worker's loss is not the job's fault: its jobs go back to the head of the queue, FAULTS_MAX
   times. A job that was on LOSSES_SUSPECT lost workers gets the next one for itself.
4. Every assignment has its attempt number. What is told of any other attempt is not believed.
5. A client hears of a job's end once. What it left or took back is killed, and keeps its place
   until the worker says that it is gone.
6. A large job that fits nowhere yet has one worker held for it, which gets no more until it fits.
"""

import heapq
from dataclasses import dataclass, field
from typing import assert_never

from maelstrom.broker.events import (
    Assign,
    ClientJoined,
    ClientLeft,
    Event,
    Fail,
    Instruction,
    JobCancelled,
    JobEnded,
    JobQueued,
    JobReturned,
    Kill,
    Recall,
    Tell,
    TellCancelled,
    WorkerJoined,
    WorkerLost,
)
from maelstrom.broker.queue import Queue, Shape
from maelstrom.model.ids import ClientId, JobId, WorkerId

FAULTS_MAX = 5
LOSSES_SUSPECT = 2
PREFETCH_MIN = 2
PREFETCH_MAX = 8

_UNKNOWN_S = float("inf")


@dataclass(slots=True)
class _Job:
    shape: Shape
    priority: int
    estimate_s: float
    number: int
    worker: WorkerId | None = None
    attempt: int = 0
    faults: int = 0
    losses: int = 0
    is_told: bool = False
    """Its client knows its end, or is gone: nothing is told any more."""
    is_recalled: bool = False
    is_unwanted: bool = False
    """Cancelled unless it has begun."""


@dataclass(slots=True)
class _Worker:
    slots: int
    tokens: dict[str, int]
    free: dict[str, int]
    prefetch: int
    jobs: dict[JobId, None] = field(default_factory=dict)
    used: int = 0
    recalled: int = 0
    is_taken: bool = False
    """By one job that runs alone."""
    held_for: Shape | None = None

    def fits(self, shape: Shape) -> bool:
        """Whether there is room for it now."""
        if self.is_taken or (shape.is_alone and self.jobs):
            return False
        # Only jobs of one slot are worth sending ahead: others would keep their resources idle.
        ahead = self.prefetch if shape == Shape() else 0
        return self.used + min(shape.slots, self.slots) <= self.slots + ahead and all(
            self.free.get(name, 0) >= amount for name, amount in shape.tokens
        )

    def could_fit(self, shape: Shape) -> bool:
        """Whether there would be room for it if nothing else was here."""
        return shape.slots <= self.slots and all(
            self.tokens.get(name, 0) >= amount for name, amount in shape.tokens
        )


class Scheduler:
    """The core; `handle` is the only way in."""

    def __init__(self) -> None:
        self._workers: dict[WorkerId, _Worker] = {}
        self._jobs: dict[JobId, _Job] = {}
        self._clients: dict[ClientId, dict[JobId, None]] = {}
        self._queue = Queue()
        self._count = 0
        # Workers with room, least loaded first, and those with jobs to be recalled, most first.
        # An entry whose load is not the worker's any more is skipped.
        self._roomy: list[tuple[float, WorkerId]] = []
        self._crowded: list[tuple[int, WorkerId]] = []
        self._idle: dict[WorkerId, None] = {}
        self._held: dict[Shape, WorkerId] = {}
        self._recalls = 0

    def handle(self, event: Event) -> list[Instruction]:
        """Take an event in; return what must be done now, in this order."""
        match event:
            case JobEnded():
                return self._end(event)
            case JobQueued():
                return self._enqueue(event)
            case JobReturned(worker, job, attempt):
                return self._take_back(worker, job, attempt)
            case JobCancelled(job, even_running):
                return self._cancel(job, even_running=even_running)
            case WorkerJoined():
                return self._join(event)
            case WorkerLost(worker):
                return self._lose(worker)
            case ClientJoined(client):
                self._clients[client] = {}
                self._queue.join(client)
                return []
            case ClientLeft(client):
                return self._leave(client)
            case _:
                assert_never(event)

    def _enqueue(self, event: JobQueued) -> list[Instruction]:
        assert event.job not in self._jobs, "a job is queued once"
        slots = 1
        tokens = []
        for name, amount in event.resources:
            if name == "slots":
                slots = amount
            else:
                tokens.append((name, amount))
        shape = Shape(slots, tuple(sorted(tokens)))
        self._count += 1
        job = _Job(shape, event.priority, event.estimate_s or _UNKNOWN_S, self._count)
        self._jobs[event.job] = job
        self._clients[event.job.client][event.job] = None
        self._push(event.job, job)
        if shape != Shape() and self._workers and not self._is_possible(shape):
            return self._refuse_impossible()
        return self._match()

    def _push(self, name: JobId, job: _Job) -> None:
        self._queue.push(
            name, job.shape, (not job.attempt, -job.priority, -job.estimate_s, job.number)
        )

    def _is_possible(self, shape: Shape) -> bool:
        return any(worker.could_fit(shape) for worker in self._workers.values())

    def _refuse_impossible(self) -> list[Instruction]:
        """Fail the jobs that none of the workers could ever run."""
        doomed = {shape for shape in self._queue.shapes() if not self._is_possible(shape)}
        done: list[Instruction] = []
        for job, shape in self._queue.take_if(doomed.__contains__) if doomed else ():
            what = [f"{shape.slots} slots", *(f"{n} of `{name}`" for name, n in shape.tokens)]
            largest = max(worker.slots for worker in self._workers.values())
            self._forget(job)
            done.append(
                Fail(
                    job,
                    f"no worker accepts a job that needs {', '.join(what)}",
                    f"the largest worker has {largest} slots",
                    is_clients_fault=True,
                )
            )
        return done

    def _join(self, event: WorkerJoined) -> list[Instruction]:
        assert event.worker not in self._workers, "a worker joins once"
        tokens = dict(event.resources)
        prefetch = min(max(event.slots, PREFETCH_MIN), PREFETCH_MAX)
        self._workers[event.worker] = _Worker(event.slots, tokens, dict(tokens), prefetch)
        self._touch(event.worker)
        return [*self._refuse_impossible(), *self._match()]

    def _touch(self, name: WorkerId) -> None:
        """Note that a worker's load changed."""
        worker = self._workers[name]
        heapq.heappush(self._roomy, (worker.used / worker.slots, name))
        surplus = len(worker.jobs) - worker.recalled - worker.slots
        if surplus > 0:
            heapq.heappush(self._crowded, (-surplus, name))
        if worker.used < worker.slots and not worker.is_taken:
            self._idle[name] = None
        else:
            self._idle.pop(name, None)

    def _match(self) -> list[Instruction]:
        """Give jobs to workers while both are there."""
        done: list[Instruction] = []
        skipped = []
        while len(self._queue) and self._roomy:
            load, name = self._roomy[0]
            worker = self._workers.get(name)
            if worker is None or worker.used / worker.slots != load:
                heapq.heappop(self._roomy)
                continue
            job = self._choose(name, worker)
            if job is not None:
                done.append(self._assign(name, worker, job))
                continue
            # Full for what is queued: it comes back when its load changes. Others that are more
            # loaded may have what this one lacks, unless all that is asked for is slots.
            heapq.heappop(self._roomy)
            skipped.append((load, name))
            if load >= 1 and self._queue.shapes() == {Shape()}:
                break
        for entry in skipped:
            heapq.heappush(self._roomy, entry)
        if not len(self._queue):
            done += self._steal()
        return done

    def _choose(self, name: WorkerId, worker: _Worker) -> JobId | None:
        if worker.used >= worker.slots + worker.prefetch:
            return None
        for client in self._queue.clients():
            for _, job, shape in self._queue.heads(client):
                if worker.held_for not in (None, shape):
                    continue
                if worker.fits(shape):
                    return job
                is_free_to_hold = shape != Shape() and self._held.get(shape, name) == name
                if is_free_to_hold and worker.held_for is None and worker.could_fit(shape):
                    self._held[shape] = name
                    worker.held_for = shape
        return None

    def _assign(self, name: WorkerId, worker: _Worker, name_of_job: JobId) -> Instruction:
        job = self._jobs[name_of_job]
        self._queue.remove(name_of_job)
        self._queue.hold(name_of_job.client, job.shape.slots)
        job.worker = name
        job.attempt += 1
        worker.jobs[name_of_job] = None
        worker.used += job.shape.slots
        worker.is_taken = job.shape.is_alone
        for token, amount in job.shape.tokens:
            worker.free[token] -= amount
        if worker.held_for is not None:
            del self._held[worker.held_for]
            worker.held_for = None
        self._touch(name)
        return Assign(name, name_of_job, job.attempt)

    def _release(self, name_of_job: JobId, job: _Job) -> None:
        """Take a job off its worker."""
        assert job.worker is not None
        worker = self._workers[job.worker]
        del worker.jobs[name_of_job]
        worker.used -= job.shape.slots
        worker.is_taken = False
        for token, amount in job.shape.tokens:
            worker.free[token] += amount
        if job.is_recalled:
            worker.recalled -= 1
            self._recalls -= 1
            job.is_recalled = False
        self._touch(job.worker)
        job.worker = None
        self._queue.hold(name_of_job.client, -job.shape.slots)

    def _is_current(self, worker: WorkerId, job: JobId, attempt: int) -> bool:
        known = self._jobs.get(job)
        return known is not None and known.worker == worker and known.attempt == attempt

    def _end(self, event: JobEnded) -> list[Instruction]:
        if not self._is_current(event.worker, event.job, event.attempt):
            return []  # An answer of an earlier attempt, or to nobody.
        job = self._jobs[event.job]
        self._release(event.job, job)
        if event.is_fault and not job.is_told and job.faults < FAULTS_MAX:
            job.faults += 1
            return [*self._again(event.job, job), *self._match()]
        done: list[Instruction] = [] if job.is_told else [Tell(event.job)]
        self._forget(event.job)
        return [*done, *self._match()]

    def _again(self, name: JobId, job: _Job) -> list[Instruction]:
        """Put a job that was on a worker back to the head of the queue."""
        if job.is_unwanted:
            self._forget(name)
            return [TellCancelled(name)]
        if job.losses >= LOSSES_SUSPECT:
            job.shape = job.shape._replace(is_alone=True)
        self._push(name, job)
        return []

    def _take_back(self, worker: WorkerId, name: JobId, attempt: int) -> list[Instruction]:
        if not self._is_current(worker, name, attempt):
            return []
        job = self._jobs[name]
        self._release(name, job)
        if job.is_told:
            self._forget(name)
            return self._match()
        return [*self._again(name, job), *self._match()]

    def _lose(self, name: WorkerId) -> list[Instruction]:
        lost = self._workers[name]
        done: list[Instruction] = []
        for job_name in list(lost.jobs):
            job = self._jobs[job_name]
            self._release(job_name, job)
            job.faults += 1
            job.losses += 1
            if job.is_told:
                self._forget(job_name)
            elif job.faults > FAULTS_MAX:
                self._forget(job_name)
                message = f"{job.losses} workers were lost with this job"
                done.append(
                    Fail(job_name, message, "see what the job does to its host, or the hosts' logs")
                )
            else:
                done += self._again(job_name, job)
        if lost.held_for is not None:
            del self._held[lost.held_for]
        del self._workers[name]
        self._idle.pop(name, None)
        return [*done, *self._match()]

    def _cancel(self, name: JobId, *, even_running: bool) -> list[Instruction]:
        job = self._jobs.get(name)
        if job is None or job.is_told:
            return []  # Its end is on its way.
        if self._queue.remove(name):
            self._forget(name)
            return [TellCancelled(name)]
        assert job.worker is not None
        if even_running:
            job.is_told = True
            return [Kill(job.worker, name, job.attempt), TellCancelled(name)]
        job.is_unwanted = True
        return [] if job.is_recalled else [self._recall(name, job)]

    def _recall(self, name: JobId, job: _Job) -> Instruction:
        assert job.worker is not None
        job.is_recalled = True
        self._recalls += 1
        self._workers[job.worker].recalled += 1
        return Recall(job.worker, name, job.attempt)

    def _steal(self) -> list[Instruction]:
        """Recall, for each idle slot at the most, a job that another worker has not begun."""
        done: list[Instruction] = []
        while self._crowded and self._idle and self._recalls < len(self._idle):
            surplus, name = self._crowded[0]
            worker = self._workers.get(name)
            now = len(worker.jobs) - worker.recalled - worker.slots if worker is not None else 0
            if worker is None or now != -surplus:
                heapq.heappop(self._crowded)
                continue
            # The last that came is the last to begin.
            for job in reversed(worker.jobs):
                if not self._jobs[job].is_recalled:
                    done.append(self._recall(job, self._jobs[job]))
                    break
            heapq.heappop(self._crowded)
            if now > 1:
                heapq.heappush(self._crowded, (1 - now, name))
        return done

    def _leave(self, client: ClientId) -> list[Instruction]:
        self._queue.leave(client)
        done: list[Instruction] = []
        for name in list(self._clients.pop(client)):
            job = self._jobs[name]
            if job.worker is None:
                del self._jobs[name]
            else:
                if not job.is_told:
                    done.append(Kill(job.worker, name, job.attempt))
                job.is_told = True
        return [*done, *self._match()]

    def _forget(self, name: JobId) -> None:
        del self._jobs[name]
        self._clients.get(name.client, {}).pop(name, None)

    def check(self) -> None:
        """Assert what must be true between two events."""
        self._queue.check()
        for name, job in self._jobs.items():
            assert (job.worker is None) == (name in self._queue), "a job is queued or assigned"
            if job.worker is not None:
                assert name in self._workers[job.worker].jobs, "a worker knows its jobs"
            assert name.client in self._clients or job.is_told, "a job has a client or is dying"
        for worker in self._workers.values():
            shapes = [self._jobs[name].shape for name in worker.jobs]
            assert worker.used == sum(shape.slots for shape in shapes), "slots are counted"
            assert worker.used <= worker.slots + worker.prefetch, "no worker has too many jobs"
            assert all(free >= 0 for free in worker.free.values()), "no token is given twice"
            recalled = sum(self._jobs[name].is_recalled for name in worker.jobs)
            assert worker.recalled == recalled, "recalls are counted"
            assert not worker.is_taken or len(worker.jobs) == 1, "who is alone is alone"
        recalls = sum(worker.recalled for worker in self._workers.values())
        assert self._recalls == recalls, "all recalls are counted"
