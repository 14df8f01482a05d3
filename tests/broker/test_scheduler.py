"""Which worker runs which job."""

import sys

import pytest

from maelstrom.broker.events import (
    Assign,
    ClientAbsent,
    ClientBack,
    ClientJoined,
    ClientLeft,
    Fail,
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
from maelstrom.broker.scheduler import FAULTS_MAX, LOSSES_MAX, Scheduler
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId, WorkerId
from tests.support.script import Core, Script, play, play_interrupted

ANN, BOB = ClientId(1), ClientId(2)
W1, W2, W3 = WorkerId(11), WorkerId(12), WorkerId(13)
A1, A2, A3, A4, A5 = (JobId(ANN, n) for n in range(1, 6))
L1, L2 = (Digest.of(b"L1"), Digest.of(b"L2"))
B1, B2 = (JobId(BOB, n) for n in range(1, 3))

# A worker of one slot takes three jobs: one to run and two ahead.
SCRIPTS: dict[str, Script] = {
    "a job waits for a worker": [
        (ClientJoined(ANN), []),
        (JobQueued(A1), []),
        (WorkerJoined(W1, 1), [Assign(W1, A1, 1)]),
        (JobEnded(W1, A1, 1), [Tell(A1)]),
    ],
    "jobs go to the least loaded worker": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 2), []),
        (WorkerJoined(W2, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2), [Assign(W2, A2, 1)]),
        (JobQueued(A3), [Assign(W1, A3, 1)]),
        (JobEnded(W2, A2, 1), [Tell(A2)]),
        (JobQueued(A4), [Assign(W2, A4, 1)]),
    ],
    "priority comes first, then the longest, then who came first": [
        (ClientJoined(ANN), []),
        (JobQueued(A1, estimate_s=1.0), []),
        (JobQueued(A2, estimate_s=5.0), []),
        (JobQueued(A3, estimate_s=5.0), []),
        (JobQueued(A4, priority=1, estimate_s=0.1), []),
        (JobQueued(A5), []),
        (WorkerJoined(W1, 1), [Assign(W1, A4, 1), Assign(W1, A5, 1)]),
        (JobEnded(W1, A4, 1), [Tell(A4)]),
        (JobEnded(W1, A5, 1), [Tell(A5), Assign(W1, A2, 1)]),
        (JobEnded(W1, A2, 1), [Tell(A2), Assign(W1, A3, 1)]),
        (JobEnded(W1, A3, 1), [Tell(A3), Assign(W1, A1, 1)]),
    ],
    "a lost worker's jobs go to the head of the queue": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
        (JobQueued(A3), [Assign(W1, A3, 1)]),
        (JobQueued(A4, priority=9), []),
        (WorkerLost(W1), []),
        (WorkerJoined(W2, 1), [Assign(W2, A1, 2), Assign(W2, A2, 2), Assign(W2, A3, 2)]),
    ],
    "an answer of an earlier attempt is not believed": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobEnded(W1, A1, 1, is_fault=True), [Assign(W1, A1, 2)]),
        (JobEnded(W1, A1, 1), []),
        (JobReturned(W1, A1, 1), []),
        (JobEnded(W2, A1, 2), []),
        (JobEnded(W1, A1, 2), [Tell(A1)]),
        (JobEnded(W1, A1, 2), []),
    ],
    "our fault is mended a bounded number of times, then told": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        *[
            (JobEnded(W1, A1, n, is_fault=True), [Assign(W1, A1, n + 1)])
            for n in range(1, FAULTS_MAX + 1)
        ],
        (JobEnded(W1, A1, FAULTS_MAX + 1, is_fault=True), [Tell(A1)]),
    ],
    "an idle worker gets what another one has not begun": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
        (JobQueued(A3), [Assign(W1, A3, 1)]),
        (WorkerJoined(W2, 1), [Recall(W1, A3, 1)]),
        (JobReturned(W1, A3, 1), [Assign(W2, A3, 2)]),
        (JobEnded(W2, A3, 2), [Tell(A3), Recall(W1, A2, 1)]),
        # It had begun after all.
        (JobEnded(W1, A1, 1), [Tell(A1)]),
        (JobEnded(W1, A2, 1), [Tell(A2)]),
    ],
    "a client that leaves takes its jobs along": [
        (ClientJoined(ANN), []),
        (ClientJoined(BOB), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
        (JobQueued(A3), [Assign(W1, A3, 1)]),
        (JobQueued(A4), []),
        (JobQueued(B1), []),
        (ClientLeft(ANN), [Kill(W1, A1, 1), Kill(W1, A2, 1), Kill(W1, A3, 1)]),
        (JobEnded(W1, A1, 1), [Assign(W1, B1, 1)]),
        (JobEnded(W1, A2, 1), []),
        (WorkerLost(W1), []),
        (WorkerJoined(W2, 1), [Assign(W2, B1, 2)]),
    ],
    "a job is taken back from the queue, from ahead, or from its slot": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
        (JobQueued(A3), [Assign(W1, A3, 1)]),
        (JobQueued(A4), []),
        (JobCancelled(A4), [TellCancelled(A4)]),
        (JobCancelled(A3, even_running=False), [Recall(W1, A3, 1)]),
        (JobCancelled(A3, even_running=False), []),
        (JobReturned(W1, A3, 1), [TellCancelled(A3)]),
        (JobCancelled(A2, even_running=False), [Recall(W1, A2, 1)]),
        (JobEnded(W1, A2, 1), [Tell(A2)]),
        (JobCancelled(A1), [TellCancelled(A1), Kill(W1, A1, 1)]),
        (JobCancelled(A1), []),
        (JobEnded(W1, A1, 1), []),
    ],
    "a large job gets a worker held for it": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 2), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2, resources=(("slots", 2),)), []),
        (JobQueued(A3), []),
        (JobEnded(W1, A1, 1), [Tell(A1), Assign(W1, A2, 1), Assign(W1, A3, 1)]),
    ],
    "tokens are not given twice": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 4, (("gpu", 1),)), []),
        (JobQueued(A1, resources=(("gpu", 1),)), [Assign(W1, A1, 1)]),
        (JobQueued(A2, resources=(("gpu", 1),)), []),
        (JobEnded(W1, A1, 1), [Tell(A1), Assign(W1, A2, 1)]),
    ],
    "what no worker can run is refused": [
        (ClientJoined(ANN), []),
        (JobQueued(A1, resources=(("slots", 64),)), []),
        (
            WorkerJoined(W1, 16),
            [
                Fail(
                    A1,
                    "no worker accepts a job that needs 64 slots",
                    "the largest worker has 16 slots",
                    is_clients_fault=True,
                )
            ],
        ),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
    ],
    "a job that was on two lost workers gets the third for itself": [
        (ClientJoined(ANN), []),
        (JobQueued(A1), []),
        (WorkerJoined(W1, 1), [Assign(W1, A1, 1)]),
        (WorkerLost(W1), []),
        (WorkerJoined(W2, 1), [Assign(W2, A1, 2)]),
        (WorkerLost(W2), []),
        (JobQueued(A2), []),
        (WorkerJoined(W3, 4), [Assign(W3, A1, 3)]),
        (JobEnded(W3, A1, 3), [Tell(A1), Assign(W3, A2, 1)]),
    ],
    "an absent worker gets nothing, and keeps what it holds when it is back": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
        (WorkerAbsent(W1), []),
        (JobQueued(A3), []),
        # What it does not hold never got there, and goes first.
        (WorkerBack(W1, ((A1, 1),)), [Assign(W1, A2, 2), Assign(W1, A3, 1)]),
        (JobEnded(W1, A1, 1), [Tell(A1)]),
    ],
    "an absent worker's jobs go to others when it is lost": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (WorkerAbsent(W1), []),
        (WorkerJoined(W2, 1), []),
        (WorkerLost(W1), [Assign(W2, A1, 2)]),
        # It is back after all, as a new one, with a job that is not its own any more.
        (WorkerJoined(W3, 1, (), ((A1, 1),)), [Kill(W3, A1, 1)]),
        (JobEnded(W3, A1, 1), []),
        (JobEnded(W2, A1, 2), [Tell(A1)]),
    ],
    "a worker that is back may keep what nobody else was given": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (WorkerAbsent(W1), []),
        (WorkerLost(W1), []),
        (WorkerJoined(W2, 1, (), ((A1, 1),)), []),
        (JobEnded(W2, A1, 1), [Tell(A1)]),
    ],
    "what was said to an absent worker is said again": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
        (WorkerAbsent(W1), []),
        (JobCancelled(A1), [TellCancelled(A1), Kill(W1, A1, 1)]),
        (JobCancelled(A2, even_running=False), [Recall(W1, A2, 1)]),
        (WorkerBack(W1, ((A1, 1), (A2, 1))), [Kill(W1, A1, 1), Recall(W1, A2, 1)]),
    ],
    "after a restart jobs wait for the workers that have them": [
        (ClientJoined(ANN), []),
        (JobQueued(A1, attempt=1), []),
        (JobQueued(A2, attempt=2), []),
        (JobQueued(A3), []),
        (WorkerJoined(W1, 1, (), ((A1, 3),)), [Assign(W1, A3, 1)]),
        (RestoreEnded(), [Assign(W1, A2, 3)]),
        (JobEnded(W1, A1, 3), [Tell(A1)]),
    ],
    "a job that takes too long gets a twin; the faster is believed, the other killed": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1, estimate_s=4.0), [Assign(W1, A1, 1)]),
        (TimePassed(7.0), []),
        (WorkerJoined(W2, 1), []),
        (TimePassed(9.0), [Assign(W2, A1, 2)]),
        (TimePassed(20.0), []),
        (JobEnded(W2, A1, 2), [Tell(A1), Kill(W1, A1, 1)]),
        (JobEnded(W1, A1, 1), []),
    ],
    "the first may end before its twin": [
        *(
            slow := [
                (ClientJoined(ANN), []),
                (WorkerJoined(W1, 1), []),
                (JobQueued(A1, estimate_s=4.0), [Assign(W1, A1, 1)]),
                (WorkerJoined(W2, 1), []),
                (TimePassed(9.0), [Assign(W2, A1, 2)]),
            ]
        ),
        (JobEnded(W1, A1, 1), [Tell(A1), Kill(W2, A1, 2)]),
        (WorkerLost(W2), []),
    ],
    "a twin that fails, is lost or never got there changes nothing": [
        *slow,
        (JobEnded(W2, A1, 2, is_fault=True), []),
        (TimePassed(9.5), [Assign(W2, A1, 3)]),
        (WorkerAbsent(W2), []),
        (WorkerBack(W2), []),
        (TimePassed(9.8), [Assign(W2, A1, 4)]),
        (WorkerLost(W2), []),
        (JobEnded(W1, A1, 1), [Tell(A1)]),
    ],
    "a twin takes the place of the first when that is lost": [
        *slow,
        (WorkerLost(W1), []),
        (JobEnded(W2, A1, 2), [Tell(A1)]),
    ],
    "both twins are taken back, and leave with their client": [
        *slow,
        (JobCancelled(A1), [TellCancelled(A1), Kill(W1, A1, 1), Kill(W2, A1, 2)]),
        (JobEnded(W1, A1, 1), []),
        (JobEnded(W2, A1, 2), []),
        (JobQueued(A2, estimate_s=4.0), [Assign(W1, A2, 1)]),
        (TimePassed(19.0), [Assign(W2, A2, 2)]),
        (ClientLeft(ANN), [Kill(W1, A2, 1), Kill(W2, A2, 2)]),
        (WorkerLost(W1), []),
        (JobEnded(W2, A2, 2), []),
    ],
    "of an exclusive group one job runs at a time, in each client": [
        (ClientJoined(ANN), []),
        (ClientJoined(BOB), []),
        (WorkerJoined(W1, 4), []),
        (JobQueued(A1, resources=(("exclusive:db", 1),)), [Assign(W1, A1, 1)]),
        (JobQueued(A2, resources=(("exclusive:db", 1),)), []),
        (JobQueued(A3, resources=(("exclusive:net", 1),)), [Assign(W1, A3, 1)]),
        (JobQueued(B1, resources=(("exclusive:db", 1),)), [Assign(W1, B1, 1)]),
        (JobEnded(W1, A1, 1), [Tell(A1), Assign(W1, A2, 1)]),
        (WorkerLost(W1), []),
        (WorkerJoined(W2, 4), [Assign(W2, B1, 2), Assign(W2, A2, 2), Assign(W2, A3, 2)]),
    ],
    "nobody is held for a job that waits for tokens, or is not wanted any more": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 2, (("gpu", 1),)), []),
        (JobQueued(A1, resources=(("gpu", 1),)), [Assign(W1, A1, 1)]),
        (JobQueued(A2, resources=(("gpu", 1),)), []),
        (JobQueued(A3), [Assign(W1, A3, 1)]),
        (JobQueued(A4, resources=(("slots", 2),)), []),
        # The worker is held for that one now, until it is taken back.
        (JobQueued(A5), []),
        (JobCancelled(A4), [TellCancelled(A4)]),
        (JobEnded(W1, A3, 1), [Tell(A3), Assign(W1, A5, 1)]),
    ],
    "a worker with a free slot that has the layers is better than one less loaded": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 4), []),
        (WorkerJoined(W2, 2), []),
        (JobQueued(A1, layers=(L1,)), [Assign(W1, A1, 1)]),
        (JobQueued(A2, layers=(L2,)), [Assign(W2, A2, 1)]),
        (JobQueued(A3, layers=(L2,)), [Assign(W2, A3, 1)]),
        # It would have to wait there.
        (JobQueued(A4, layers=(L2,)), [Assign(W1, A4, 1)]),
        (JobQueued(A5, layers=(L1,)), [Assign(W1, A5, 1)]),
    ],
    "a worker that only fails gets one job at a time, after all others": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 4), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        *[(JobEnded(W1, A1, n, is_fault=True), [Assign(W1, A1, n + 1)]) for n in (1, 2, 3)],
        (JobQueued(A2), []),
        (WorkerJoined(W2, 1), [Assign(W2, A2, 1)]),
        (JobQueued(A3), [Assign(W2, A3, 1)]),
        (JobQueued(A4), [Assign(W2, A4, 1)]),
        (JobQueued(A5), []),
        (JobEnded(W1, A1, 4), [Tell(A1), Assign(W1, A5, 1), Recall(W2, A4, 1)]),
    ],
    "once we are about to end nothing is given out, recalled or given twice": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1, estimate_s=1.0), [Assign(W1, A1, 1)]),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
        (Paused(), []),
        (JobQueued(A3), []),
        (WorkerJoined(W2, 1), []),
        (TimePassed(60.0), []),
        (JobEnded(W1, A1, 1), [Tell(A1)]),
        (JobEnded(W1, A2, 1), [Tell(A2)]),
        (JobCancelled(A3), [TellCancelled(A3)]),
    ],
    "a drained worker gives back what it has not begun": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
        (WorkerDraining(W1), [Recall(W1, A1, 1), Recall(W1, A2, 1)]),
        (JobReturned(W1, A2, 1), []),
        (JobQueued(A3), []),
        (JobEnded(W1, A1, 1), [Tell(A1)]),
        (WorkerDraining(W1, is_draining=False), [Assign(W1, A2, 2), Assign(W1, A3, 1)]),
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    play(Scheduler(), SCRIPTS[name])


