"""A run on a shared broker and on the developer's own slots at the same time; see sharing.py."""

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, assert_never

from maelstrom.client import sharing
from maelstrom.client.engine import Engine, Submission
from maelstrom.client.sharing import Sharing
from maelstrom.client.split import SplitEngine
from maelstrom.model.amounts import Amounts, suffice
from maelstrom.model.outcome import Cancelled, InfrastructureFault, Outcome


class Shared(Engine, Protocol):
    """An engine that gives single jobs back."""

    def cancel(self, job: int, *, even_running: bool) -> None:
        """Take a job back; its outcome comes as ever."""


class HybridEngine(SplitEngine):
    """Both engines; carries out what the core decides, one event after the other."""

    def __init__(
        self, shared: Shared, make_own: Callable[[], Engine], *, slots: int, has: Amounts = ()
    ) -> None:
        super().__init__(shared, make_own)
        self._there = shared
        self._core = Sharing(slots)
        self._own_worker = (slots, has)
        self._numbers = itertools.count(1)
        self._jobs: dict[int, Submission] = {}
        self._numbers_there: dict[int, int] = {}
        self._lock = threading.Lock()
        self._events: deque[tuple[sharing.Event, Outcome | None]] = deque()
        self._is_busy = False

    def submit(self, job: Submission) -> int:
        """Queue a job, wherever."""
        number = next(self._numbers)
        self._jobs[number] = job
        place = sharing.Place.ANY
        if job.spec.is_local:
            place = sharing.Place.HERE
        elif not suffice(*self._own_worker, job.spec.resources):
            place = sharing.Place.THERE
        self._take(sharing.Wanted(number, job.priority, job.estimate_s, place))
        return number

    def cancel_all(self, *, running: bool) -> None:
        """Take jobs back."""
        self._take(sharing.AllUnwanted(running))

    def _take(self, event: sharing.Event, outcome: Outcome | None = None) -> None:
        """Give the core an event; whoever does so while another is at it leaves it to him."""
        with self._lock:
            self._events.append((event, outcome))
            if self._is_busy:
                return
            self._is_busy = True
        try:
            while (next_one := self._next()) is not None:
                event, outcome = next_one
                for instruction in self._core.handle(event):
                    self._carry_out(instruction, outcome)
        except BaseException:
            self._is_busy = False  # Whoever comes next goes on.
            raise

    def _next(self) -> tuple[sharing.Event, Outcome | None] | None:
        with self._lock:
            if self._events:
                return self._events.popleft()
            self._is_busy = False
            return None

    def _carry_out(self, instruction: sharing.Instruction, outcome: Outcome | None) -> None:
        match instruction:
            case sharing.RunThere(job):
                self._numbers_there[job] = self._there.submit(self._watched(job))
            case sharing.TakeBack(job):
                self._there.cancel(self._numbers_there[job], even_running=False)
            case sharing.RunHere(job):
                own = self._reach_own()
                own.submit(
                    replace(
                        self._jobs[job], on_outcome=lambda told: self._ended_here(job, own, told)
                    )
                )
            case sharing.CancelAll(running):
                super().cancel_all(running=running)
            case sharing.Tell(job):
                assert outcome is not None, "an outcome came with the event"
                self._numbers_there.pop(job, None)
                self._jobs.pop(job).on_outcome(outcome)
            case _:
                assert_never(instruction)

    def _watched(self, job: int) -> Submission:
        wanted = self._jobs[job]

        def status(worker: str) -> None:
            if worker:
                self._take(sharing.Begun(job))
            if wanted.on_status is not None:
                wanted.on_status(worker)

        def ended(outcome: Outcome) -> None:
            self._take(sharing.EndedThere(job, isinstance(outcome, Cancelled)), outcome)

        return replace(wanted, on_status=status, on_outcome=ended)

    def _ended_here(self, job: int, own: Engine, outcome: Outcome) -> None:
        is_hopeless = own.failure is not None and isinstance(outcome, InfrastructureFault)
        self._take(sharing.EndedHere(job, is_hopeless), outcome)


def beside(
    shared: Shared,
    make_own: Callable[[], Engine],
    *,
    slots: int | None,
    has: Amounts,
    is_hybrid: bool,
) -> SplitEngine:
    """Return a shared broker's engine with our own slots beside it: for all, or what must be."""
    if not is_hybrid:
        return SplitEngine(shared, make_own)
    return HybridEngine(shared, make_own, slots=slots or len(os.sched_getaffinity(0)), has=has)
