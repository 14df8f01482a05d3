"""The program `maelstrom-worker`, and the worker of a stand-alone client.

The latter is started for every test run, so it reads its few arguments itself.
"""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from pathlib import Path

from maelstrom import __version__
from maelstrom.cli.ending import end
from maelstrom.cli.service import announced, notify
from maelstrom.errors import ConnectionLost
from maelstrom.log import Log
from maelstrom.model.amounts import Amounts
from maelstrom.sandbox.pool import SlotPool, service_user
from maelstrom.store.disk import DiskStore
from maelstrom.trust.tls import Tls
from maelstrom.wire.address import Address, connect
from maelstrom.wire.backoff import Backoff
from maelstrom.wire.dial import Reach, Reached, dial
from maelstrom.worker.daemon import Worker

PROGRAM = "maelstrom-worker"
_log = Log("worker")
RENEWAL_S = 600.0
"""How often it is looked whether the certificate should be renewed."""


async def serve(
    store: DiskStore,
    slots: int,
    reached: Reached,
    reach: Reach | None,
    *,
    is_watched: bool,
    resources: tuple[tuple[str, int], ...] = (),
) -> None:
    """Serve the broker at the other end until it goes, or until a signal."""
    pool = SlotPool(slots=slots, layers_root=str(store.layers_root), service_user=service_user())
    name = os.uname().nodename
    worker = Worker(store=store, pool=pool, slots=slots, name=name, resources=resources)

    def stop() -> None:
        worker.stop()
        if worker.is_leaving:
            notify("STOPPING=1", "STATUS=ends when what it runs has ended")

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await worker.run(reached, reach, is_watched=is_watched)


async def serve_address(
    store: DiskStore,
    slots: int,
    address: Address,
    tls: Tls | None,
    resources: tuple[tuple[str, int], ...] = (),
) -> None:
    """Serve the broker that listens there."""

    async def reach() -> Reached:
        return await dial(address, tls)

    reached = Reached(await _knock(address), address, tls)
    renewing = asyncio.create_task(_renew(address, tls))
    try:
        _log.info("begun", build=__version__, broker=address, slots=slots)
        async with announced(f"runs jobs for {address}"):
            await serve(store, slots, reached, reach, is_watched=True, resources=resources)
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def _knock(address: Address) -> socket.socket:
    """Connect to the broker as soon as it is there; without a thread, since slots are forked."""
    backoff = Backoff(random.random)
    is_told = False
    while True:
        try:
            return connect(address)
        except ConnectionLost as error:
            if not is_told:
                _log.warning("broker not reached", reason=error.message, hint=error.hint)
            is_told = True
            await asyncio.sleep(backoff.next_s())


async def _renew(address: Address, tls: Tls | None) -> None:
    from maelstrom.wire.joining import renew_if_due

    while tls is not None:
        await asyncio.sleep(RENEWAL_S)
        await asyncio.to_thread(renew_if_due, address, tls)


def main() -> int:
    """Run the program."""
    if sys.argv[1:2] == ["--connection-fd"]:
        descriptor, root, size_bytes_max, slots, has = sys.argv[2:7]
        resources = tuple((str(name), int(amount)) for name, amount in json.loads(has))
        store = (Path(root), int(size_bytes_max))
        return end(PROGRAM, lambda: _run_pair(int(descriptor), *store, int(slots), resources))
    from maelstrom.cli.commands import worker

    return end(PROGRAM, lambda: worker(prog_name=PROGRAM, standalone_mode=True))


def _run_pair(
    descriptor: int, root: Path, size_bytes_max: int, slots: int, resources: Amounts
) -> None:
    store = DiskStore(root, size_bytes_max=size_bytes_max, owner=service_user())
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    asyncio.run(serve(store, slots, Reached(sock), None, is_watched=False, resources=resources))


if __name__ == "__main__":
    sys.exit(main())
