"""The command lines of the daemons, for people."""

import asyncio
import os
from pathlib import Path

import click
import platformdirs

from maelstrom import __version__
from maelstrom.errors import UserError
from maelstrom.sandbox.pool import service_user
from maelstrom.store.disk import DiskStore
from maelstrom.wire.address import Address, parse

SLOTS_MAX = 1000
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class AddressType(click.ParamType[Address]):
    """`HOST:PORT` or `unix:PATH`."""

    name = "address"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        """Read it."""
        try:
            return parse(str(value))
        except UserError as error:
            self.fail(f"{error.message}; {error.hint}", param, ctx)


class SizeType(click.ParamType[int]):
    """A number of bytes, with K, M, G or T behind it."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read it."""
        text = str(value).upper().removesuffix("B").removesuffix("I")
        digits = text.rstrip("KMGT")
        if not digits.isdecimal() or text[len(digits) :] not in _UNITS:
            self.fail(f"`{value}` is not a size; write for example 500M or 10G", param, ctx)
        return int(digits) * _UNITS[text[len(digits) :]]


def _default_store(name: str) -> Path:
    return platformdirs.user_cache_path("maelstrom") / name


_store_size = click.option(
    "--store-size",
    type=SizeType(),
    default="10G",
    show_default=True,
    help="How much content is kept; what was used longest ago goes first.",
)
_version = click.version_option(__version__, message="%(prog)s %(version)s")


@click.command(context_settings={"max_content_width": 100})
@click.option(
    "--listen",
    type=AddressType(),
    required=True,
    metavar="HOST:PORT|unix:PATH",
    help="Where clients and workers find this broker; port 0 takes a free one and prints it.",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for contents; made if it is not there. [default: in the user's cache]",
)
@_store_size
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File in which the jobs at hand are written down. [default: beside the store]",
)
@_version
def broker(listen: Address, store: Path | None, store_size: int, journal: Path | None) -> None:
    """Take jobs from clients, gather what they need, and give them to workers.

    Start one broker, then a worker on it, then point a test run at it:

    \b
      maelstrom-broker --listen 127.0.0.1:7000
      maelstrom-worker --broker 127.0.0.1:7000
      scons test --maelstrom --maelstrom-broker=127.0.0.1:7000

    A broker that is ended or killed, and started anew, goes on with the jobs it had; clients and
    workers come back to it by themselves.

    SIGTERM or Ctrl-C ends it. A broker speaks plaintext, so it listens on this machine only.
    Exit status: 0 ended when asked to, 2 wrong arguments, 3 trouble with network or store.
    """
    from maelstrom.cli.broker import serve_address

    root = store or _default_store("broker-store")
    kept = journal or root.with_name(f"{root.name}-journal.sqlite")
    asyncio.run(serve_address(DiskStore(root, size_bytes_max=store_size), listen, kept))


@click.command(context_settings={"max_content_width": 100})
@click.option(
    "--broker",
    type=AddressType(),
    required=True,
    metavar="HOST:PORT|unix:PATH",
    help="Where the broker listens.",
)
@click.option(
    "--slots",
    type=click.IntRange(1, SLOTS_MAX),
    default=lambda: os.cpu_count() or 1,
    show_default="number of CPUs",
    help="How many jobs run at a time.",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for contents and layers; made if it is not there. "
    "[default: in the user's cache]",
)
@_store_size
@_version
def worker(broker: Address, slots: int, store: Path | None, store_size: int) -> None:
    """Run jobs for a broker, each in its own rootless container.

    A connection that breaks is made anew; what runs goes on meanwhile.
    SIGTERM or Ctrl-C ends it when what it runs has ended, a second one at once; the broker gives
    those jobs to other workers.
    `maelstrom-sandbox --check` tells whether this host can run containers.

    Exit status: 0 ended when asked to, 2 wrong arguments, 3 trouble with
    network or store, 4 this host does not allow rootless containers.
    """
    from maelstrom.cli.worker import serve_address

    root = store or _default_store("worker-store")
    kept = DiskStore(root, size_bytes_max=store_size, owner=service_user())
    asyncio.run(serve_address(kept, slots, broker))
