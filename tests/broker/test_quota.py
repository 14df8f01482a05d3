"""What one client may have, and that others do not notice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from maelstrom.broker.events import (
    Assign,
    ClientJoined,
    ClientLeft,
    JobEnded,
    JobQueued,
    WorkerJoined,
)
from maelstrom.broker.quota import Busy, Quota, Quotas
from maelstrom.broker.scheduler import Scheduler
from maelstrom.model.ids import ClientId, JobId, WorkerId
from maelstrom.model.outcome import Outcome
from maelstrom.wire import messages
from maelstrom.wire.greeting import Role
from tests.support.secured import Secured, Trust

W1 = WorkerId(100)
ANN, ANN_TOO, BOB = ClientId(1), ClientId(2), ClientId(3)


def test_jobs_are_counted_until_they_end() -> None:
    quotas = Quotas(Quota(jobs=2))
    quotas.take_job("client/ann", 1)
    quotas.take_job("client/ann", 1)
    with pytest.raises(Busy, match="the broker is busy: client/ann has 2 jobs"):
        quotas.take_job("client/ann", 1)
    quotas.take_job("client/bob", 1)
    quotas.end_job("client/ann", 1)
    quotas.take_job("client/ann", 1)


def test_bytes_count_from_the_first_job_to_the_last() -> None:
    quotas = Quotas(Quota(size_bytes=10))
    quotas.take_job("client/ann", 4)
    quotas.take_content("client/ann", 6)
    with pytest.raises(Busy, match="gave it 10 bytes for its jobs, and 1 more are too many"):
        quotas.take_content("client/ann", 1)
    with pytest.raises(Busy):
        quotas.take_job("client/ann", 1)
    assert quotas.usage("client/ann") == (1, 10)
    quotas.end_job("client/ann", 4)
    assert quotas.usage("client/ann") == (0, 0)
    quotas.take_content("client/ann", 10)


def test_outputs_count_until_they_are_fetched() -> None:
    quotas = Quotas(Quota(size_bytes=10))
    quotas.take_job("client/ann", 4)
    quotas.take_outputs("client/ann", 6)
    quotas.check_outputs("client/ann")
    with pytest.raises(Busy):
        quotas.take_content("client/ann", 1)
    quotas.take_outputs("client/ann", 1)
    with pytest.raises(
        Busy, match="has 11 bytes of client/ann, with 7 of outputs, and may have 10"
    ):
        quotas.check_outputs("client/ann")
    quotas.release_outputs("client/ann", 1)
    quotas.end_job("client/ann", 4)
    assert quotas.usage("client/ann") == (0, 6), "what it gave is forgotten with its last job"
    quotas.release_outputs("client/ann", 6)
    assert quotas.usage("client/ann") == (0, 0)
    quotas.take_job("client/ann", 4)
    quotas.take_outputs("client/ann", 0)
    quotas.end_job("client/ann", 4)
    quotas.release_outputs("client/ann", 0)
    assert not quotas._usage


def test_specs_count_as_long_as_their_jobs() -> None:
    quotas = Quotas(Quota(spec_bytes=10))
    quotas.take_job("client/ann", 6)
    with pytest.raises(Busy, match="specs are of 6 bytes, and 5 more are too many"):
        quotas.take_job("client/ann", 5)
    quotas.take_job("client/ann", 4)
    quotas.end_job("client/ann", 6)
    quotas.take_job("client/ann", 5)


def test_one_client_may_have_other_limits_than_all() -> None:
    quotas = Quotas(Quota(jobs=2))
    quotas.set("client/ann", Quota(jobs=1))
    quotas.take_job("client/ann", 1)
    with pytest.raises(Busy, match="client/ann has 1 jobs") as caught:
        quotas.take_job("client/ann", 1)
    assert caught.value.hint.endswith("maelstrom-admin limit client/ann")
    quotas.take_job("client/bob", 1)
    quotas.take_job("client/bob", 1)
    quotas.set("client/ann", None)
    quotas.take_job("client/ann", 1)
    assert quotas.of("client/ann") == Quota(jobs=2)


def test_the_sessions_of_one_owner_share_his_slots() -> None:
    scheduler = Scheduler(owner_slots_max=2)
    told: list[object] = []

    def take(*events: object) -> list[object]:
        done = [each for event in events for each in scheduler.handle(event)]  # type: ignore[arg-type]
        scheduler.check()
        return [each.job for each in done if isinstance(each, Assign)]

    take(WorkerJoined(W1, slots=8))
    take(ClientJoined(ANN, "ann"), ClientJoined(ANN_TOO, "ann"), ClientJoined(BOB))
    anns = [JobId(client, n) for n in (1, 2) for client in (ANN, ANN_TOO)]
    told = take(*(JobQueued(job) for job in anns))
    assert told == anns[:2]
    bobs = [JobId(BOB, n) for n in (1, 2, 3)]
    assert take(*(JobQueued(job) for job in bobs)) == bobs[:2], "each client is an owner, too"
    assert take(JobEnded(W1, anns[0], 1, is_fault=False)) == [anns[2]]
    # One session leaves; what it held is free when its jobs are gone.
    assert take(ClientLeft(ANN_TOO)) == []
    assert take(JobQueued(JobId(ANN, 9))) == [JobId(ANN, 9)]


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    secured = Secured(Trust(tmp_path), tmp_path, quota=Quota(jobs=1))
    yield secured
    await secured.close()


async def test_who_has_enough_hears_that_the_broker_is_busy(secured: Secured) -> None:
    jobs = [messages.Submit(number, b"spec", ()) for number in (1, 2)]
    ann, bob = secured.trust.tls("client/ann"), secured.trust.tls("client/bob")
    anns = await secured.knock(ann, Role.CLIENT, *jobs)
    bobs = await secured.knock(bob, Role.CLIENT, jobs[0])
    again = await secured.knock(ann, Role.CLIENT, jobs[0])
    for visitor, ended in ((anns, [2]), (again, [1])):
        while len(visitor.heard) < 2:
            await asyncio.sleep(0.01)
        told = [message for message in visitor.heard if isinstance(message, messages.Ended)]
        assert [message.number for message in told] == ended
        outcome = msgspec.msgpack.decode(told[0].outcome, type=Outcome)
        assert outcome.message == "the broker is busy: client/ann has 1 jobs, and may have no more"
    assert len(bobs.heard) == 1
    for visitor in (anns, bobs, again):
        visitor.connection.close()


async def test_a_client_cannot_cancel_what_is_anothers(secured: Secured) -> None:
    submit = messages.Submit(7, b"spec", ())
    ann, bob = secured.trust.tls("client/ann"), secured.trust.tls("client/bob")
    anns = await secured.knock(ann, Role.CLIENT, submit)
    bobs = await secured.knock(bob, Role.CLIENT, messages.Cancel(7, even_running=True))
    bobs.connection.send(messages.Resume((7,)))
    while not any(isinstance(message, messages.Unknown) for message in bobs.heard):
        await asyncio.sleep(0.01)
    assert secured.broker.jobs == 1
    assert not any(isinstance(message, messages.Ended) for message in anns.heard)
    for visitor in (anns, bobs):
        visitor.connection.close()


async def test_one_worker_certificate_is_for_one_worker(secured: Secured) -> None:
    alpha = secured.trust.tls("worker/alpha")
    join = messages.Join("beta", 1)
    first = await secured.knock(alpha, Role.WORKER, join)
    second = await secured.knock(alpha, Role.WORKER, join)
    await asyncio.wait_for(second.ended.wait(), 30)
    assert second.error is not None
    assert "worker/alpha is here already, from worker/alpha at 127.0.0.1:" in second.error.message
    assert not first.ended.is_set()
    assert [worker.name for worker in secured.broker.workers.values()] == ["alpha"]
    first.connection.leave()
    await asyncio.wait_for(first.ended.wait(), 30)
