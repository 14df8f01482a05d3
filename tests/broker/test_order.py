"""In which order jobs are next, and why."""

import random

from maelstrom.broker.events import (
    Assign,
    ClientAbsent,
    ClientJoined,
    JobCancelled,
    JobEnded,
    JobQueued,
    OwnerLimited,
    WorkerDraining,
    WorkerJoined,
    WorkerLost,
)
from maelstrom.broker.scheduler import Scheduler
from maelstrom.model.ids import ClientId, JobId, WorkerId

ANN, BOB = ClientId(1), ClientId(2)
W1, W2 = WorkerId(11), WorkerId(12)
A1, A2, A3, A4, A5 = (JobId(ANN, n) for n in range(1, 6))
B1 = JobId(BOB, 1)
GPU, BIG, DB = (("gpu", 1),), (("slots", 4),), (("exclusive:db", 1),)


def core(*events: object) -> Scheduler:
    scheduler = Scheduler()
    for event in events:
        scheduler.handle(event)  # type: ignore[arg-type]
        scheduler.check()
    return scheduler


def test_each_place_has_its_reasons() -> None:
    scheduler = core(
        ClientJoined(ANN, "ann"),
        ClientJoined(BOB, "bob"),
        OwnerLimited("bob", priority=2),
        WorkerJoined(W1, 1),
        JobQueued(A1, estimate_s=1.0),
        WorkerLost(W1),
        JobQueued(A2, estimate_s=2.0),
        JobQueued(A3),
        JobQueued(A4, priority=1, estimate_s=0.5),
        JobQueued(A5, estimate_s=2.0),
        JobCancelled(A5),
        JobQueued(B1),
    )
    found = [tuple(planned)[:7] for planned in scheduler.order(10)]
    assert found == [
        (B1, 0, 0, 2, 0, 0.0, False),
        (A1, 0, 1, 0, 0, 1.0, True),
        (A4, 1, 2, 0, 1, 0.5, False),
        (A3, 2, 3, 0, 0, 0.0, False),
        (A2, 3, 4, 0, 0, 2.0, False),
    ]
    assert {planned.waits_for for planned in scheduler.order(10)} == {"no worker is here"}
    assert [planned.job for planned in scheduler.order(2)] == [B1, A1]


def test_what_a_job_waits_for_is_named() -> None:
    scheduler = core(
        ClientJoined(ANN),
        ClientJoined(BOB),
        WorkerJoined(W1, 4, (("gpu", 1),)),
        WorkerJoined(W2, 64),
        WorkerDraining(W2),
        JobQueued(A1, resources=(*GPU, *DB)),
        JobQueued(A2, resources=GPU),
        JobQueued(A3, resources=BIG),
        JobQueued(A4, resources=DB),
        JobQueued(A5, resources=(("slots", 9),)),
        JobQueued(B1),
        ClientAbsent(BOB),
    )
    assert {planned.job: planned.waits_for for planned in scheduler.order(10)} == {
        A2: "a slot, 1 of `gpu` to be free",
        A3: "a worker is held for it, and not free yet",
        A4: "another job of `exclusive:db` runs",
        A5: "no worker that is here has 9 slots",
    }


def test_jobs_begin_in_the_order_that_was_told() -> None:
    dice = random.Random(7)
    scheduler = core(*(ClientJoined(ClientId(number)) for number in (1, 2, 3)))
    for number in range(1, 120):
        job = JobId(ClientId(dice.randrange(1, 4)), number)
        slots = (("slots", 2),) if dice.random() < 0.2 else ()
        estimate_s = dice.choice([0.0, 1.0, 2.0])
        scheduler.handle(JobQueued(job, dice.randrange(3), estimate_s, slots))
        if dice.random() < 0.2:
            scheduler.handle(JobCancelled(job))
    told = [planned.job for planned in scheduler.order(1000)]
    # All at once: no job ends while the others begin.
    begun = scheduler.handle(WorkerJoined(W1, 1000))
    assert [each.job for each in begun if isinstance(each, Assign)] == told
    assert len(told) > 80
    assert scheduler.order(10) == []
    assert scheduler.handle(JobEnded(W1, told[0], 1))
