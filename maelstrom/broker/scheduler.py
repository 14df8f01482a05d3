"""Decide which worker runs which job.

Rules of this file:
1. Which job: see queue.py. Which worker: the least loaded with room; ties go to the lower id, so
   that equal histories give equal decisions.
2. A worker gets a few jobs more than it has slots, so that none waits for us between two jobs. When
   another worker idles and nothing is queued, one of these is recalled for it.
3. A worker's loss is not the job's fault: its jobs go back to the head of the queue. But a job that
   was on LOSSES_SUSPECT lost workers gets the next one for itself, and after LOSSES_MAX it is given
   up, as it is after FAULTS_MAX faults of any kind.
4. Every assignment has its attempt number. What is told of any other attempt is not believed.
5. A client hears of a job's end once. What it left or took back is killed, and keeps its place
   until the worker says that it is gone.
6. A large job that fits nowhere yet has one worker held for it, which gets no more until it fits.
7. A worker that is absent or drained gets nothing. One that comes back keeps what it holds and was
   not given to others meanwhile; what it does not hold never got there, and is queued again.
8. The jobs of an absent client wait; what runs goes on.
9. After a restart of ours, jobs that had been given to workers wait for these to come back.
"""

import heapq
from typing import assert_never

from maelstrom.broker.books import UNKNOWN_S, Job, Worker
from maelstrom.broker.events import (
    Assign,
    ClientAbsent,
    ClientBack,
    ClientJoined,
    ClientLeft,
    Event,
    Fail,
    Holding,
    Instruction,
    JobCancelled,
    JobEnded,
    JobQueued,
    JobReturned,
    Kill,
    Recall,
    RestoreEnded,
    Tell,
    TellCancelled,
    WorkerAbsent,
    WorkerBack,
    WorkerDraining,
    WorkerJoined,
    WorkerLost,
)
from maelstrom.broker.queue import Queue, Shape
from maelstrom.model.ids import ClientId, JobId, WorkerId

FAULTS_MAX = 5
LOSSES_SUSPECT = 2
LOSSES_MAX = 3


