"""Know the workers and what room they have: which one is the best for a job, which has too many.

Rules of this file:
1. The best is the least loaded with room, but among those with a free slot one that ran in the same
   layers before; ties go to the lower id, so that equal histories give equal decisions.
2. A worker gets a few jobs more than it has slots, so that none waits for us between two jobs.
3. A large job that fits nowhere yet has one worker held for it, which gets no more until it fits.
   None is held for one that waits for tokens.
4. A worker that is absent or drained is given nothing.
5. A job goes back to the worker that has failed it only if there is no other that is good for it.
   Until another one has room it waits, and none of the others with it; one is held for it.
6. Nothing is recalled for a worker that would not get it: one that is held or in doubt, or has
   failed that very job.
7. There is one heap of workers for each shape of job. An entry that does not tell a worker's load
   any more is skipped, and heaps that are mostly such entries are made anew, so that nothing
   grows with time and nothing is searched worker by worker.
"""

import heapq
from collections.abc import Container, Iterable
from itertools import islice

from maelstrom.broker.books import PLAIN, Job, Shape, Worker
from maelstrom.broker.queue import STALE_MIN
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, WorkerId

SHAPES_MAX = 64
WARM_TRIES_MAX = 8
RECALL_TRIES_MAX = 8


class Fleet:
    """All workers."""

    def __init__(self) -> None:
        self.workers: dict[WorkerId, Worker] = {}
        self.idle: dict[WorkerId, None] = {}
        """Those with free slots for whatever comes."""
        self._roomy: dict[Shape, list[tuple[float, WorkerId]]] = {}
        # Those with jobs to be recalled, most first, but for those whose load changed since.
        self._crowded: list[tuple[int, WorkerId]] = []
        self._changed: dict[WorkerId, None] = {}
        self._held: dict[Shape, WorkerId] = {}
        # Shapes for which nobody can be held, as long as nobody comes or gets free.
        self._hopeless: dict[Shape, None] = {}
        self._possible: dict[Shape, bool] = {}

    def add(self, name: WorkerId, worker: Worker) -> None:
        """A worker is here."""
        self.workers[name] = worker
        self._possible.clear()

    def remove(self, name: WorkerId) -> Worker:
        """A worker is gone."""
        self.let_go(name)
        self._possible.clear()
        self._changed.pop(name, None)
        return self.workers.pop(name)

    def let_go(self, name: WorkerId) -> None:
        """Count on a worker no more, for now."""
        self.idle.pop(name, None)
        self._unhold(self.workers[name])

    def _unhold(self, worker: Worker) -> None:
        if worker.held_for is not None:
            del self._held[worker.held_for]
            worker.held_for = None
            self._hopeless.clear()

    def touch(self, name: WorkerId) -> None:
        """Note that a worker's load changed."""
        worker = self.workers[name]
        if worker.is_absent or worker.is_draining:
            return
        if self._hopeless:
            self._hopeless.clear()
        load = worker.load
        for shape, heap in self._roomy.items():
            if worker.fits(shape):
                heapq.heappush(heap, (load, name))
                if len(heap) > 4 * len(self.workers) + STALE_MIN:
                    self._fill(shape)
        self._changed[name] = None
        if worker.used < worker.slots and worker.is_eager:
            self.idle[name] = None
        elif name in self.idle:
            del self.idle[name]

    def _fill(self, shape: Shape) -> list[tuple[float, WorkerId]]:
        heap = [
            (worker.load, name)
            for name, worker in self.workers.items()
            if worker.is_open and worker.fits(shape)
        ]
        heapq.heapify(heap)
        self._roomy[shape] = heap
        return heap

    def is_possible(self, shape: Shape) -> bool:
        """Whether any worker could ever run a job of this shape."""
        known = self._possible.get(shape)
        if known is None:
            if len(self._possible) >= SHAPES_MAX:
                self._possible.clear()
            known = any(worker.could_fit(shape) for worker in self.workers.values())
            self._possible[shape] = known
        return known

    def largest(self, shape: Shape) -> str:
        """Say for a person how much there is of what a job needs that nobody could run."""
        workers = self.workers.values()
        if any(worker.has_labels(shape) for worker in workers):
            return f"the largest worker has {max(worker.slots for worker in workers)} slots"
        known = sorted({label for worker in workers for label in worker.labels})
        return f"the labels of workers are {', '.join(known)}" if known else "no worker has a label"

    @property
    def is_full(self) -> bool:
        """Whether nobody has room for a job of one slot."""
        return not self._roomy.get(PLAIN, True)

    def is_only_place(self, worker: Worker, job: Job) -> bool:
        """Whether nobody will have room but for one job of one slot, where this one ends."""
        return (
            self.is_full
            and not self._held
            and worker.used == worker.slots + worker.prefetch
            and worker.is_open
            and not worker.faults_in_a_row
            and job.shape is PLAIN
            and not job.is_recalled
        )

    # Whom to give a job

    def place_for(self, job: Job) -> WorkerId | None:
        """Return the best worker for a job, unless it had better wait; or have one held for it."""
        if job.shape.avoids is not None:
            return self._elsewhere(job)
        name = self.find(job.shape, job.layers)
        is_early = name is not None and not self.workers[name].has_turn_for(job)
        return None if is_early and job.shape is PLAIN else name

    def _elsewhere(self, job: Job) -> WorkerId | None:
        """Return another worker than the one that has failed a job, if there is any other."""
        shape, bare = job.shape, job.shape.anywhere()
        if shape in self._held:
            name = self._held[shape]
            return name if self.workers[name].fits(bare) else None
        heap = self._heap(bare)
        passed = []
        while (found := self._first(heap, bare)) == shape.avoids and found is not None:
            passed.append(heapq.heappop(heap))
        for entry in passed:
            heapq.heappush(heap, entry)
        if found is not None and not self.workers[found].is_doubtful:
            return found
        if any(
            worker.is_open and not worker.is_doubtful and worker.could_fit(bare)
            for name, worker in self.workers.items()
            if name != shape.avoids
        ):
            self._hold(shape)
            return None
        return self.find(bare, job.layers)

    def find(self, shape: Shape, layers: tuple[Digest, ...]) -> WorkerId | None:
        """Return the best worker for a job, or have one held for it."""
        heap = self._heap(shape)
        best = self._first(heap, shape)
        if best is None:
            self._hold(shape)
        elif layers and len(heap) > 1 and not self.workers[best].is_warm(layers):
            return self._find_warm(heap, shape, layers)
        return best

    def _heap(self, shape: Shape) -> list[tuple[float, WorkerId]]:
        heap = self._roomy.get(shape)
        if heap is None:
            if len(self._roomy) >= SHAPES_MAX:
                del self._roomy[next(iter(self._roomy))]
            heap = self._fill(shape)
        return heap

    def _first(self, heap: list[tuple[float, WorkerId]], shape: Shape) -> WorkerId | None:
        while heap:
            load, name = heap[0]
            worker = self.workers.get(name)
            if (
                worker is not None
                and worker.load == load
                and worker.is_open
                and worker.held_for in (None, shape)
                and worker.fits(shape)
            ):
                return name
            heapq.heappop(heap)  # Whoever gets room again is entered again.
        return None

    def _find_warm(
        self, heap: list[tuple[float, WorkerId]], shape: Shape, layers: tuple[Digest, ...]
    ) -> WorkerId:
        passed: list[tuple[float, WorkerId]] = []
        found = None
        while len(passed) < WARM_TRIES_MAX and (name := self._first(heap, shape)) is not None:
            worker = self.workers[name]
            if passed and worker.used + shape.slots > worker.slots:
                break  # It would have to wait there.
            passed.append(heapq.heappop(heap))
            if worker.is_warm(layers):
                found = name
                break
        for entry in passed:
            heapq.heappush(heap, entry)
        return passed[0][1] if found is None else found

    def _hold(self, shape: Shape) -> None:
        if shape is PLAIN or shape in self._held or shape in self._hopeless:
            return
        candidates = [
            (worker.load, name)
            for name, worker in self.workers.items()
            if worker.is_open and worker.held_for is None and worker.could_hold(shape)
            if shape.avoids is None or not (worker.is_doubtful or name == shape.avoids)
        ]
        if candidates:
            _, name = min(candidates)
            self._held[shape] = name
            self.workers[name].held_for = shape
            self.idle.pop(name, None)
        else:
            self._hopeless[shape] = None

    def took(self, name: WorkerId, shape: Shape) -> bool:
        """Note that a worker got a job; return whether it was held, and is so no more."""
        worker = self.workers[name]
        was_held = worker.held_for is not None
        if was_held:
            self._unhold(worker)
        heap = self._roomy[shape]
        if heap and heap[0][1] == name:
            heapq.heappop(heap)  # It told the load of before.
        self.touch(name)
        return was_held

    def release_unless(self, wanted: Iterable[Shape]) -> None:
        """Hold nobody for shapes that are not queued any more."""
        if self._held:
            kept = dict.fromkeys(wanted)
            for shape in [shape for shape in self._held if shape not in kept]:
                name = self._held[shape]
                self._unhold(self.workers[name])
                self.touch(name)

    def lacks(self, job: Job, groups: Container[tuple[ClientId, str]]) -> str:
        """Say for a person what a job waits for; empty if it would be given out now."""
        shape = job.shape.anywhere()
        for group in shape.groups:
            if (job.name.client, group) in groups:
                return f"another job of `{group}` runs"
        all_here = {name: worker for name, worker in self.workers.items() if worker.is_open}
        if not all_here:
            return "no worker is here"
        others = [worker for name, worker in all_here.items() if name != job.shape.avoids]
        here = others or list(all_here.values())
        if any(w.fits(shape) and w.held_for in (None, job.shape) for w in here):
            return ""
        if not any(worker.could_fit(shape) for worker in here):
            return f"no worker that is here has {shape}"
        if job.shape in self._held:
            return "a worker is held for it, and not free yet"
        elsewhere = "" if job.shape.avoids is None else ", not where it failed last"
        return f"{shape} to be free{elsewhere}"

    # Whom to take a job from

    def _most_crowded(self) -> WorkerId | None:
        """Return who has the most jobs that it cannot begin yet."""
        for name in self._changed:
            surplus = self.workers[name].surplus
            if surplus > 0:
                heapq.heappush(self._crowded, (-surplus, name))
        self._changed.clear()
        if len(self._crowded) > 4 * len(self.workers) + STALE_MIN:
            self._crowded = [
                (-each.surplus, who) for who, each in self.workers.items() if each.surplus > 0
            ]
            heapq.heapify(self._crowded)
        while self._crowded:
            surplus, name = self._crowded[0]
            worker = self.workers.get(name)
            if worker is not None and worker.is_open and worker.surplus == -surplus:
                return name
            heapq.heappop(self._crowded)
        return None

    def next_to_recall(self) -> Job | None:
        """Return the last job that the most crowded worker has not begun and an idle one may have.

        Whoever calls this recalls it.
        """
        found = None
        passed: list[tuple[int, WorkerId]] = []
        while len(passed) < RECALL_TRIES_MAX and (name := self._most_crowded()) is not None:
            found = self._last_waiting(self.workers[name])
            if found is not None:
                self._changed[name] = None
                break
            passed.append(heapq.heappop(self._crowded))
        for entry in passed:
            heapq.heappush(self._crowded, entry)
        return found

    def _last_waiting(self, worker: Worker) -> Job | None:
        """Return the last of a worker's jobs that waits there, and that somebody idle may have."""
        only = next(iter(self.idle)) if len(self.idle) == 1 else None
        # The last that came is the last to begin.
        for job in islice(reversed(worker.jobs.values()), len(worker.jobs) - worker.slots):
            if not job.is_recalled and (only is None or job.fault_at != only):
                return job
        return None

    def late_jobs(self, now_s: float) -> list[Job]:
        """Return what takes longer than it should, first that which should have ended first."""
        late = [
            (job.since_s + job.estimate_s, job.number, job)
            for worker in self.workers.values()
            for job in worker.jobs.values()
            if job.is_late(now_s)
        ]
        return [job for _, _, job in sorted(late)]

    def check(self) -> None:
        """Assert what must be true between two events."""
        for name in self.idle:
            assert self.workers[name].is_open, "who is away or drained is not idle"
            assert self.workers[name].is_eager, "who is held or in doubt is not idle"
        for shape, name in self._held.items():
            assert self.workers[name].held_for == shape, "who is held knows for whom"
        for name, worker in self.workers.items():
            assert worker.used <= worker.slots + worker.prefetch, "no worker has too many jobs"
            assert all(free >= 0 for free in worker.free.values()), "no token is given twice"
            assert not worker.is_taken or len(worker.jobs) == 1, "who is alone is alone"
            for shape, heap in self._roomy.items():
                if worker.is_open and worker.held_for is None and worker.fits(shape):
                    assert (worker.load, name) in heap, "who has room can be found"
