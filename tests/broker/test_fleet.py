"""Which worker is the best for a job, how much it gets ahead, and when a job runs twice."""

import pytest

from maelstrom.broker.events import (
    Assign,
    ClientJoined,
    JobEnded,
    JobQueued,
    Recall,
    Tell,
    TimePassed,
    WorkerDraining,
    WorkerJoined,
)
from maelstrom.broker.scheduler import Scheduler
from maelstrom.model.ids import ClientId, JobId, WorkerId
from tests.support.script import Script, play

ANN = ClientId(1)
W1, W2, W3 = WorkerId(11), WorkerId(12), WorkerId(13)
A1, A2, A3, A4 = (JobId(ANN, n) for n in range(1, 5))

SCRIPTS: dict[str, Script] = {
    "of equal workers the one with the lower id is taken": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W3, 2), []),
        (WorkerJoined(W1, 2), []),
        (WorkerJoined(W2, 2), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2), [Assign(W2, A2, 1)]),
        (JobQueued(A3), [Assign(W3, A3, 1)]),
        (JobQueued(A4), [Assign(W1, A4, 1)]),
    ],
    "a job of unknown duration gets no twin": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (WorkerJoined(W2, 1), []),
        (TimePassed(3600.0), []),
    ],
    "nor does any while others are queued, or no slot idles": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1, (("gpu", 1),)), []),
        (JobQueued(A1, estimate_s=1.0, resources=(("gpu", 1),)), [Assign(W1, A1, 1)]),
        (TimePassed(60.0), []),
        (JobQueued(A2, resources=(("gpu", 1),)), []),
        (WorkerJoined(W2, 1), []),
        (TimePassed(120.0), []),
    ],
    "nor one of a group, which must not run twice": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1, estimate_s=1.0, resources=(("exclusive:db", 1),)), [Assign(W1, A1, 1)]),
        (WorkerJoined(W2, 1), []),
        (TimePassed(60.0), []),
    ],
    "the latest of those that are late gets its twin first": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 2), []),
        (JobQueued(A1, estimate_s=9.0), [Assign(W1, A1, 1)]),
        (JobQueued(A2, estimate_s=4.0), [Assign(W1, A2, 1)]),
        (WorkerJoined(W2, 1), []),
        (TimePassed(60.0), [Assign(W2, A2, 2)]),
    ],
    "no more is recalled than there are idle slots": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        *[(JobQueued(job), [Assign(W1, job, 1)]) for job in (A1, A2, A3)],
        (WorkerJoined(W2, 1), [Recall(W1, A3, 1)]),
        (TimePassed(1.0), []),
        (JobEnded(W1, A1, 1), [Tell(A1)]),
    ],
    "nothing is taken from a worker for one that is drained": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (WorkerJoined(W2, 1, is_draining=True), []),
        *[(JobQueued(job), [Assign(W1, job, 1)]) for job in (A1, A2, A3)],
        (WorkerDraining(W2, is_draining=False), [Recall(W1, A3, 1)]),
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    play(Scheduler(), SCRIPTS[name])


@pytest.mark.parametrize(("slots", "given"), [(1, 3), (2, 4), (5, 10), (8, 16), (40, 48)])
def test_a_worker_gets_as_many_ahead_as_it_has_slots_but_two_at_least_and_eight_at_most(
    slots: int, given: int
) -> None:
    core = Scheduler()
    core.handle(ClientJoined(ANN))
    for number in range(1, 100):
        core.handle(JobQueued(JobId(ANN, number)))
    assert len(core.handle(WorkerJoined(W1, slots))) == given


def test_a_job_of_several_slots_is_not_sent_ahead() -> None:
    core = Scheduler()
    core.handle(ClientJoined(ANN))
    for job in (A1, A2, A3):
        core.handle(JobQueued(job, resources=(("slots", 2),)))
    assert len(core.handle(WorkerJoined(W1, 4))) == 2