class Scheduler:
    """The core; `handle` is the only way in."""

    def __init__(self) -> None:
        self._workers: dict[WorkerId, Worker] = {}
        self._jobs: dict[JobId, Job] = {}
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
        # Jobs from before our restart that some worker may have.
        self._unclaimed: dict[JobId, None] = {}

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
                return self._handle_rare(event)

    def _handle_rare(
        self,
        event: ClientAbsent
        | ClientBack
        | WorkerAbsent
        | WorkerBack
        | WorkerDraining
        | RestoreEnded,
    ) -> list[Instruction]:
        match event:
            case ClientAbsent(client):
                self._queue.absent(client, is_absent=True)
                return self._match()
            case ClientBack(client):
                self._queue.absent(client, is_absent=False)
                return self._match()
            case WorkerAbsent(worker):
                self._workers[worker].is_absent = True
                self._let_go(worker)
                return self._match()
            case WorkerBack(worker, holding):
                return self._return(worker, holding)
            case WorkerDraining(worker, is_draining):
                return self._drain(worker, is_draining=is_draining)
            case RestoreEnded():
                unclaimed, self._unclaimed = self._unclaimed, {}
                for job in unclaimed:
                    self._push(job, self._jobs[job])
                return [*self._refuse_impossible(), *self._match()]
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
        job = Job(shape, event.priority, event.estimate_s or UNKNOWN_S, self._count)
        self._jobs[event.job] = job
        self._clients[event.job.client][event.job] = None
        if event.attempt:
            job.attempt = event.attempt
            self._unclaimed[event.job] = None
            return []
        self._push(event.job, job)
        if shape != Shape() and self._workers and not self._is_possible(shape):
            return self._refuse_impossible()
        return self._match()

    def _push(self, name: JobId, job: Job) -> None:
        self._queue.push(
            name, job.shape, (not job.attempt, -job.priority, -job.estimate_s, job.number)
        )

    def _is_possible(self, shape: Shape) -> bool:
        return any(worker.could_fit(shape) for worker in self._workers.values())

    def _refuse_impossible(self) -> list[Instruction]:
        """Fail the jobs that none of the workers could ever run."""
        if not self._workers:
            return []
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
        self._workers[event.worker] = Worker(event.slots, dict(event.resources))
        claimed = self._claim_all(event.worker, event.holding)
        self._touch(event.worker)
        return [*claimed, *self._refuse_impossible(), *self._match()]

    def _return(self, name: WorkerId, holding: Holding) -> list[Instruction]:
        """Take up with a worker where the connection broke."""
        worker = self._workers[name]
        worker.is_absent = False
        held = dict(holding)
        done: list[Instruction] = []
        for job_name in list(worker.jobs):
            job = self._jobs[job_name]
            if held.get(job_name) != job.attempt:
                # It never got there, or its way back was cut.
                self._release(job_name, job)
                done += [] if job.is_told else self._again(job_name, job)
                if job.is_told:
                    self._forget(job_name)
            elif job.is_told:
                done.append(Kill(name, job_name, job.attempt))
            elif job.is_recalled:
                done.append(Recall(name, job_name, job.attempt))
        done += self._claim_all(name, holding)
        self._touch(name)
        return [*done, *self._match()]

    def _claim_all(self, name: WorkerId, holding: Holding) -> list[Instruction]:
        """Give a worker again what it holds, and end what is not its own any more."""
        worker = self._workers[name]
        done: list[Instruction] = []
        for job_name, attempt in holding:
            if self._is_current(name, job_name, attempt):
                continue
            job = self._jobs.get(job_name)
            if job is None or not self._may_claim(job, attempt, worker):
                done.append(Kill(name, job_name, attempt))
                continue
            self._queue.remove(job_name)
            self._unclaimed.pop(job_name, None)
            self._place(name, worker, job_name, attempt)
        return done

    @staticmethod
    def _may_claim(job: Job, attempt: int, worker: Worker) -> bool:
        # After a restart we may know a little less of a job than its worker does.
        return job.worker is None and attempt >= job.attempt and worker.fits(job.shape)

    def _drain(self, name: WorkerId, *, is_draining: bool) -> list[Instruction]:
        worker = self._workers[name]
        worker.is_draining = is_draining
        if not is_draining:
            self._touch(name)
            return self._match()
        self._let_go(name)
        recalls = [
            self._recall(job, self._jobs[job])
            for job in worker.jobs
            if not self._jobs[job].is_recalled
        ]
        return [*recalls, *self._match()]

    def _let_go(self, name: WorkerId) -> None:
        """Count on a worker no more; its entries in the heaps are skipped from now on."""
        worker = self._workers[name]
        self._idle.pop(name, None)
        if worker.held_for is not None:
            del self._held[worker.held_for]
            worker.held_for = None

    def _touch(self, name: WorkerId) -> None:
        """Note that a worker's load changed."""
        worker = self._workers[name]
        if not worker.is_open:
            return
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
            if worker is None or not worker.is_open or worker.used / worker.slots != load:
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

    def _choose(self, name: WorkerId, worker: Worker) -> JobId | None:
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

    def _assign(self, name: WorkerId, worker: Worker, name_of_job: JobId) -> Instruction:
        attempt = self._jobs[name_of_job].attempt + 1
        self._queue.remove(name_of_job)
        self._place(name, worker, name_of_job, attempt)
        if worker.held_for is not None:
            del self._held[worker.held_for]
            worker.held_for = None
        self._touch(name)
        return Assign(name, name_of_job, attempt)

    def _place(self, name: WorkerId, worker: Worker, name_of_job: JobId, attempt: int) -> None:
        job = self._jobs[name_of_job]
        self._queue.hold(name_of_job.client, job.shape.slots)
        job.worker = name
        job.attempt = attempt
        worker.take(name_of_job, job.shape)

    def _release(self, name_of_job: JobId, job: Job) -> None:
        """Take a job off its worker."""
        assert job.worker is not None
        worker = self._workers[job.worker]
        worker.give_back(name_of_job, job.shape)
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

    def _again(self, name: JobId, job: Job) -> list[Instruction]:
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
        for place, job_name in enumerate(list(lost.jobs)):
            job = self._jobs[job_name]
            self._release(job_name, job)
            # Those behind had not begun, and did nobody any harm.
            has_begun = place < lost.slots
            job.faults += has_begun
            job.losses += has_begun
            if job.is_told:
                self._forget(job_name)
            elif job.faults > FAULTS_MAX or job.losses > LOSSES_MAX:
                self._forget(job_name)
                message = f"{job.losses} workers were lost with this job"
                done.append(
                    Fail(job_name, message, "see what the job does to its host, or the hosts' logs")
                )
            else:
                done += self._again(job_name, job)
        self._let_go(name)
        del self._workers[name]
        return [*done, *self._match()]

    def _cancel(self, name: JobId, *, even_running: bool) -> list[Instruction]:
        job = self._jobs.get(name)
        if job is None or job.is_told:
            return []  # Its end is on its way.
        if self._queue.remove(name) or name in self._unclaimed:
            self._forget(name)
            return [TellCancelled(name)]
        assert job.worker is not None
        if even_running:
            job.is_told = True
            return [Kill(job.worker, name, job.attempt), TellCancelled(name)]
        job.is_unwanted = True
        return [] if job.is_recalled else [self._recall(name, job)]

    def _recall(self, name: JobId, job: Job) -> Instruction:
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
            if worker is None or not worker.is_open or now != -surplus:
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
                self._forget(name)
            else:
                if not job.is_told:
                    done.append(Kill(job.worker, name, job.attempt))
                job.is_told = True
        return [*done, *self._match()]

    def _forget(self, name: JobId) -> None:
        del self._jobs[name]
        self._unclaimed.pop(name, None)
        self._clients.get(name.client, {}).pop(name, None)

    def jobs_of(self, worker: WorkerId) -> list[JobId]:
        """What a worker was given and has not answered yet."""
        return list(self._workers[worker].jobs)

    def check(self) -> None:
        """Assert what must be true between two events."""
        self._queue.check()
        for name, job in self._jobs.items():
            states = (job.worker is not None, name in self._queue, name in self._unclaimed)
            assert sum(states) == 1, "a job is queued, assigned or kept for whom it was assigned to"
            if job.worker is not None:
                assert name in self._workers[job.worker].jobs, "a worker knows its jobs"
            assert name.client in self._clients or job.is_told, "a job has a client or is dying"
        for name_of_worker in self._idle:
            assert self._workers[name_of_worker].is_open, "who is away or drained is not idle"
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
