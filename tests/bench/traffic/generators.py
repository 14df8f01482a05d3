"""Clients and workers that speak the real protocol and do nothing else: they keep a broker busy.

Arguments: `clients` or `workers`, the broker's address, the directory of the certificate (for
several workers: how it begins), how many there are, and for clients the layer and what they ask for
besides. On a line with two numbers each client has so many jobs run, so many at a time, and says
so when it is done.
"""

import asyncio
import sys
from collections import deque
from pathlib import Path
from typing import Any

from maelstrom import __version__
from maelstrom.errors import MaelstromError
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import Effects, Exited
from maelstrom.model.spec import JobSpec
from maelstrom.trust import identity
from maelstrom.trust.tls import Tls
from maelstrom.wire import messages
from maelstrom.wire.address import parse
from maelstrom.wire.connection import Codec, Connection, encode
from maelstrom.wire.dial import dial
from maelstrom.wire.greeting import Hello, Role, hello

SLOTS = 8
OUTCOME = encode(Exited(status=0, effects=Effects(duration_s=0.001)))
_TO_CLIENT: Codec[messages.BrokerToClient] = Codec(messages.BrokerToClient)
_TO_WORKER: Codec[messages.BrokerToWorker] = Codec(messages.BrokerToWorker)


class End:
    """What both have in common."""

    def __init__(self, address: str, identity_of: Path, role: Role, codec: Codec[Any]) -> None:
        self.address = address
        self.tls = Tls(identity_of, tuple(identity.Role))
        self.welcomed = asyncio.Event()
        self.connection = Connection(hello(role, __version__), owner=self, codec=codec)

    async def connect(self) -> None:
        """Be let in."""
        await (await dial(parse(self.address), self.tls)).attach(self.connection)
        await self.welcomed.wait()

    def greeted(self, theirs: Hello) -> None:
        """Wait for Welcome."""

    def received(self, message: Any) -> None:
        """Take a message."""
        raise NotImplementedError

    def lost(self, error: MaelstromError | None) -> None:
        """Nothing here goes on without its broker."""
        if error is not None:
            sys.exit(f"a connection to the broker was lost: {error}")


class Client(End):
    """One that has no more than so many jobs under way."""

    def __init__(self, address: str, identity_of: Path, layer: Digest, kind: str) -> None:
        super().__init__(address, identity_of, Role.CLIENT, _TO_CLIENT)
        self._layer = layer
        self._spec = JobSpec(program="/bin/true", arguments=("--gtest_filter=Suite.Case",),
                             layers=(layer,)).encode()  # fmt: skip
        self._is_tested = kind == "tested"
        self._number = 0
        self._left = 0
        self._waiting = 0
        self.done = asyncio.Event()

    def begin(self, count: int, window: int) -> None:
        """Have so many run."""
        self.done.clear()
        self._left = self._waiting = count
        for _ in range(min(count, window)):
            self._submit()

    def _submit(self) -> None:
        self._left -= 1
        self._number += 1
        # No two jobs are the same, so that none has an outcome yet.
        spec = self._spec + b"%12d" % self._number if self._is_tested else self._spec
        self.connection.send(
            messages.Submit(
                self._number,
                spec,
                (self._layer,),
                estimate_s=0.001,
                wants_status=self._is_tested,
                may_be_cached=self._is_tested,
            )
        )

    def received(self, message: Any) -> None:
        """Count outcomes."""
        kind = type(message)
        if kind is messages.Ended:
            self.connection.count(len(message.outcome))
            self._waiting -= 1
            if self._left:
                self._submit()
            elif not self._waiting:
                self.done.set()
        elif kind is messages.Welcome:
            self.welcomed.set()
        elif kind is not messages.Status:
            sys.exit(f"a client did not expect {message}")


class Worker(End):
    """One that ends one job after the other, each with a write of its own, as slots do."""

    def __init__(self, address: str, identity_of: Path) -> None:
        super().__init__(address, identity_of, Role.WORKER, _TO_WORKER)
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[messages.Assign] = deque()
        self._is_busy = False

    def _work(self) -> None:
        job = self._jobs.popleft()
        if job.wants_started:
            self.connection.send(messages.Started(job.job, job.attempt))
        self.connection.send(
            messages.Report(job.job, job.attempt, OUTCOME, is_fault=False, is_keepable=True)
        )
        if self._jobs:
            self._loop.call_soon(self._work)
        else:
            self._is_busy = False

    def received(self, message: Any) -> None:
        """Answer."""
        kind = type(message)
        if kind is messages.Assign:
            self._jobs.append(message)
            if not self._is_busy:
                self._is_busy = True
                self._loop.call_soon(self._work)
        elif kind is messages.Recall:
            pass  # It has ended.
        elif kind is messages.Welcome:
            self.connection.send(messages.Join(f"worker {id(self)}", SLOTS))
            self.welcomed.set()
        else:
            sys.exit(f"a worker did not expect {message}")


async def _serve_clients(ends: list[Client]) -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        count, window = map(int, line.split())
        for client in ends:
            client.begin(count, window)
        for client in ends:
            await client.done.wait()
        print("done", flush=True)


async def main() -> None:
    """Connect, and serve."""
    kind, address, directory, count, *rest = sys.argv[1:]
    if kind == "workers":
        workers = [Worker(address, Path(f"{directory}{n}")) for n in range(int(count))]
        for worker in workers:
            await worker.connect()
        print("ready", flush=True)
        await asyncio.Event().wait()
    layer = Digest(rest[0], int(rest[1]))
    clients = [Client(address, Path(directory), layer, rest[2]) for _ in range(int(count))]
    for client in clients:
        await client.connect()
    print("ready", flush=True)
    await _serve_clients(clients)


if __name__ == "__main__":
    asyncio.run(main())
