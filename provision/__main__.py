"""The command line behind the `cluster_*` sessions of nox: `python -m provision --help`."""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, Unpack

import click

from maelstrom.errors import MaelstromError, UserError
from maelstrom.trust.passphrase import VARIABLE
from provision import inventory_text, status
from provision.cluster import Options, Run
from provision.inventory import read_inventory
from provision.local import WORKERS_MAX, LocalCluster
from provision.local_state import LocalState
from provision.looking import follow, look
from provision.signer import Signer

INCOMPLETE = 1
INTERRUPTED = 130


class Flags(TypedDict):
    """What the commands that change hosts have in common."""

    shows_only: bool
    is_confirmed: bool
    has_no_diff: bool
    asks_sudo: bool
    accept_new: tuple[str, ...]
    limit: tuple[str, ...]


def _options(flags: Flags) -> Options:
    return Options(
        shows_only=flags["shows_only"],
        is_confirmed=flags["is_confirmed"],
        with_diffs=not flags["has_no_diff"],
        may_ask=not flags["is_confirmed"] and sys.stdin.isatty(),
        asks_sudo=flags["asks_sudo"],
        accepts_new=frozenset(flags["accept_new"]),
        limit=frozenset(flags["limit"]),
    )


def _run(inventory: Path, options: Options) -> Run:
    return _run_of(_read(inventory), inventory, options)


def _run_of(text: str, inventory: Path, options: Options) -> Run:
    state = LocalState(inventory)
    read = read_inventory(text, inventory.name)
    passphrase = os.environ.get(VARIABLE) or read.ca_passphrase
    return Run(
        read,
        state,
        options,
        say=click.echo,
        ask=_ask,
        authority=Signer(state.directory / "ca", f"Maelstrom {inventory.stem}", passphrase),
    )


def _local(inventory: Path) -> LocalCluster:
    return LocalCluster(inventory.resolve().parent / f".{inventory.stem}-local")


def _read(inventory: Path) -> str:
    try:
        return inventory.read_text()
    except FileNotFoundError:
        raise UserError(
            f"there is no `{inventory}`", hint="`nox -s cluster_init` writes one to begin with"
        ) from None


def _ask(question: str) -> bool:
    if not sys.stdin.isatty():
        click.echo(f"{question} nobody is there to answer; `--yes` says yes beforehand")
        return False
    return click.confirm(question, default=False)


_inventory = click.option(
    "--inventory",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("cluster.toml"),
    show_default=True,
    help="Which cluster.",
)
_FLAGS = (
    click.option("--plan", "shows_only", is_flag=True, help="Show the changes, make none."),
    click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask before changes."),
    click.option("--no-diff", "has_no_diff", is_flag=True, help="Do not show what differs."),
    click.option("--ask-sudo", "asks_sudo", is_flag=True, help="Ask for sudo's password."),
    click.option(
        "--accept-new",
        multiple=True,
        metavar="HOST",
        help="Trust the key that this host shows at the first contact.",
    ),
    click.option("--limit", multiple=True, metavar="HOST", help="Only this host."),
)


def _changing(command: Callable[..., None]) -> Callable[..., None]:
    for option in (_inventory, *_FLAGS):
        command = option(command)
    return command


@click.group(context_settings={"max_content_width": 100})
def cluster() -> None:
    """Bring a cluster onto hosts over SSH, and keep it as `cluster.toml` says."""


@cluster.command()
@_inventory
def init(inventory: Path) -> None:
    """Write an inventory to begin with, every key explained."""
    try:
        with inventory.open("x") as file:
            file.write(inventory_text.TEMPLATE)
    except FileExistsError:
        raise UserError(
            f"there is a `{inventory}` already", hint="change it with an editor"
        ) from None
    click.echo(f"wrote {inventory}: put your hosts in, then `nox -s cluster_up`")


@cluster.command()
@_changing
def plan(inventory: Path, **flags: Unpack[Flags]) -> None:
    """Show what `up` would change, and change nothing."""
    flags["shows_only"] = True
    _finish(is_whole=_run(inventory, _options(flags)).up())


@cluster.command()
@_changing
@click.option(
    "--local",
    "workers",
    type=click.IntRange(1, WORKERS_MAX),
    metavar="N",
    help="Not on hosts: start a broker and N workers on this machine.",
)
def up(inventory: Path, *, workers: int | None, **flags: Unpack[Flags]) -> None:
    """Make the hosts as the inventory says; change nothing that is so already."""
    if workers is not None:
        place = _local(inventory).up(workers)
        count = f"{workers} worker{'s' * (workers != 1)}"
        click.echo(f"a broker and {count} run on this machine; to use them:")
        click.echo(f"  nox -s demo -- --maelstrom-broker={place}               # in this checkout")
        click.echo(f"  scons test --maelstrom --maelstrom-broker={place}    # in your project")
        click.echo("`nox -s cluster_down -- --local` ends them")
        return
    _finish(is_whole=_run(inventory, _options(flags)).up())


