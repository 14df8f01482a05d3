"""What operators see and do, and what those may not who may only look."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from maelstrom.broker.status import State
from maelstrom.model.ids import JobId
from maelstrom.model.outcome import Effects, Exited, InfrastructureFault
from maelstrom.wire import messages
from maelstrom.wire.greeting import Role
from tests.support.secured import Secured, Trust, Visitor


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    secured = Secured(Trust(tmp_path), tmp_path)
    yield secured
    await secured.close()


async def until(visitor: Visitor, kind: type, count: int = 1) -> list[object]:
    while True:
        found = [message for message in visitor.heard if isinstance(message, kind)]
        if len(found) >= count:
            return found
        assert not visitor.ended.is_set(), visitor.error
        visitor.happened.clear()
        await asyncio.wait_for(visitor.happened.wait(), 30)


async def add_all(secured: Secured) -> tuple[Visitor, Visitor]:
    join = messages.Join("alpha", 1, (("gpu", 2), ("label:arch=x86", 1)))
    worker = await secured.knock(secured.trust.tls("worker/alpha"), Role.WORKER, join)
    jobs = [messages.Submit(number, b"spec", ()) for number in range(1, 6)]
    client = await secured.knock(secured.trust.tls("client/ann"), Role.CLIENT, *jobs)
    await until(worker, messages.Assign, 3)
    return worker, client


async def test_a_monitor_sees_who_is_here_and_what_waits(secured: Secured) -> None:
    await add_all(secured)
    monitor = await secured.knock(
        secured.trust.tls("monitor/board"), Role.ADMIN, messages.AskState()
    )
    [told] = await until(monitor, messages.StateIs)
    state = msgspec.json.decode(told.body, type=State)  # type: ignore[attr-defined]
    [worker] = state.workers
    assert (worker.name, worker.slots, worker.running, worker.ahead, worker.state) == (
        "alpha", 1, 1, 2, "here",
    )  # fmt: skip
    assert worker.labels == ("arch=x86",)
    assert worker.peer.startswith("worker/alpha at 127.0.0.1:")
    [client] = state.clients
    assert (client.name, client.jobs, client.is_absent) == ("client/ann", 5, False)
    assert (state.running, state.queued, state.gathering, state.ended) == (1, 4, 0, 0)


@pytest.mark.parametrize(
    "message",
    [
        messages.Drain("alpha", True),
        messages.CancelJobs("client/ann"),
        messages.LimitClient("client/ann", {"jobs": 1}),
        messages.Stop(False),
    ],
)
async def test_a_monitor_may_only_look(secured: Secured, message: messages.Message) -> None:
    _, client = await add_all(secured)
    monitor = await secured.knock(secured.trust.tls("monitor/board"), Role.ADMIN, message)
    await asyncio.wait_for(monitor.ended.wait(), 30)
    assert monitor.error is not None
    assert "of monitor/board has the wrong role: this needs admin" in monitor.error.message
    assert secured.broker.jobs == 5
    assert not secured.broker.drained
    assert not client.ended.is_set()


async def test_a_drained_worker_gives_back_what_it_has_not_begun(secured: Secured) -> None:
    worker, _ = await add_all(secured)
    admin = await secured.knock(
        secured.trust.tls("admin/eve"), Role.ADMIN, messages.Drain("alpha", True)
    )
    [done] = await until(admin, messages.Done)
    assert "worker alpha gets nothing more" in done.message  # type: ignore[attr-defined]
    recalls = await until(worker, messages.Recall, 3)
    worker.connection.send(messages.Return(recalls[-1].job, recalls[-1].attempt))  # type: ignore[attr-defined]
    admin.connection.send(messages.Drain("alpha", False))
    await until(admin, messages.Done, 2)
    # It gets jobs again.
    await until(worker, messages.Assign, 4)


async def test_a_worker_that_was_drained_stays_so_when_it_comes_anew(secured: Secured) -> None:
    worker, _ = await add_all(secured)
    admin = await secured.knock(
        secured.trust.tls("admin/eve"), Role.ADMIN, messages.Drain("alpha", True)
    )
    await until(admin, messages.Done)
    worker.connection.leave()
    await asyncio.wait_for(worker.ended.wait(), 30)
    tls = secured.trust.tls("worker/alpha")
    again = await secured.knock(tls, Role.WORKER, messages.Join("alpha", 1))
    admin.connection.send(messages.AskState())
    [told] = await until(admin, messages.StateIs)
    state = msgspec.json.decode(told.body, type=State)  # type: ignore[attr-defined]
    assert [each.state for each in state.workers] == ["draining"]
    assert not any(isinstance(message, messages.Assign) for message in again.heard)


async def test_a_client_gets_limits_of_its_own_and_all_may_see_them(secured: Secured) -> None:
    _, client = await add_all(secured)
    few = messages.LimitClient("client/ann", {"jobs": 5, "slots": 2})
    admin = await secured.knock(secured.trust.tls("admin/eve"), Role.ADMIN, few)
    [done] = await until(admin, messages.Done)
    told = "client/ann may have 5 jobs, 68719476736 bytes, 2 slots, priority 0"
    assert done.message == told  # type: ignore[attr-defined]
    admin.connection.send(messages.LimitClient("client/ann", {"priority": 3}))
    admin.connection.send(messages.AskState())
    [told_state] = await until(admin, messages.StateIs)
    [seen] = msgspec.json.decode(told_state.body, type=State).clients  # type: ignore[attr-defined]
    assert (seen.slots, seen.slots_max, seen.jobs_max, seen.priority) == (3, 2, 5, 3)
    client.connection.send(messages.Submit(9, b"spec", ()))
    [refused] = await until(client, messages.Ended)
    assert b"client/ann has 5 jobs" in refused.outcome  # type: ignore[attr-defined]
    admin.connection.send(messages.LimitClient("client/bob", {}))
    done = (await until(admin, messages.Done, 3))[-1]
    assert done.message.endswith("any number of slots, priority 0; it is not here now")  # type: ignore[attr-defined]


async def test_jobs_of_a_client_can_be_taken_back(secured: Secured) -> None:
    _, client = await add_all(secured)
    admin = await secured.knock(
        secured.trust.tls("admin/eve"), Role.ADMIN, messages.CancelJobs("client/ann", 2)
    )
    [done] = await until(admin, messages.Done)
    assert done.message == "took back 1 jobs of client/ann"  # type: ignore[attr-defined]
    [ended] = await until(client, messages.Ended)
    assert ended.number == 2  # type: ignore[attr-defined]
    assert 2 not in next(iter(secured.broker.clients.values())).jobs
    admin.connection.send(messages.CancelJobs("client/ann"))
    await until(client, messages.Ended, 5)


@pytest.mark.parametrize(
    ("message", "reason", "hint"),
    [
        (messages.Drain("beta", True), "there is no worker `beta`", "those here: alpha"),
        (messages.Drain("beta", False), "there is no worker `beta`", "those here: alpha"),
        (messages.CancelJobs("bob"), "there is no client `bob`", "those here: client/ann"),
        (
            messages.LimitClient("bob", {"gpus": 1}),
            "there is no limit `gpus`",
            "there are jobs, bytes, slots, priority, specs",
        ),
        (messages.LimitClient("bob", {"slots": -1}), "-1 cannot be a limit of slots", ""),
    ],
)
async def test_what_cannot_be_is_said_with_what_can(
    secured: Secured, message: messages.Message, reason: str, hint: str
) -> None:
    await add_all(secured)
    admin = await secured.knock(secured.trust.tls("admin/eve"), Role.ADMIN, message)
    [failed] = await until(admin, messages.Failed)
    assert (failed.message, failed.hint) == (reason, hint)  # type: ignore[attr-defined]


async def test_a_broker_stops_when_its_jobs_have_ended(secured: Secured) -> None:
    ended = asyncio.Event()
    secured.broker.on_end = ended.set
    _, client = await add_all(secured)
    admin = await secured.knock(secured.trust.tls("admin/eve"), Role.ADMIN, messages.Stop(True))
    await until(admin, messages.Done)
    client.connection.send(messages.Submit(9, b"spec", ()))
    [refused] = await until(client, messages.Ended)
    assert b"the broker is draining: it takes no new jobs" in refused.outcome  # type: ignore[attr-defined]
    assert not ended.is_set()
    for number in range(1, 6):
        client.connection.send(messages.Cancel(number, even_running=True))
    await asyncio.wait_for(ended.wait(), 30)


async def test_who_comes_and_goes_is_logged_with_name_and_place(
    secured: Secured, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "maelstrom")
    worker, client = await add_all(secured)
    for visitor in (worker, client):
        visitor.connection.leave()
        await asyncio.wait_for(visitor.ended.wait(), 30)
    while len(secured.broker.workers) + len(secured.broker.clients):
        await asyncio.sleep(0.01)
    told = [(record.msg, record.fields["peer"]) for record in caplog.records]  # type: ignore[attr-defined]
    events = [event for event, _ in told]
    assert sorted(events) == ["client joined", "client left", "worker joined", "worker lost"]
    for event, peer in told:
        who = "worker/alpha" if event.startswith("worker") else "client/ann"
        assert peer.startswith(f"{who} at 127.0.0.1:")


async def test_a_job_can_be_followed_and_a_fault_is_told_with_all_that_took_part(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "maelstrom")
    secured = Secured(Trust(tmp_path), tmp_path)
    worker, client = await add_all(secured)
    job = JobId(next(iter(secured.broker.clients)), 1)
    fault = msgspec.msgpack.encode(InfrastructureFault("the slot was lost", "see there"))
    done = msgspec.msgpack.encode(Exited(0, Effects()))
    worker.connection.send(messages.Report(job, 1, fault, is_fault=True))
    worker.connection.send(messages.Report(job, 2, done, is_fault=False))
    await until(client, messages.Ended)
    told = [
        (record.msg, record.fields["attempt"], record.fields.get("worker"))  # type: ignore[attr-defined]
        for record in caplog.records
        if record.fields.get("job") == job  # type: ignore[attr-defined]
        and "attempt" in record.fields  # type: ignore[attr-defined]
    ]
    assert told == [
        ("job given", 1, "alpha"),
        ("job fault", 1, "alpha"),
        ("job ended", 1, "alpha"),
        ("job given", 2, "alpha"),
        ("job ended", 2, "alpha"),
    ]
    [fault_record] = [record for record in caplog.records if record.msg == "job fault"]
    assert fault_record.fields["client"] == "client/ann"  # type: ignore[attr-defined]
    assert fault_record.fields["reason"] == "the slot was lost"  # type: ignore[attr-defined]
    await secured.close()
