"""`maelstrom-admin status|drain|undrain|limit|cancel|stop`: what an operator says to a broker."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from maelstrom.broker.status import NextJob, State
from maelstrom.cli.config import Program
from maelstrom.cli.options import AddressType, SizeType
from maelstrom.trust.identity import Role as TrustRole
from maelstrom.trust.tls import Tls, find
from maelstrom.wire import messages
from maelstrom.wire.address import Address
from maelstrom.wire.connection import Codec
from maelstrom.wire.exchange import exchange
from maelstrom.wire.greeting import Role

_FROM_BROKER: Codec[messages.BrokerToAdmin] = Codec(messages.BrokerToAdmin)

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", messages.Done, messages.StateIs, messages.OrderIs)


def _command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    def wrap(function: Callable[..., None]) -> click.Command:
        for option in (
            click.option(
                "--identity",
                type=click.Path(path_type=Path, file_okay=False),
                help="Directory with a certificate for the role admin, or monitor to look only. "
                "[default: maelstrom/admin in the user's configuration, then in the system's]",
            ),
            click.option(
                "--broker",
                "-b",
                type=AddressType(),
                metavar="HOST:PORT",
                help="Where the broker listens. Needed.",
            ),
        ):
            function = option(function)
        return click.command(name, cls=Program, program="admin")(function)

    return wrap


def _ask(
    broker: Address | None, identity: Path | None, message: messages.Message, answer: type[M]
) -> M:
    if broker is None:
        raise click.UsageError("say where the broker is: --broker HOST:PORT")
    tls = None
    if broker.wants_tls:
        tls = Tls(identity or find("admin"), [TrustRole.ADMIN, TrustRole.MONITOR])
    with exchange(broker, Role.ADMIN, _FROM_BROKER, tls=tls) as asked:
        return asked.ask(message, answer)


@_command("status")
@click.option("--json", "is_json", is_flag=True, help="All of it, for programs.")
def status(broker: Address | None, identity: Path | None, is_json: bool) -> None:
    """Show workers, clients and queue."""
    body = _ask(broker, identity, messages.AskState(), messages.StateIs).body
    if is_json:
        click.echo(msgspec.json.format(body, indent=2))
        return
    state = msgspec.json.decode(body, type=State)
    click.echo(
        f"jobs     {state.running} running, {state.queued} queued, {state.gathering} lack "
        f"contents, {state.ended} ended, {state.per_s:.1f}/s"
    )
    asked = state.hits + state.misses
    click.echo(
        f"cache    {state.hits} of {asked} jobs answered, {state.results} outcomes kept; "
        f"store {state.store_bytes >> 20} of {state.store_limit_bytes >> 20} MiB"
    )
    if state.ending:
        click.echo(f"broker   {state.ending}")
    for worker in state.workers:
        labels = f", {' '.join(worker.labels)}" if worker.labels else ""
        click.echo(
            f"worker   {worker.name:20} {worker.state:9} {worker.running}/{worker.slots} slots, "
            f"{worker.ahead} ahead, {worker.peer}{labels}"
        )
    for client in state.clients:
        absent = ", absent" if client.is_absent else ""
        limits = f"{client.slots} slots" + (f" of {client.slots_max}" if client.slots_max else "")
        first = f", priority {client.priority}" if client.priority else ""
        click.echo(
            f"client   {client.name:20} {client.jobs} jobs, {limits}{first}, {client.peer}{absent}"
        )


@_command("explain-order")
@click.option("--count", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "is_json", is_flag=True, help="All of it, for programs.")
def explain_order(broker: Address | None, identity: Path | None, count: int, is_json: bool) -> None:
    """Show which jobs are next, and why in this order.

    Clients take turns: first by their priority, then who holds the fewest slots, then who was
    served least. Of one client's jobs first come those a lost worker had, then the higher priority,
    then the longest, then who came first.
    """
    body = _ask(broker, identity, messages.AskOrder(count), messages.OrderIs).body
    if is_json:
        click.echo(msgspec.json.format(body, indent=2))
        return
    jobs = msgspec.json.decode(body, type=tuple[NextJob, ...])
    for place, job in enumerate(jobs, 1):
        click.echo(f"{place:4} {job.job:10} {job.client:16} {'; '.join(_reasons(job))}")
    if not jobs:
        click.echo("no job waits of a client that is here and may have more slots")


def _reasons(job: NextJob) -> Iterator[str]:
    before = f"of priority {job.client_priority}, " if job.client_priority else ""
    yield f"client {before}holding {job.held}, served {job.served}"
    if job.is_retry:
        yield "a worker had it before"
    yield f"priority {job.priority}"
    yield f"took {job.estimate_s:.3g} s before" if job.estimate_s else "may take long: not known"
    yield f"waits: {job.waits_for}" if job.waits_for else "could begin"


@_command("drain")
@click.argument("worker")
def drain(broker: Address | None, identity: Path | None, worker: str) -> None:
    """Give a worker nothing more. What runs there ends; what waits there goes to others.

    It stays so when the worker or the broker is started anew, until `undrain`.
    """
    click.echo(_ask(broker, identity, messages.Drain(worker, True), messages.Done).message)


@_command("undrain")
@click.argument("worker")
def undrain(broker: Address | None, identity: Path | None, worker: str) -> None:
    """Give a worker jobs again."""
    click.echo(_ask(broker, identity, messages.Drain(worker, False), messages.Done).message)


@_command("limit")
@click.argument("client")
@click.option("--jobs", type=click.IntRange(1), help="Queued or running at a time.")
@click.option("--bytes", "size_bytes", type=SizeType(), help="Given for the jobs it has.")
@click.option("--slots", type=click.IntRange(0), help="Held at a time; 0 for any number.")
@click.option(
    "--priority",
    type=click.IntRange(-1000, 1000),
    help="Those of a higher one get slots first; all others have 0. [default: as it is]",
)
@click.option("--reset", "is_reset", is_flag=True, help="Again what all clients may have.")
def limit(
    broker: Address | None,
    identity: Path | None,
    client: str,
    jobs: int | None,
    size_bytes: int | None,
    slots: int | None,
    priority: int | None,
    is_reset: bool,
) -> None:
    """Give one client, as in `client/ann`, limits of its own, whether it is here or not.

    What is not named stays as it is. It holds until it is changed, also when the broker is started
    anew, and for all sessions of the client.
    """
    given = {"jobs": jobs, "bytes": size_bytes, "slots": slots, "priority": priority}
    limits = {name: value for name, value in given.items() if value is not None}
    if bool(limits) == is_reset:
        raise click.UsageError("name at least one limit, or --reset")
    click.echo(_ask(broker, identity, messages.LimitClient(client, limits), messages.Done).message)


@_command("cancel")
@click.argument("client")
@click.argument("job", type=click.IntRange(1), required=False)
def cancel(broker: Address | None, identity: Path | None, client: str, job: int | None) -> None:
    """Take back all jobs of a client, as in `client/ann`, or the one with this number."""
    message = messages.CancelJobs(client, job or 0)
    click.echo(_ask(broker, identity, message, messages.Done).message)


@_command("stop")
@click.option("--drain", "is_draining", is_flag=True, help="When all jobs it has have ended.")
def stop(broker: Address | None, identity: Path | None, is_draining: bool) -> None:
    """Stop the broker. Jobs it has go on when it is started anew."""
    click.echo(_ask(broker, identity, messages.Stop(is_draining), messages.Done).message)