@cluster.command()
@_changing
def upgrade(inventory: Path, **flags: Unpack[Flags]) -> None:
    """Bring the version of this checkout: the broker, then one worker after the other.

    A worker ends what it runs before it is stopped. When a host does not come up with the new
    version, all go back to the one before.
    """
    _finish(is_whole=_run(inventory, _options(flags)).up())


@cluster.command()
@_changing
def rotate(inventory: Path, **flags: Unpack[Flags]) -> None:
    """Give the daemons new keys and certificates; nothing is restarted."""
    _finish(is_whole=_run(inventory, _options(flags)).rotate())


@cluster.command()
@_changing
@click.argument("name")
@click.argument("host")
@click.option("--slots", type=click.IntRange(0, 1000), default=0, help="Cases at a time.")
def add(inventory: Path, name: str, host: str, slots: int, **flags: Unpack[Flags]) -> None:
    """Add a worker to the inventory, and bring it up."""
    before = _read(inventory)
    text = inventory_text.with_worker(before, name, host, slots)
    run = _run_of(text, inventory, _options(flags))
    if not flags["shows_only"]:
        inventory.write_text(text)
        click.echo(f"{name} is in {inventory.name} now")
    is_whole = run.up()
    if run.is_declined:
        inventory.write_text(before)
        click.echo(f"{name} is not in {inventory.name}")
    _finish(is_whole=is_whole)


@cluster.command()
@_changing
@click.argument("name")
@click.option("--forget", is_flag=True, help="The host is gone for good: do not connect to it.")
def remove(inventory: Path, name: str, *, forget: bool, **flags: Unpack[Flags]) -> None:
    """Take a worker off its host, out of the inventory, and revoke its certificate."""
    text = inventory_text.without_worker(_read(inventory), name)
    read_inventory(text, inventory.name)
    run = _run(inventory, _options(flags))
    is_whole = run.remove(name, is_gone=forget)
    if is_whole and not flags["shows_only"]:
        inventory.write_text(text)
        click.echo(f"{name} is no longer in {inventory.name}")
        # The broker has to hear of the certificate that was revoked.
        is_whole = _run_of(text, inventory, _options({**flags, "limit": ()})).up()
    _finish(is_whole=is_whole)


@cluster.command("status")
@_inventory
@click.option("--ask-sudo", is_flag=True, help="Ask for sudo's password.")
@click.option("--json", "is_json", is_flag=True, help="For programs.")
def show_status(inventory: Path, *, ask_sudo: bool, is_json: bool) -> None:
    """Show how each host is; the exit status is 1 when one is not well."""
    found, is_whole = look(_run(inventory, Options(asks_sudo=ask_sudo, may_ask=False)))
    if is_json:
        click.echo(json.dumps(status.plain(found), indent=1))
    else:
        click.echo("\n".join(status.table(found)))
    _finish(is_whole=is_whole and all(row.is_well for row in found))


@cluster.command()
@_inventory
@click.option("--ask-sudo", is_flag=True, help="Ask for sudo's password.")
@click.option("--lines", type=click.IntRange(0), default=50, show_default=True)
@click.option("--follow", "is_followed", is_flag=True, help="Go on with what comes.")
@click.option("--limit", multiple=True, metavar="HOST", help="Only this host.")
def logs(
    inventory: Path, *, ask_sudo: bool, lines: int, is_followed: bool, limit: tuple[str, ...]
) -> None:
    """Show what the daemons wrote to their journals."""
    options = Options(asks_sudo=ask_sudo, may_ask=False, limit=frozenset(limit))
    run = _run(inventory, options)
    _finish(is_whole=follow(run, lines, is_followed=is_followed, say=click.echo))


@cluster.command()
@_changing
@click.option("--local", "is_local", is_flag=True, help="End what `up --local` started.")
def down(inventory: Path, *, is_local: bool, **flags: Unpack[Flags]) -> None:
    """Take everything of ours off the hosts; the authority stays on this machine."""
    if is_local:
        click.echo(f"{_local(inventory).down()} programs were ended")
        return
    _finish(is_whole=_run(inventory, _options(flags)).down())


def _finish(*, is_whole: bool) -> None:
    if not is_whole:
        sys.exit(INCOMPLETE)


def main() -> int:
    """Run it."""
    # What it has to say is said by us.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    # Who is ended by another program, or loses his terminal, ends as by Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        cluster(prog_name="cluster", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted: every host is before or after a change; run it again to go on")
        return INTERRUPTED
    except MaelstromError as error:
        click.echo(f"cluster: {error}", err=True)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
