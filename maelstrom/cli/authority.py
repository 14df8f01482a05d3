"""`maelstrom-admin ca`: the private authority, and the directories of certificates' holders."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import platformdirs

from maelstrom.trust import build, files, tokens
from maelstrom.trust.authority import DAYS_DEFAULT, DAYS_MAX, Authority, clock
from maelstrom.trust.holder import Holder
from maelstrom.trust.identity import Identity, Role
from maelstrom.trust.passphrase import FORMS, VARIABLE, Passphrase

AUTHORITY_VARIABLE = "MAELSTROM_ADMIN_CA"

F = TypeVar("F", bound=Callable[..., Any])


def _default_ca() -> Path:
    given = os.environ.get(AUTHORITY_VARIABLE)
    return Path(given) if given else platformdirs.user_config_path("maelstrom") / "ca"


_ca = click.option(
    "--ca",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=_default_ca,
    show_default=f"${AUTHORITY_VARIABLE}, or `maelstrom/ca` in the user's configuration",
    help="The authority's directory.",
)
_passphrase = click.option(
    "--passphrase-from",
    "source",
    metavar="SOURCE",
    envvar=VARIABLE,
    help=f"Where the passphrase of the authority's key is: {FORMS}. Also ${VARIABLE}.",
)
_days = click.option(
    "--days",
    type=click.IntRange(1, DAYS_MAX),
    show_default=", ".join(f"{role} {days}" for role, days in DAYS_DEFAULT.items()),
    help="How long the certificate is valid.",
)
_role = click.Choice([role.value for role in Role])


@click.group()
def ca() -> None:
    """Make certificates: who may connect, as what.

    The authority is a directory of files; there is no program to run. Keep it on the host of the
    broker, or better on one that runs no jobs.

    \b
      maelstrom-admin ca init
      maelstrom-admin ca issue broker main --address build1.lan --out /etc/maelstrom/broker
      maelstrom-admin ca issue client ann --out ~/.config/maelstrom/client

    The authority's key has a passphrase if `ca init --passphrase-from` says where that is, as
    `ask`, `file:PATH`, `env:NAME` or `command:WORDS`; `ca passphrase` changes it. What signs then
    asks at the terminal, unless it is told the same.

    A key need not travel: on the new host `ca request`, here `ca issue --request`, there again
    `ca install`.
    """


def _open(directory: Path, source: str | None) -> Authority:
    return Authority.open(directory, _words(directory, source or "ask"))


def _words(directory: Path, source: str) -> Passphrase:
    return Passphrase(source, f"the authority in {directory}")


@ca.command("init")
@_ca
@_passphrase
@click.option("--name", default="Maelstrom", show_default=True, help="How messages call it.")
def initialise(directory: Path, source: str | None, name: str) -> None:
    """Make a new authority. Whoever can read its `ca.key` can become anybody.

    Unless it has a passphrase: say where that is with --passphrase-from, and without it nobody can
    issue or revoke anything.
    """
    words = None if source is None else _words(directory, source)
    authority = Authority.create(directory, name, now=clock(), passphrase=words)
    click.echo(f"made authority `{name}` in {directory}")
    click.echo(f"pin sha256:{build.pin(authority.certificate)}")


@ca.command()
@_ca
@_passphrase
@_days
@click.option("--address", multiple=True, help="A host or IP a broker is reached at. Repeatable.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Make a key too, and write all its holder needs into this directory.",
)
@click.option(
    "--request", type=click.File("rb"), help="Answer this request on standard output; `-` reads it."
)
@click.argument("role", type=_role)
@click.argument("name")
def issue(
    directory: Path,
    source: str | None,
    days: int | None,
    address: tuple[str, ...],
    out: Path | None,
    request: Any,
    role: str,
    name: str,
) -> None:
    """Issue a certificate to a broker, worker, client, admin or monitor of this name."""
    authority = _open(directory, source)
    identity = Identity(Role(role), name)
    if (out is None) == (request is None):
        raise click.UsageError("give either --out DIRECTORY or --request FILE")
    if out is None:
        asked = request.read()
        click.echo(
            authority.issue(asked, identity, addresses=address, days=days, now=clock()), nl=False
        )
        return
    holder = Holder(out)
    asked = holder.request(str(identity))
    found = authority.issue(asked, identity, addresses=address, days=days, now=clock())
    holder.install(found, authority.pem, authority.revocation_list)
    click.echo(f"wrote {holder.identity}")


@ca.command()
@_ca
@_passphrase
@_days
@click.option(
    "--request",
    type=click.File("rb"),
    help="Renew for the key of this request, on standard output; HOLDER is then the old "
    "certificate's file.",
)
@click.argument("holder", type=click.Path(path_type=Path, exists=True))
def renew(
    directory: Path, source: str | None, days: int | None, request: Any, holder: Path
) -> None:
    """Renew the certificate of a holder's directory, with a new key.

    Daemons take the new one up by themselves, without a restart.
    """
    authority = _open(directory, source)
    if request is not None:
        old = files.read(holder, what="the certificate")
        click.echo(authority.renew(request.read(), old, days=days, now=clock()), nl=False)
        return
    place = Holder(holder)
    old = place.certificate()
    found = authority.renew(
        place.request(str(build.identity_of(build.from_pem(old)))), old, days=days, now=clock()
    )
    place.install(found, authority.pem, authority.revocation_list)
    click.echo(f"renewed {place.identity}")


@ca.command()
@_ca
@_passphrase
@click.argument("who")
def revoke(directory: Path, source: str | None, who: str) -> None:
    """Revoke by serial number or by identity, as in `client/ann`.

    The list is `crl.pem` in the authority's directory. A broker that was started with `--ca` reads
    it within seconds, and cuts open connections too; copy it to others' `--identity` directory.
    """
    fresh = _open(directory, source).revoke(who, now=clock())
    for entry in fresh:
        click.echo(f"revoked certificate {entry.serial} of {entry.identity}")
    if not fresh:
        click.echo(f"{who} was revoked before")


@ca.command("list")
@_ca
def show(directory: Path) -> None:
    """Show what was issued and is still valid."""
    for entry in Authority.open(directory).issued():
        state = "revoked" if entry.revoked else f"until {entry.ends:%Y-%m-%d %H:%M} UTC"
        click.echo(f"{entry.serial:40} {entry.identity:30} {state}")


@ca.command()
@_ca
@click.option("--name", default="*", show_default=True, help="Which names it is good for.")
@click.option("--uses", type=click.IntRange(1, 10_000), default=1, show_default=True)
@click.option(
    "--minutes", type=click.IntRange(1, 10_080), default=tokens.MINUTES_DEFAULT, show_default=True
)
@click.argument("role", type=click.Choice([Role.WORKER.value]))
def token(directory: Path, name: str, uses: int, minutes: int, role: str) -> None:
    """Print a token with which a new worker joins by itself, once.

    It is a secret: hand it over on standard input or in a file, not on a command line.
    """
    authority = Authority.open(directory)
    made = tokens.make(authority, Role(role), name=name, uses=uses, minutes=minutes, now=clock())
    click.echo(str(made))


@ca.command("passphrase")
@_ca
@_passphrase
@click.option(
    "--new-from",
    metavar="SOURCE",
    default="ask",
    show_default=True,
    help=f"Where the new passphrase is: {FORMS}.",
)
@click.option("--remove", "is_removed", is_flag=True, help="Let the key have none.")
def change_passphrase(
    directory: Path, source: str | None, new_from: str, *, is_removed: bool
) -> None:
    """Give the authority's key a passphrase, another one, or none.

    Copies of the old `ca.key` open with the old passphrase for ever: remove them.
    """
    new = None if is_removed else _words(directory, new_from)
    _open(directory, source).change_passphrase(new)
    click.echo(f"the key in {directory} has {'no' if is_removed else 'a new'} passphrase")


@ca.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.argument("name", default="")
def request(out: Path, name: str) -> None:
    """Make a key in a directory of this host, and print the request for its certificate."""
    click.echo(Holder(out).request(name or "request"), nl=False)


@ca.command()
@click.option("--authority", type=click.File("rb"), required=True, help="The authority's `ca.pem`.")
@click.option("--revoked", type=click.File("rb"), help="The authority's `crl.pem`.")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
def install(authority: Any, revoked: Any, out: Path) -> None:
    """Take the certificate from standard input that answers the last request of a directory."""
    holder = Holder(out)
    crl = revoked.read() if revoked is not None else b""
    holder.install(sys.stdin.buffer.read(), authority.read(), crl)
    click.echo(f"wrote {holder.identity}")
