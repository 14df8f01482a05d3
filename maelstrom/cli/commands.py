"""The command lines of the daemons, for people."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import click
from click.core import ParameterSource

from maelstrom import __version__, places
from maelstrom.broker.quota import JOBS_MAX, Quota
from maelstrom.cli import logs
from maelstrom.cli.config import Program
from maelstrom.cli.options import (
    AddressType,
    SizeType,
    labels_option,
    read_labels,
    read_resources,
    resources_option,
)
from maelstrom.sandbox.pool import service_user
from maelstrom.store.disk import DiskStore
from maelstrom.trust.identity import Role
from maelstrom.trust.tls import Tls, find
from maelstrom.wire.address import Address

SLOTS_MAX = 1000

F = TypeVar("F", bound=Callable[..., Any])


_store_size = click.option(
    "--store-size",
    type=SizeType(),
    default="10G",
    show_default=True,
    help="How much content is kept; what was used longest ago goes first.",
)


def _identity(program: str) -> Callable[[F], F]:
    return click.option(
        "--identity",
        type=click.Path(path_type=Path, file_okay=False),
        default=lambda: find(program),
        show_default=f"maelstrom/{program} in the user's configuration, then in the system's",
        help="Directory with our certificate, from `maelstrom-admin ca issue`.",
    )


def _store(program: str) -> Callable[[F], F]:
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        default=lambda: places.store(program),
        show_default=f"maelstrom/{program}-store in the user's cache",
        help="Directory for contents and layers; made if it is not there.",
    )


_log_level = click.option(
    "--log-level", "-L", type=click.Choice(logs.LEVELS), default="info", show_default=True
)
_log_format = click.option(
    "--log-format",
    type=click.Choice(logs.FORMATS),
    default="text",
    show_default=True,
    help="How events are written to standard error; each is one line.",
)
_version = click.version_option(__version__, message="%(prog)s %(version)s")


def _open_tls(
    address: Address, identity: Path, role: Role, lists: tuple[Path, ...] = ()
) -> Tls | None:
    if not address.wants_tls:
        return None
    return Tls(identity, [role], revocation_lists=lists)


def _default_journal(store: Path) -> Path:
    """Whoever throws caches away must not throw away what operators said."""
    source = click.get_current_context().get_parameter_source("store")
    if source is ParameterSource.DEFAULT:
        return places.journal()
    return store.with_name(f"{store.name}-journal.sqlite")


@click.command(cls=Program, program="broker")
@click.option(
    "--listen",
    type=AddressType(),
    default="[::]:9001",
    show_default=True,
    metavar="HOST:PORT",
    help="Where clients and workers find this broker; port 0 takes a free one and prints it. "
    "`unix:PATH` or `plain:127.0.0.1:PORT` for this machine only, without certificates.",
)
@_identity("broker")
@click.option(
    "--ca",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The authority's directory, if it is on this host: then workers join by token, "
    "certificates are renewed by themselves, and revocations are heeded at once.",
)
@_store("broker")
@_store_size
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File in which the jobs at hand are written down, and what operators said. [default: "
    "beside the store if that is given, else maelstrom/broker-journal.sqlite in the user's state]",
)
@click.option(
    "--client-jobs",
    type=click.IntRange(1),
    default=JOBS_MAX,
    show_default=True,
    help="How many jobs one client may have at a time, queued or running.",
)
@click.option(
    "--client-bytes",
    type=SizeType(),
    default="64G",
    show_default=True,
    help="How much one client may give for the jobs it has.",
)
@click.option(
    "--client-specs",
    type=SizeType(),
    default="1G",
    show_default=True,
    help="How much of it may be specs of jobs that have not ended, which are in memory.",
)
@click.option(
    "--client-slots",
    type=click.IntRange(0),
    default=0,
    show_default="no limit",
    help="How many slots one client may hold at a time.",
)
@click.option(
    "--drain-time",
    type=click.FloatRange(0, 3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long SIGTERM lets workers end what they were given. What takes longer goes on there, "
    "and is taken up when the broker is started anew.",
)
@click.option(
    "--http-port",
    type=click.IntRange(0, 65535),
    help="Serve a page with the broker's state, JSON, /metrics and /healthz here; port 0 takes a "
    "free one and prints it. Needs `pip install maelstrom-scons[web]`.",
)
@click.option(
    "--http-host",
    default="127.0.0.1",
    show_default=True,
    help="Where the page is served. It asks nobody who he is: elsewhere than on this machine put "
    "something before it that does.",
)
@_log_level
@_log_format
@_version
def broker(
    listen: Address,
    identity: Path,
    ca: Path | None,
    store: Path,
    store_size: int,
    journal: Path | None,
    client_jobs: int,
    client_bytes: int,
    client_specs: int,
    client_slots: int,
    drain_time: float,
    http_port: int | None,
    http_host: str,
    log_level: str,
    log_format: str,
) -> None:
    """Take jobs from clients, gather what they need, and give them to workers.

    On one machine, to try it:

    \b
      maelstrom-broker --listen plain:127.0.0.1:9001
      maelstrom-worker --broker plain:127.0.0.1:9001
      scons test --maelstrom --maelstrom-broker=plain:127.0.0.1:9001

    Over a network everybody has a certificate; `maelstrom-admin ca --help` shows how.

    A broker that is ended or killed, and started anew, goes on with the jobs it had; clients and
    workers come back to it by themselves. SIGTERM or Ctrl-C ends it when its workers have ended
    what they were given, but no later than --drain-time says; a second one at once.

    Every option can be given in the environment (`MAELSTROM_BROKER_STORE_SIZE=5G`) and in a file
    (`store-size = "5G"`), too; `--print-config` shows what holds.

    Exit status: 0 ended when asked to, 2 wrong arguments, 3 trouble with network, certificates or
    store.
    """
    from maelstrom.broker.access import Access
    from maelstrom.cli.broker import serve_address

    logs.start(log_level, log_format)
    authority = None
    if ca is not None:
        from maelstrom.trust.authority import Authority
        from maelstrom.trust.passphrase import VARIABLE, Passphrase

        source = os.environ.get(VARIABLE)
        words = Passphrase(source, f"the authority in {ca}") if source else None
        authority = Authority.open(ca, words)
        # What is wrong with it is told now, and not when a certificate is due.
        authority.unlock()
    lists = () if ca is None else (ca / "crl.pem",)
    access = Access(_open_tls(listen, identity, Role.BROKER, lists), authority)
    kept = journal or _default_journal(store)
    quota = Quota(client_jobs, client_bytes, client_slots, spec_bytes=client_specs)
    http = None if http_port is None else (http_host, http_port)
    asyncio.run(
        serve_address(
            DiskStore(store, size_bytes_max=store_size),
            listen,
            kept,
            access,
            quota,
            http,
            drain_time,
        )
    )


@click.command(cls=Program, program="worker")
@click.option(
    "--broker",
    type=AddressType(),
    metavar="HOST:PORT",
    help="Where the broker listens. Needed.",
)
@_identity("worker")
@click.option(
    "--slots",
    type=click.IntRange(1, SLOTS_MAX),
    default=lambda: os.cpu_count() or 1,
    show_default="number of CPUs",
    help="How many jobs run at a time.",
)
@resources_option
@labels_option
@_store("worker")
@_store_size
@click.option(
    "--join",
    "join",
    type=click.File("r"),
    metavar="FILE",
    help="Get a certificate with the join token in this file (`-`: standard input) if there is "
    "none yet; `maelstrom-admin ca token worker` makes one.",
)
@click.option("--name", help="The name to ask for with --join. [default: this host's name]")
@_log_level
@_log_format
@_version
def worker(
    broker: Address | None,
    identity: Path,
    slots: int,
    resources: str,
    labels: str,
    store: Path,
    store_size: int,
    join: IO[str] | None,
    name: str | None,
    log_level: str,
    log_format: str,
) -> None:
    """Run jobs for a broker, each in its own rootless container.

    A connection that breaks is made anew; what runs goes on meanwhile.
    SIGTERM or Ctrl-C ends it when what it runs has ended, a second one at once; the broker gives
    those jobs to other workers.
    `maelstrom-sandbox --check` tells whether this host can run containers.

    Every option can be given in the environment (`MAELSTROM_WORKER_SLOTS=4`) and in a file
    (`slots = 4`), too; `--print-config` shows what holds.

    Exit status: 0 ended when asked to, 2 wrong arguments, 3 trouble with
    network or store, 4 this host does not allow rootless containers.
    """
    from maelstrom.cli.worker import serve_address

    if broker is None:
        raise click.UsageError("say where the broker is: --broker HOST:PORT")
    logs.start(log_level, log_format)
    if join is not None and broker.wants_tls:
        from maelstrom.wire.joining import enrol

        enrol(broker, identity, join.read(), name or os.uname().nodename)
    tls = _open_tls(broker, identity, Role.WORKER)
    kept = DiskStore(store, size_bytes_max=store_size, owner=service_user())
    has = (*read_resources(resources), *read_labels(labels))
    asyncio.run(serve_address(kept, slots, broker, tls, has))
