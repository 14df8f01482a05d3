"""A worker among a broker and a pool that are played by hand."""

import asyncio
import socket
from pathlib import Path

import msgspec

from maelstrom import __version__
from maelstrom.model.ids import ClientId, JobId
from maelstrom.model.outcome import Cancelled, InfrastructureFault, Outcome
from maelstrom.model.spec import JobSpec
from maelstrom.store.disk import DiskStore
from maelstrom.wire import messages
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


async def report(sock: socket.socket, said: bytes) -> messages.Report:
    """Greet the worker, say this to it when it has joined, and wait for its report."""
    loop, framer = asyncio.get_running_loop(), Framer(1 << 20)
    greeting = frame(encode_hello(hello(Role.BROKER, __version__)))
    await loop.sock_sendall(sock, greeting + frame(encode(messages.Welcome("token", True))))
    is_greeted = False
    while True:
        for body in framer.feed(await asyncio.wait_for(loop.sock_recv(sock, 1 << 16), WAIT_S)):
            if not is_greeted:
                is_greeted = True
                continue
            match FROM_WORKER.read(bytes(body)):
                case messages.Join():
                    await loop.sock_sendall(sock, said)
                case messages.Report() as found:
                    return found


def test_a_job_that_is_killed_as_it_starts_never_runs(tmp_path: Path) -> None:
    async def play(pool: Pool) -> messages.Report:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        store = DiskStore(tmp_path / "store", size_bytes_max=1 << 20)
        worker = Worker(store=store, pool=pool, slots=1, name="bob")
        run = asyncio.create_task(worker.run(Reached(theirs), None, is_watched=False))
        assigned = messages.Assign(JOB, 1, JobSpec(program="true").encode(), False)
        both = frame(encode(assigned)) + frame(encode(messages.Kill(JOB, 1)))
        found = await report(ours, both)
        ours.close()
        await asyncio.wait_for(run, WAIT_S)
        return found

    pool = Pool()
    found = asyncio.run(play(pool))
    assert msgspec.msgpack.decode(found.outcome, type=Outcome) == Cancelled()
    assert pool.begun == []
