"""Decide which worker runs which job.

Rules of this file:
1. Which job: see queue.py. Which worker: see fleet.py.
2. When a worker idles and no job of one slot is queued, one that another worker has not begun is
   recalled for it.
3. A worker's loss is not the job's fault: its jobs go back to the head of the queue. But a job that
   was on LOSSES_SUSPECT lost workers gets the next one for itself, and after LOSSES_MAX it is given
   up, as it is after FAULTS_MAX faults of any kind.
4. Every assignment has its attempt number. What is told of any other attempt is not believed.
5. A client hears of a job's end once. What it left or took back is killed, and keeps its place
   until the worker says that it is gone.
6. A worker that is absent or drained gets nothing. One that comes back keeps what it holds and was
   not given to others meanwhile; what it does not hold never got there, and is queued again.
7. The jobs of an absent client wait; what runs goes on.
8. After a restart of ours, jobs that had been given to workers wait for these to come back.
9. Near the end, a job that takes much longer than it should gets a twin: the same on another
   worker. Who ends first is believed, the other is killed. A twin that fails changes nothing.
10. Once we are about to end nothing is given out.
11. Of the jobs of one client that share an exclusive group, one runs at a time.
"""

from typing import assert_never

from maelstrom.broker.books import PLAIN, UNKNOWN_S, Job, Shape, Worker, shape_of
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
    OwnerLimited,
    Paused,
    Recall,
    RestoreEnded,
    Tell,
    TellCancelled,
    TimePassed,
    WorkerAbsent,
    WorkerBack,
    WorkerDraining,
    WorkerJoined,
    WorkerLost,
)
from maelstrom.broker.fleet import Fleet
from maelstrom.broker.grudges import Grudges
from maelstrom.broker.invariants import check
from maelstrom.broker.order import Planned, explain
from maelstrom.broker.queue import Queue
from maelstrom.broker.trash import Trash
from maelstrom.model.ids import ClientId, JobId, WorkerId

FAULTS_MAX = 5
LOSSES_SUSPECT, LOSSES_MAX = 2, 3
GIVEN_MAX = 2000


