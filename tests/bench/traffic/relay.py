"""The peer of our broker: one of grpc.aio that passes the same four messages on, and no more.

Arguments: `broker`, the directory of its certificate; `clients` or `workers`, the address, the
directory of the certificate, and how many. A broker says where it listens. On a line with two
numbers each client has so many jobs run, so many at a time, and says so when it is done.

It favours the peer: messages are encoded as ours are, workers take turns, and nothing is scheduled,
counted or written down.
"""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import msgspec
from grpc import aio

from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId
from maelstrom.model.spec import JobSpec
from maelstrom.wire import messages
from maelstrom.wire.connection import encode
from tests.bench.traffic.generators import OUTCOME

LAYER = Digest.of(b"")
SPEC = JobSpec(
    program="/bin/true", arguments=("--gtest_filter=Suite.Case",), layers=(LAYER,)
).encode()
_decode = msgspec.msgpack.Decoder(messages.Submit | messages.Assign | messages.Report).decode
_decode_ended = msgspec.msgpack.Decoder(messages.Ended).decode


def _pems(directory: str) -> tuple[bytes, bytes, bytes]:
    own = Path(directory, "identity.pem").read_bytes()
    mark = b"-----BEGIN CERTIFICATE"
    key, _, certificate = own.partition(mark)
    return key, mark + certificate, Path(directory, "ca.pem").read_bytes()


class Broker:
    """Gives jobs to workers in turn."""

    def __init__(self) -> None:
        self._clients: list[asyncio.Queue[messages.Message]] = []
        self._workers: list[asyncio.Queue[messages.Message]] = []
        self._turns = itertools.count()

    async def client(self, submits: AsyncIterator[messages.Submit], context: Any) -> None:
        """Pass jobs on, and their outcomes back."""
        mine: asyncio.Queue[messages.Message] = asyncio.Queue()
        client = ClientId(len(self._clients))
        self._clients.append(mine)
        writing = asyncio.create_task(_write_all(mine, context))
        async for submit in submits:
            job = JobId(client, submit.number)
            worker = self._workers[next(self._turns) % len(self._workers)]
            worker.put_nowait(messages.Assign(job, 1, submit.spec, submit.wants_status))
        writing.cancel()

    async def worker(self, reports: AsyncIterator[messages.Report], context: Any) -> None:
        """Pass outcomes on, and jobs to it."""
        mine: asyncio.Queue[messages.Message] = asyncio.Queue()
        self._workers.append(mine)
        writing = asyncio.create_task(_write_all(mine, context))
        async for report in reports:
            ended = messages.Ended(report.job.number, report.outcome)
            self._clients[report.job.client].put_nowait(ended)
        writing.cancel()


async def _write_all(queue: "asyncio.Queue[messages.Message]", stream: Any) -> None:
    while True:
        await stream.write(await queue.get())


async def _serve(directory: str) -> None:
    broker = Broker()
    server = aio.server()
    handlers = {
        name: grpc.stream_stream_rpc_method_handler(serve, _decode, encode)
        for name, serve in (("Client", broker.client), ("Worker", broker.worker))
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("relay", handlers)])
    key, certificate, authority = _pems(directory)
    credentials = grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=authority, require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


class Client:
    """One that has no more than so many jobs under way."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def have_run(self, count: int, window: int) -> None:
        """Have so many run."""
        room = asyncio.Semaphore(window)

        async def take_all() -> None:
            for _ in range(count):
                await self._stream.read()
                room.release()

        taking = asyncio.create_task(take_all())
        for number in range(count):
            await room.acquire()
            await self._stream.write(messages.Submit(number, SPEC, (LAYER,), estimate_s=0.001))
        await taking


async def _work(stream: Any) -> None:
    while True:
        job = await stream.read()
        await stream.write(messages.Report(job.job, job.attempt, OUTCOME, is_fault=False))


async def main() -> None:
    """Connect, and serve."""
    kind, *rest = sys.argv[1:]
    if kind == "broker":
        await _serve(rest[0])
        return
    address, directory, count = rest
    key, certificate, authority = _pems(directory)
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    method, decode = ("Client", _decode_ended) if kind == "clients" else ("Worker", _decode)
    channels = [
        # Each has a connection of its own, as it has with us.
        aio.secure_channel(address, credentials, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(int(count))
    ]
    streams = [channel.stream_stream(f"/relay/{method}", encode, decode)() for channel in channels]
    await asyncio.gather(*(stream.wait_for_connection() for stream in streams))
    print("ready", flush=True)
    if kind == "workers":
        await asyncio.gather(*(_work(stream) for stream in streams))
    clients = [Client(stream) for stream in streams]
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        jobs, window = map(int, line.split())
        await asyncio.gather(*(client.have_run(jobs, window) for client in clients))
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
