"""A worker among a broker and a pool that are played by hand."""

import asyncio
import socket
from pathlib import Path

import msgspec
import pytest

from maelstrom import __version__
from maelstrom.model.ids import ClientId, JobId
from maelstrom.model.outcome import Cancelled, InfrastructureFault, Outcome
from maelstrom.model.spec import JobSpec
from maelstrom.store.disk import DiskStore
from maelstrom.wire import connection, messages
from maelstrom.wire.connection import Codec, encode
from maelstrom.wire.dial import Reached
from maelstrom.wire.framing import Framer, frame
from maelstrom.wire.greeting import Role, encode_hello, hello
from maelstrom.worker.daemon import Worker

JOB = JobId(ClientId(1), 1)
WAIT_S = 20
FROM_WORKER: Codec[messages.WorkerToBroker] = Codec(messages.WorkerToBroker)


class Pool:
    """Runs nothing."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    async def start(self) -> None:
        pass

    async def run(self, spec: JobSpec, layers: list[str], job: str) -> Outcome:
        self.begun.append(job)
        return InfrastructureFault("nothing runs here")

    def kill(self, job: str) -> None:
        pass

    async def close(self) -> None:
        pass


async def reports(sock: socket.socket, said: bytes, count: int) -> list[list[messages.Report]]:
    """Greet the worker, say this to it when it has joined, and wait for so many reports.

    Those that came at once are together.
    """
    loop, framer = asyncio.get_running_loop(), Framer(1 << 20)
    greeting = frame(encode_hello(hello(Role.BROKER, __version__)))
    await loop.sock_sendall(sock, greeting + frame(encode(messages.Welcome("token", True))))
    is_greeted = False
    found: list[list[messages.Report]] = []
    while sum(map(len, found)) < count:
        together: list[messages.Report] = []
        for body in framer.feed(await asyncio.wait_for(loop.sock_recv(sock, 1 << 16), WAIT_S)):
            if not is_greeted:
                is_greeted = True
                continue
            match FROM_WORKER.read(bytes(body)):
                case messages.Join():
                    await loop.sock_sendall(sock, said)
                case messages.Report() as report:
                    together.append(report)
        if together:
            found.append(together)
    return found


async def play(
    pool: Pool, place: Path, *said: messages.BrokerToWorker
) -> list[list[messages.Report]]:
    """Have a worker of one slot hear this; returns what it reports at a time."""
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
    store = DiskStore(place / "store", size_bytes_max=1 << 20)
    worker = Worker(store=store, pool=pool, slots=1, name="bob")
    run = asyncio.create_task(worker.run(Reached(theirs), None, is_watched=False))
    jobs = sum(isinstance(message, messages.Assign) for message in said)
    found = await reports(ours, b"".join(frame(encode(message)) for message in said), jobs)
    ours.close()
    await asyncio.wait_for(run, WAIT_S)
    return found


def assign(job: JobId) -> messages.Assign:
    return messages.Assign(job, 1, JobSpec(program="true").encode(), False)


def test_a_job_that_is_killed_as_it_starts_never_runs(tmp_path: Path) -> None:
    pool = Pool()
    ((found,),) = asyncio.run(play(pool, tmp_path, assign(JOB), messages.Kill(JOB, 1)))
    assert msgspec.msgpack.decode(found.outcome, type=Outcome) == Cancelled()
    assert pool.begun == []


def test_a_report_waits_for_the_next_while_there_is_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Then only a report that may not wait has it leave.
    monkeypatch.setattr(connection, "WAIT_S", 1000.0)
    jobs = [JobId(ClientId(1), number) for number in range(3)]
    found = asyncio.run(play(Pool(), tmp_path, *map(assign, jobs)))
    assert [[report.job for report in together] for together in found] == [jobs[:2], jobs[2:]]