class Scheduler:
    """The core; `handle` is the only way in."""

    def __init__(self, *, owner_slots_max: int = 0) -> None:
        self._fleet = Fleet()
        self._workers = self._fleet.workers
        # Those whose end was not told; the others are known to their workers only.
        self._jobs: dict[ClientId, dict[int, Job]] = {}
        self._queue = Queue(owner_slots_max=owner_slots_max)
        self._count = 0
        self._recalls = 0
        self._now_s = 0.0
        self._is_paused = False
        # Exclusive groups of which a job runs.
        self._groups: dict[tuple[ClientId, str], None] = {}
        # Jobs from before our restart that some worker may have.
        self._unclaimed: dict[JobId, Job] = {}
        self._grudges = Grudges()
        self._trash = Trash()

    def handle(self, event: Event) -> list[Instruction]:
        """Take an event in; return what must be done now, in this order."""
        if self._trash.heaps:
            self._trash.throw_some_away()
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
            case ClientJoined(client, owner):
                self._jobs[client] = {}
                self._queue.join(client, owner)
                return []
            case ClientLeft(client):
                return self._leave(client)
            case _:
                return self._handle_rare(event)

    def _handle_rare(
        self,
        event: ClientAbsent
        | ClientBack
        | OwnerLimited
        | WorkerAbsent
        | WorkerBack
        | WorkerDraining
        | RestoreEnded
        | Paused
        | TimePassed,
    ) -> list[Instruction]:
        match event:
            case ClientAbsent(client):
                self._queue.absent(client, is_absent=True)
                return self._match()
            case ClientBack(client):
                self._queue.absent(client, is_absent=False)
                return self._match()
            case OwnerLimited(owner, slots, priority):
                self._queue.limit(owner, slots, priority)
                return self._match()
            case WorkerAbsent(worker):
                self._workers[worker].is_absent = True
                self._fleet.let_go(worker)
                return self._match()
            case WorkerBack(worker, holding):
                return self._return(worker, holding)
            case WorkerDraining(worker, is_draining):
                return self._drain(worker, is_draining=is_draining)
            case RestoreEnded():
                unclaimed, self._unclaimed = self._unclaimed, {}
                for waiting in unclaimed.values():
                    self._queue.push(waiting)
                return [*self._refuse_impossible(), *self._match()]
            case Paused():
                self._is_paused = True
                return []
            case TimePassed(now_s):
                self._now_s = now_s
                self._grudges.forgive(now_s, self._queue)
                return [*self._match(), *self._make_twins()]
            case _:
                assert_never(event)

    def _enqueue(self, event: JobQueued) -> list[Instruction]:
        jobs = self._jobs[event.job.client]
        assert event.job.number not in jobs, "a job is queued once"
        shape = shape_of(event.resources)
        self._count += 1
        estimate_s = event.estimate_s or UNKNOWN_S
        job = Job(event.job, shape, event.priority, estimate_s, self._count, event.layers)
        jobs[event.job.number] = job
        if event.attempt:
            job.attempts = event.attempt
            self._unclaimed[event.job] = job
            return []
        self._queue.push(job)
        if shape is PLAIN and self._fleet.is_full:
            return []
        if shape is not PLAIN and self._workers and not self._fleet.is_possible(shape):
            return self._refuse_impossible()
        return self._match()

    def _refuse_impossible(self) -> list[Instruction]:
        """Fail the jobs that none of the workers could ever run."""
        if not self._workers:
            return []
        doomed = {s for s in self._queue.shapes() if not self._fleet.is_possible(s)}
        done: list[Instruction] = []
        for job in self._queue.take(doomed) if doomed else ():
            self._forget(job)
            done.append(
                Fail(
                    job.name,
                    f"no worker accepts a job that needs {job.shape}",
                    self._fleet.largest(job.shape),
                    is_clients_fault=True,
                )
            )
        return done

    def _join(self, event: WorkerJoined) -> list[Instruction]:
        assert event.worker not in self._workers, "a worker joins once"
        self._fleet.add(
            event.worker, Worker(event.slots, dict(event.resources), is_draining=event.is_draining)
        )
        claimed = self._claim_all(event.worker, event.holding)
        self._fleet.touch(event.worker)
        return [*claimed, *self._refuse_impossible(), *self._match()]

    def _return(self, name: WorkerId, holding: Holding) -> list[Instruction]:
        """Take up with a worker where the connection broke."""
        worker = self._workers[name]
        worker.is_absent = False
        held: dict[JobId, int] = dict(holding)
        done: list[Instruction] = []
        for job in list(worker.jobs.values()):
            if held.get(job.name) != job.attempt:
                # It never got there, or its way back was cut.
                self._release(job)
                done += self._again(job)
            elif job.is_told:
                done.append(Kill(name, job.name, job.attempt))
            elif job.is_recalled:
                done.append(Recall(name, job.name, job.attempt))
        done += self._claim_all(name, holding)
        self._fleet.touch(name)
        return [*done, *self._match()]

    def _claim_all(self, name: WorkerId, holding: Holding) -> list[Instruction]:
        """Give a worker again what it holds, and end what is not its own any more."""
        worker = self._workers[name]
        done: list[Instruction] = []
        for job_name, attempt in holding:
            if (job_name, attempt) in worker.jobs:
                continue
            job = self._get(job_name)
            if job is None or not worker.may_claim(job, attempt):
                done.append(Kill(name, job_name, attempt))
                continue
            self._queue.remove(job)
            self._unclaimed.pop(job_name, None)
            self._place(name, job, attempt)
        return done

    def _get(self, name: JobId) -> Job | None:
        jobs = self._jobs.get(name.client)
        return None if jobs is None else jobs.get(name.number)

    def _drain(self, name: WorkerId, *, is_draining: bool) -> list[Instruction]:
        worker = self._workers[name]
        worker.is_draining = is_draining
        if not is_draining:
            self._fleet.touch(name)
            return self._match()
        self._fleet.let_go(name)
        recalls = [self._recall(job) for job in worker.jobs.values() if not job.is_recalled]
        return [*recalls, *self._match()]

    def _match(self) -> list[Instruction]:
        """Give jobs to workers while both are there."""
        if self._is_paused:
            return []
        done: list[Instruction] = []
        passed = []
        blocked: dict[Shape, None] = {}
        self._fleet.release_unless(self._queue.shapes())
        # The rest is given out with the next event: none is to keep the others waiting for long.
        while len(done) < GIVEN_MAX and (client := self._next_client()) is not None:
            found = self._choose(client, blocked)
            if found is not None:
                name, job = found
                self._queue.remove(job)
                self._place(name, job, job.attempts + 1)
                done.append(Assign(name, job.name, job.attempt))
                if self._fleet.took(name, job.shape):
                    # It was held back from others, who may have it now.
                    blocked.clear()
            elif all(shape in blocked for shape in self._queue.shapes()):
                break
            else:
                passed.append(self._queue.pass_turn())
        if passed:
            self._queue.restore(passed)
        if self._fleet.idle and not self._queue.is_waiting(PLAIN):
            done += self._steal()
        return done

    def _next_client(self) -> ClientId | None:
        """Return whose turn it is, unless it is plain that nobody can get anything."""
        if self._fleet.is_full and self._queue.is_plain:
            return None
        return self._queue.next_client()

    def _choose(self, client: ClientId, blocked: dict[Shape, None]) -> tuple[WorkerId, Job] | None:
        for _, _, _, job in self._queue.heads(client):
            shape = job.shape
            if shape in blocked:
                continue
            if shape.groups and any((client, group) in self._groups for group in shape.groups):
                continue
            worker = self._fleet.place_for(job)
            if worker is not None:
                return worker, job
            blocked[shape] = None
        return None

    def _place(self, name: WorkerId, job: Job, attempt: int) -> None:
        """Put a job on a worker."""
        client, worker = job.name.client, self._workers[name]
        while (job.name, attempt) in worker.jobs:
            attempt += 1  # An earlier job of this name is dying there.
        self._queue.hold(client, job.shape.slots)
        job.worker = name
        job.attempt = (job.first or job).attempts = attempt
        job.since_s = self._now_s
        worker.take(job)
        for group in job.shape.groups:
            self._groups[client, group] = None

    def _release(self, job: Job) -> None:
        """Take a job off its worker, which has room for another one now."""
        assert job.worker is not None
        name = job.worker
        self._take_off(job)
        self._fleet.touch(name)

    def _take_off(self, job: Job) -> None:
        assert job.worker is not None
        client, worker = job.name.client, self._workers[job.worker]
        worker.give_back(job)
        if job.is_recalled:
            worker.recalled -= 1
            self._recalls -= 1
            job.is_recalled = False
        for group in job.shape.groups:
            self._groups.pop((client, group), None)
        job.worker = None
        self._queue.hold(client, -job.shape.slots)

    def _find(self, worker: WorkerId, name: JobId, attempt: int) -> Job | None:
        known = self._workers.get(worker)
        return None if known is None else known.jobs.get((name, attempt))

    def _end(self, event: JobEnded) -> list[Instruction]:
        job = self._find(event.worker, event.job, event.attempt)
        if job is None:
            return []  # An answer of an earlier attempt, or to nobody.
        worker = self._workers[event.worker]
        if not event.is_fault and self._queue.is_plain and self._fleet.is_only_place(worker, job):
            # As nearly always when there is much to do. It needs no search.
            self._take_off(job)
            told = [] if job.is_told else self._finish(job.first or job, Tell(job.name))
            return [*told, *self._succeed(event.worker)]
        worker.faults_in_a_row = worker.faults_in_a_row + 1 if event.is_fault else 0
        self._release(job)
        if job.is_told:
            return self._match()
        if event.is_fault and (job.first or job.faults < FAULTS_MAX):
            self._grudges.bear(job, event.worker, self._now_s)
            return [*self._again(job), *self._match()]
        return [*self._finish(job.first or job, Tell(job.name)), *self._match()]

    def _succeed(self, name: WorkerId) -> list[Instruction]:
        """Give the only place there is to whose turn it is."""
        client = None if self._is_paused else self._queue.next_client()
        job = None if client is None else self._queue.heads(client)[0][3]
        if job is None or not self._workers[name].has_turn_for(job):
            self._fleet.touch(name)
            return self._match()
        self._queue.remove(job)
        self._place(name, job, job.attempts + 1)
        return [Assign(name, job.name, job.attempt)]

    def _finish(self, job: Job, told: Instruction) -> list[Instruction]:
        """Tell a job's end; end what is still under way of it."""
        done: list[Instruction] = [told]
        self._forget(job)
        if job.twin is None and job.worker is None and not job.ticket:
            return done
        for each in (job, job.twin):
            if each is not None and not self._queue.remove(each) and each.worker is not None:
                each.is_told = True
                done.append(Kill(each.worker, each.name, each.attempt))
        return done

    def _again(self, job: Job) -> list[Instruction]:
        """Put a job that was on a worker back to the head of the queue, if it is still wanted."""
        if job.is_told:
            return []
        if job.first is not None:
            job.first.twin = None
            return []
        if job.is_unwanted:
            return self._finish(job, TellCancelled(job.name))
        if job.losses >= LOSSES_SUSPECT:
            job.shape = job.shape._replace(is_alone=True)
        self._queue.push(job)
        return []

    def _take_back(self, worker: WorkerId, name: JobId, attempt: int) -> list[Instruction]:
        job = self._find(worker, name, attempt)
        if job is None:
            return []
        self._release(job)
        return [*self._again(job), *self._match()]

    def _lose(self, name: WorkerId) -> list[Instruction]:
        lost = self._workers[name]
        done: list[Instruction] = []
        for place, job in enumerate(list(lost.jobs.values())):
            self._release(job)
            # Those behind had not begun, and did nobody any harm.
            has_begun = place < lost.slots
            job.faults += has_begun
            job.losses += has_begun
            is_hopeless = job.faults > FAULTS_MAX or job.losses > LOSSES_MAX
            if is_hopeless and not (job.is_told or job.first):
                message = f"{job.losses} workers were lost with this job"
                hint = "see what the job does to its host, or the hosts' logs"
                done += self._finish(job, Fail(job.name, message, hint))
            else:
                done += self._again(job)
        self._fleet.remove(name)
        return [*done, *self._match()]

    def _make_twins(self) -> list[Instruction]:
        """Give each idle slot, at the most, a job that takes too long elsewhere."""
        if not self._fleet.idle or self._queue.shapes() or self._is_paused:
            return []
        done: list[Instruction] = []
        for job in self._fleet.late_jobs(self._now_s):
            worker_name = self._fleet.find(job.shape, job.layers)
            if worker_name not in self._fleet.idle or worker_name in (None, job.worker):
                break
            job.twin = Job(
                job.name, job.shape, job.priority, job.estimate_s, job.number, job.layers, first=job
            )
            self._place(worker_name, job.twin, job.attempts + 1)
            self._fleet.took(worker_name, job.shape)
            done.append(Assign(worker_name, job.name, job.twin.attempt))
        return done

    def _cancel(self, name: JobId, *, even_running: bool) -> list[Instruction]:
        job = self._get(name)
        if job is None:
            return []  # Its end is on its way.
        if even_running or job.worker is None:
            return self._finish(job, TellCancelled(name))
        job.is_unwanted = True
        return [] if job.is_recalled else [self._recall(job)]

    def _recall(self, job: Job) -> Instruction:
        assert job.worker is not None
        job.is_recalled = True
        self._recalls += 1
        self._workers[job.worker].recalled += 1
        return Recall(job.worker, job.name, job.attempt)

    def _steal(self) -> list[Instruction]:
        """Recall, for each idle slot at the most, a job that another worker has not begun."""
        done: list[Instruction] = []
        while self._recalls < len(self._fleet.idle):
            job = self._fleet.next_to_recall()
            if job is None:
                break
            done.append(self._recall(job))
        return done

    def _leave(self, client: ClientId) -> list[Instruction]:
        self._trash.heaps += [*self._queue.leave(client), self._jobs.pop(client)]
        done: list[Instruction] = []
        # Not by its jobs, of which there may be a million.
        for name, worker in self._workers.items():
            for job in worker.jobs.values():
                if job.name.client == client and not job.is_told:
                    job.is_told = True
                    done.append(Kill(name, job.name, job.attempt))
        for unclaimed in [name for name in self._unclaimed if name.client == client]:
            del self._unclaimed[unclaimed]
        return [*done, *self._match()]

    def _forget(self, job: Job) -> None:
        del self._jobs[job.name.client][job.name.number]
        self._unclaimed.pop(job.name, None)

    def worker(self, worker: WorkerId) -> Worker:
        """What is written down of a worker; to be looked at."""
        return self._workers[worker]

    def held(self, client: ClientId) -> int:
        """How many slots the jobs of a client's owner hold."""
        return self._queue.held(client)

    def order(self, count: int) -> list[Planned]:
        """The first jobs that would be given out, and why in this order."""
        return list(explain(self._queue, count, lambda job: self._fleet.lacks(job, self._groups)))

    def jobs_of(self, worker: WorkerId) -> list[JobId]:
        """What a worker was given and has not answered yet."""
        return [name for name, _ in self._workers[worker].jobs]

    def check(self) -> None:
        """Assert what must be true between two events."""
        self._queue.check()
        self._fleet.check()
        check(self._jobs, self._workers, self._unclaimed, self._groups, self._recalls)