CAROL, C1, C2, W9 = ClientId(9), JobId(ClientId(9), 1), JobId(ClientId(9), 2), WorkerId(99)
INTERRUPTIONS = {
    "a client comes, is served and leaves": [
        ClientJoined(CAROL),
        JobQueued(C1),
        JobQueued(C2, priority=5),
        JobCancelled(C2),
        ClientLeft(CAROL),
    ],
    "a worker comes and is lost": [WorkerJoined(W9, 2), WorkerLost(W9)],
    "a worker comes, is drained, goes away and comes back without its jobs": [
        WorkerJoined(W9, 2),
        WorkerDraining(W9),
        WorkerAbsent(W9),
        WorkerDraining(W9, is_draining=False),
        WorkerBack(W9),
        WorkerAbsent(W9),
        WorkerLost(W9),
    ],
    "we are about to end": [Paused()],
    "an operator limits who is here and who is not": [
        OwnerLimited("ann", slots=1, priority=2),
        OwnerLimited("carol", priority=-1),
        ClientJoined(CAROL, "carol"),
        JobQueued(C1),
        OwnerLimited("carol"),
        ClientLeft(CAROL),
    ],
    "time passes": [TimePassed(1e3), TimePassed(1e6)],
    "what needs a whole worker comes and goes": [
        ClientJoined(CAROL),
        JobQueued(C1, resources=(("slots", 2),)),
        JobQueued(C2, resources=(("exclusive:x", 1), ("slots", 1))),
        ClientLeft(CAROL),
    ],
    "a client comes back after a restart of ours": [
        ClientJoined(CAROL),
        ClientAbsent(CAROL),
        JobQueued(C1, attempt=3),
        JobQueued(C2),
        ClientBack(CAROL),
        RestoreEnded(),
        JobCancelled(C1, even_running=False),
        ClientAbsent(CAROL),
        ClientLeft(CAROL),
    ],
}


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_script_interrupted(name: str, interruption: str) -> None:
    def interrupt(core: Core) -> list[object]:
        return INTERRUPTIONS[interruption]

    play_interrupted(Scheduler, SCRIPTS[name], interrupt)


