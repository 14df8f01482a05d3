"""The program `maelstrom-broker`, and the broker of a stand-alone client.

The latter is started for every test run, so it reads its few arguments itself.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from maelstrom import __version__
from maelstrom.broker.access import Access
from maelstrom.broker.daemon import Broker
from maelstrom.broker.quota import Quota
from maelstrom.cli.ending import end
from maelstrom.cli.service import announced, notify
from maelstrom.errors import UserError
from maelstrom.store.disk import DiskStore
from maelstrom.wire.address import Address

if TYPE_CHECKING:  # Most brokers have no page.
    from maelstrom.web.server import Site

PROGRAM = "maelstrom-broker"
TIDY_S = 60.0
TIDY_JOBS_MAX = 10_000


async def serve_pairs(store: DiskStore, descriptors: list[int]) -> None:
    """Serve the client that started us until it goes."""
    stop = asyncio.Event()
    _on_signals(stop.set)
    broker = Broker(store, stop.set, has_one_client=True)
    try:
        for descriptor in descriptors:
            await broker.adopt(descriptor)
        await stop.wait()
    finally:
        await broker.close()


async def serve_address(
    store: DiskStore,
    address: Address,
    journal: Path,
    access: Access,
    quota: Quota,
    http: tuple[str, int] | None,
    drain_s: float,
) -> None:
    """Serve whoever comes until a signal; the second one ends it at once."""
    from maelstrom.broker.journal import Journal
    from maelstrom.wire.listener import Listener

    stop = asyncio.Event()
    broker = Broker(store, stop.set, journal=Journal(journal), access=access, quota=quota)

    def hear() -> None:
        if broker.ending.is_handing_over:
            stop.set()
        else:
            notify("STOPPING=1", "STATUS=draining")
            broker.ending.hand_over(drain_s)

    _on_signals(hear)
    listener: Listener | None = None
    site: Site | None = None
    try:
        await broker.restore()
        is_local = bool(address.path)
        listener = Listener(address, lambda: broker.add(is_local=is_local), access.tls)
        broker.watch_access()
        broker.spawn(_tidy_up(broker))
        if http is not None:
            site = await _open_site(broker, *http)
        print(f"{PROGRAM}: listening on {listener.address}", flush=True)
        broker.log.info("begun", build=__version__, listen=listener.address, jobs=broker.jobs)
        async with announced(f"listens on {listener.address}"):
            await stop.wait()
    finally:
        if site is not None:
            await site.close()
        if listener is not None:
            await listener.close()
        await broker.close()


async def _tidy_up(broker: Broker) -> None:
    """Collect garbage when there is little else. With a million jobs that takes seconds, in which
    nobody would be heard; and jobs are not in cycles, so that nearly nothing waits for it."""
    gc.collect()
    gc.freeze()
    gc.disable()
    while True:
        await asyncio.sleep(TIDY_S)
        if broker.jobs < TIDY_JOBS_MAX:
            gc.collect()


async def _open_site(broker: Broker, host: str, port: int) -> "Site":
    try:
        from maelstrom.web.server import Site
    except ImportError as error:
        raise UserError(
            f"the page cannot be served: {error}", hint="run `pip install maelstrom-scons[web]`"
        ) from error
    site = Site(broker.observer.look, (host, os.uname().nodename))
    where = Address(host, await site.start(host, port))
    print(f"{PROGRAM}: page on http://{where}/", flush=True)
    return site


def _on_signals(hear: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, hear)


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
