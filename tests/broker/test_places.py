"""Which worker a job goes to: what may wait there, and what must begin at once."""

import pytest

from maelstrom.broker.books import AHEAD_S_MAX
from maelstrom.broker.events import (
    Assign,
    ClientJoined,
    JobEnded,
    JobQueued,
    JobReturned,
    Recall,
    Tell,
    TimePassed,
    WorkerJoined,
    WorkerLost,
)
from maelstrom.broker.grudges import GRUDGE_S
from maelstrom.broker.scheduler import Scheduler
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId, WorkerId
from tests.support.script import Script, play, play_interrupted

ANN, BOB = ClientId(1), ClientId(2)
W1, W2, W3, W9 = (WorkerId(n) for n in (11, 12, 13, 19))
A1, A2, A3, A4, A5 = (JobId(ANN, n) for n in range(1, 6))
B1, B2, B3 = (JobId(BOB, n) for n in range(1, 4))
TWO = (("slots", 2),)
L1, L2 = (Digest.of(b"L1"), Digest.of(b"L2"))

SCRIPTS: dict[str, Script] = {
    "a job that is known to take long waits for a free slot; others are sent ahead": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1, estimate_s=9.0), [Assign(W1, A1, 1)]),
        (JobQueued(A2, estimate_s=AHEAD_S_MAX), [Assign(W1, A2, 1)]),
        (JobQueued(A3), [Assign(W1, A3, 1)]),
        (JobEnded(W1, A3, 1), [Tell(A3)]),
        (JobQueued(A4, estimate_s=9.0), []),
        # Whoever comes after it waits, too: it may not be overtaken for ever.
        (JobQueued(A5, estimate_s=0.01), []),
        (WorkerJoined(W2, 1), [Assign(W2, A4, 1), Assign(W2, A5, 1)]),
    ],
    "a job that a worker has failed is tried at another one, and may wait there": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (WorkerJoined(W2, 1), []),
        (JobEnded(W1, A1, 1, is_fault=True), [Assign(W2, A1, 2)]),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
        # It is not recalled for the idle worker that has failed it.
        (JobEnded(W2, A1, 2, is_fault=True), [Assign(W1, A1, 3)]),
        (JobEnded(W1, A2, 1), [Tell(A2)]),
    ],
    "what waits at a worker is recalled for another one that may have it": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (WorkerJoined(W2, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2), [Assign(W2, A2, 1)]),
        (JobQueued(A3), [Assign(W1, A3, 1)]),
        (JobEnded(W2, A2, 1, is_fault=True), [Assign(W1, A2, 2), Recall(W1, A3, 1)]),
        # Nor does it go there when it is taken back.
        (JobReturned(W1, A3, 1), [Assign(W2, A3, 2)]),
        (WorkerJoined(W3, 1), [Recall(W1, A2, 2)]),
        (JobReturned(W1, A2, 2), [Assign(W3, A2, 3)]),
    ],
    "a job that waits for another worker keeps no other job waiting": [
        (ClientJoined(ANN), []),
        (ClientJoined(BOB), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (WorkerJoined(W2, 1), []),
        (JobQueued(B1), [Assign(W2, B1, 1)]),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
        (JobQueued(B2), [Assign(W2, B2, 1)]),
        (JobQueued(A3), [Assign(W1, A3, 1)]),
        (JobQueued(B3), [Assign(W2, B3, 1)]),
        *[(JobQueued(job), []) for job in (A4, A5)],
        (JobEnded(W1, A1, 1, is_fault=True), [Assign(W1, A4, 1)]),
        # It has the first room there is elsewhere.
        (JobEnded(W2, B1, 1), [Tell(B1), Assign(W2, A1, 2)]),
        (JobEnded(W2, B2, 1), [Tell(B2), Assign(W2, A5, 1)]),
    ],
    "it goes where it failed if the others go away": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 2), []),
        (JobQueued(A1, resources=TWO), [Assign(W1, A1, 1)]),
        (WorkerJoined(W2, 2), []),
        (JobQueued(A2, resources=TWO), [Assign(W2, A2, 1)]),
        (JobEnded(W1, A1, 1, is_fault=True), []),
        (JobQueued(A3), [Assign(W1, A3, 1)]),
        (WorkerLost(W2), []),
        (JobEnded(W1, A3, 1), [Tell(A3), Assign(W1, A1, 2)]),
    ],
    "or fail all they get": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W2, 2), []),
        (JobQueued(A2, resources=TWO), [Assign(W2, A2, 1)]),
        *[(JobEnded(W2, A2, n, is_fault=True), [Assign(W2, A2, n + 1)]) for n in (1, 2)],
        (WorkerJoined(W1, 2), []),
        (JobQueued(A1, resources=TWO), [Assign(W1, A1, 1)]),
        (JobEnded(W1, A1, 1, is_fault=True), []),
        (JobEnded(W2, A2, 3, is_fault=True), [Assign(W1, A2, 4), Assign(W2, A1, 2)]),
    ],
    "or if that was long ago": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (WorkerJoined(W2, 1), []),
        (JobQueued(A2), [Assign(W2, A2, 1)]),
        (JobEnded(W1, A1, 1, is_fault=True), [Assign(W2, A1, 2)]),
        (TimePassed(GRUDGE_S - 1), []),
        (TimePassed(GRUDGE_S), [Recall(W2, A1, 2)]),
        (JobReturned(W2, A1, 2), [Assign(W1, A1, 3)]),
    ],
    "nothing is recalled for a worker that fails all it gets": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        *[(JobEnded(W1, A1, n, is_fault=True), [Assign(W1, A1, n + 1)]) for n in (1, 2)],
        (WorkerJoined(W2, 1), []),
        (JobEnded(W1, A1, 3, is_fault=True), [Assign(W2, A1, 4)]),
        *[(JobQueued(job), [Assign(W2, job, 1)]) for job in (A2, A3)],
        # It gets a job when nobody else has room for it.
        (JobQueued(A4), [Assign(W1, A4, 1)]),
        (JobQueued(A5), []),
        (JobEnded(W1, A4, 1), [Tell(A4), Assign(W1, A5, 1)]),
        (JobEnded(W1, A5, 1), [Tell(A5), Recall(W2, A3, 1)]),
    ],
    "nor for one that is held for a large job": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 2), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2, resources=TWO), []),
        (WorkerJoined(W2, 1), []),
        *[(JobQueued(job), [Assign(W2, job, 1)]) for job in (A3, A4)],
        (JobEnded(W1, A1, 1), [Tell(A1), Assign(W1, A2, 1)]),
    ],
    "a job that a worker has failed is tried there again where there is no other": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobEnded(W1, A1, 1, is_fault=True), [Assign(W1, A1, 2)]),
    ],
    "a job that takes long is sent ahead to where its layers are yet to come": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1, estimate_s=9.0, layers=(L1,)), [Assign(W1, A1, 1)]),
        (JobQueued(A2, estimate_s=9.0, layers=(L2,)), [Assign(W1, A2, 1)]),
        (JobQueued(A3, estimate_s=9.0, layers=(L1,)), []),
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    play(Scheduler(), SCRIPTS[name])


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_breaks_when_time_passes_or_a_worker_comes_and_goes(name: str) -> None:
    for extra in ([TimePassed(1e6)], [WorkerJoined(W9, 1)], [WorkerJoined(W9, 1), WorkerLost(W9)]):
        play_interrupted(Scheduler, SCRIPTS[name], lambda _, extra=extra: extra)


def test_no_event_gives_out_so_many_jobs_that_all_else_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("maelstrom.broker.scheduler.GIVEN_MAX", 2)
    core = Scheduler()
    core.handle(ClientJoined(ANN))
    for job in (A1, A2, A3, A4, A5):
        core.handle(JobQueued(job))
    assert core.handle(WorkerJoined(W1, 5)) == [Assign(W1, A1, 1), Assign(W1, A2, 1)]
    assert core.handle(TimePassed(1.0)) == [Assign(W1, A3, 1), Assign(W1, A4, 1)]
    assert core.handle(TimePassed(2.0)) == [Assign(W1, A5, 1)]
