"""The program `maelstrom-broker`, and the broker of a stand-alone client.

The latter is started for every test run, so it reads its few arguments itself.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from maelstrom.broker.daemon import Broker
from maelstrom.cli.ending import end
from maelstrom.errors import InfrastructureError
from maelstrom.store.disk import DiskStore
from maelstrom.wire.address import Address

PROGRAM = "maelstrom-broker"


async def serve_pairs(store: DiskStore, descriptors: list[int]) -> None:
    """Serve the client that started us until it goes."""
    stop = _stop_on_signals()
    broker = Broker(store, stop.set, has_one_client=True)
    try:
        for descriptor in descriptors:
            await broker.adopt(descriptor)
        await stop.wait()
    finally:
        await broker.close()


async def serve_address(store: DiskStore, address: Address, journal: Path) -> None:
    """Serve whoever comes until a signal."""
    from maelstrom.broker.journal import Journal

    stop = _stop_on_signals()
    broker = Broker(store, stop.set, journal=Journal(journal))
    try:
        await broker.restore()
        server = await _listen(broker, address)
        async with server:
            where = address
            if not address.path:
                where = Address(*server.sockets[0].getsockname()[:2])
            print(f"{PROGRAM}: listening on {where}", flush=True)
            await stop.wait()
    finally:
        await broker.close()
        if address.path:
            Path(address.path).unlink(missing_ok=True)  # noqa: ASYNC240  # At the very end.


async def _listen(broker: Broker, address: Address) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        if not address.path:
            return await loop.create_server(
                lambda: broker.add(is_local=False), address.host, address.port
            )
        _check_unused(address)
        mask = os.umask(0o177)
        try:
            return await loop.create_unix_server(lambda: broker.add(is_local=True), address.path)
        finally:
            os.umask(mask)
    except OSError as error:
        raise InfrastructureError(
            f"cannot listen on {address}: {error.strerror or error}"
        ) from error


def _check_unused(address: Address) -> None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(address.path)
        raise InfrastructureError(f"another program listens on {address} already")


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def main() -> int:
    """Run the program."""
    if sys.argv[1:2] == ["--connection-fd"]:
        descriptors = [int(word) for word in sys.argv[2].split(",")]
        root, size_bytes_max = sys.argv[3:5]
        return end(PROGRAM, lambda: _run_pairs(descriptors, Path(root), int(size_bytes_max)))
    from maelstrom.cli.commands import broker

    return end(PROGRAM, lambda: broker(prog_name=PROGRAM, standalone_mode=True))


def _run_pairs(descriptors: list[int], root: Path, size_bytes_max: int) -> None:
    store = DiskStore(root, size_bytes_max=size_bytes_max, owner=owner())
    asyncio.run(serve_pairs(store, descriptors))


def owner() -> tuple[int, int] | None:
    """Return whom the contents of a store belong to that a worker shares."""
    if os.geteuid() != 0:
        return None
    from maelstrom.sandbox.launch import service_user

    return service_user()


if __name__ == "__main__":
    sys.exit(main())
