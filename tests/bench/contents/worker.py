"""A worker with an empty store, and slots in which nothing runs: `ADDRESS IDENTITY STORE`."""

import asyncio
import sys
from pathlib import Path

from maelstrom.model.outcome import Effects, Exited, Outcome
from maelstrom.model.spec import JobSpec
from maelstrom.sandbox.ports import UNTIED, Ties
from maelstrom.store.disk import DiskStore
from maelstrom.trust.identity import Role
from maelstrom.trust.tls import Tls
from maelstrom.wire.address import parse
from maelstrom.wire.dial import Reached, dial
from maelstrom.worker.daemon import Worker


class Idle:
    """Every job ends at once."""

    async def start(self) -> None:
        """Be ready."""

    async def run(self, spec: JobSpec, layers: list[str], job: str, ties: Ties = UNTIED) -> Outcome:
        """Run nothing."""
        return Exited(0, Effects())

    def kill(self, job: str) -> None:
        """Nothing runs."""

    async def close(self) -> None:
        """Nothing runs."""


async def main() -> None:
    """Serve until the broker ends."""
    address, identity, store = sys.argv[1:]
    tls = Tls(Path(identity), [Role.WORKER])

    async def reach() -> Reached:
        return await dial(parse(address), tls)

    worker = Worker(
        store=DiskStore(Path(store), size_bytes_max=1 << 32), pool=Idle(), slots=1, name="cold"
    )
    life = asyncio.create_task(worker.run(await reach(), reach))
    while not worker._token:
        await asyncio.sleep(0.005)
    print("ready", flush=True)
    await life


asyncio.run(main())