def test_a_job_that_loses_every_worker_is_given_up() -> None:
    core = Scheduler()
    core.handle(ClientJoined(ANN))
    core.handle(JobQueued(A1))
    told = []
    for number in range(LOSSES_MAX + 1):
        worker = WorkerId(100 + number)
        assert core.handle(WorkerJoined(worker, 1)) == [Assign(worker, A1, number + 1)]
        told = core.handle(WorkerLost(worker))
        core.check()
    assert [type(instruction) for instruction in told] == [Fail]
    assert "4 workers were lost" in told[0].message


def test_the_cost_of_a_job_does_not_grow_with_the_queue() -> None:
    """Counted in calls, not in seconds: with 40 times the jobs, at most 3 times as many each."""
    few, many = _calls_per_job(500), _calls_per_job(20_000)
    assert many < 3 * few


def _calls_per_job(count: int) -> float:
    core = Scheduler()
    core.handle(ClientJoined(ANN))
    for worker in range(20):
        core.handle(WorkerJoined(WorkerId(1000 + worker), 4))
    running: list[Assign] = []
    for number in range(count):
        running += core.handle(JobQueued(JobId(ANN, number), estimate_s=1.0 + number % 7))
    calls = 0

    def count_call(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count_call)
    try:
        for _ in range(300):
            job = running.pop(0)
            said = core.handle(JobEnded(job.worker, job.job, job.attempt))
            running += [i for i in said if isinstance(i, Assign)]
    finally:
        sys.setprofile(None)
    return calls / 300
