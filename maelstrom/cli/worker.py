"""The program `maelstrom-worker`, and the worker of a stand-alone client.

The latter is started for every test run, so it reads its few arguments itself.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from maelstrom.cli.ending import end
from maelstrom.sandbox.pool import SlotPool, service_user
from maelstrom.store.disk import DiskStore
from maelstrom.wire.address import Address, connect
from maelstrom.worker.daemon import Worker

PROGRAM = "maelstrom-worker"


async def serve(
    store: DiskStore,
    slots: int,
    sock: socket.socket,
    reach: Callable[[], Awaitable[socket.socket]] | None,
    *,
    is_watched: bool,
) -> None:
    """Serve the broker at the other end until it goes, or until a signal."""
    pool = SlotPool(slots=slots, layers_root=str(store.layers_root), service_user=service_user())
    worker = Worker(store=store, pool=pool, slots=slots, name=os.uname().nodename)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, worker.stop)
    await worker.run(sock, reach, is_watched=is_watched)


async def serve_address(store: DiskStore, slots: int, address: Address) -> None:
    """Serve the broker that listens there."""

    async def reach() -> socket.socket:
        return await asyncio.to_thread(connect, address)

    await serve(store, slots, connect(address), reach, is_watched=True)


def main() -> int:
    """Run the program."""
    if sys.argv[1:2] == ["--connection-fd"]:
        descriptor, root, size_bytes_max, slots = sys.argv[2:6]
        return end(
            PROGRAM,
            lambda: _run_pair(int(descriptor), Path(root), int(size_bytes_max), int(slots)),
        )
    from maelstrom.cli.commands import worker

    return end(PROGRAM, lambda: worker(prog_name=PROGRAM, standalone_mode=True))


def _run_pair(descriptor: int, root: Path, size_bytes_max: int, slots: int) -> None:
    store = DiskStore(root, size_bytes_max=size_bytes_max, owner=service_user())
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    asyncio.run(serve(store, slots, sock, None, is_watched=False))


if __name__ == "__main__":
    sys.exit(main())
