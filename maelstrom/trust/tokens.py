"""Tokens with which a new host joins: each is good for a few certificates, then for nothing.

    token = ID.SECRET@sha256:PIN

The authority keeps only the digest of the secret. The pin tells the newcomer which authority to
believe before it has any certificate: nobody in between can pass for the broker.
"""

import fnmatch
import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from maelstrom.errors import TrustError, UserError
from maelstrom.trust import build, files
from maelstrom.trust.authority import Authority
from maelstrom.trust.identity import Identity, Role

MINUTES_DEFAULT = 60
TOKENS_MAX = 1000
_FORM = re.compile(r"([0-9a-f]{12})\.([A-Za-z0-9_-]{43})@sha256:([0-9a-f]{64})")


class Token(NamedTuple):
    """What a newcomer is given."""

    id: str
    secret: str
    pin: str

    def __str__(self) -> str:
        return f"{self.id}.{self.secret}@sha256:{self.pin}"


class Kept(msgspec.Struct):
    """What the authority keeps of a token."""

    id: str
    digest: str
    role: Role
    name: str
    """Which names it is good for; `*` stands for anything."""
    uses: int
    ends: datetime


def parse(text: str) -> Token:
    """Read a token; raises UserError without repeating the secret."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise UserError(
            "this is not a join token", hint="make one with `maelstrom-admin ca token worker`"
        )
    return Token(*found.groups())


def make(
    authority: Authority,
    role: Role,
    *,
    name: str = "*",
    uses: int = 1,
    minutes: int = MINUTES_DEFAULT,
    now: datetime,
) -> Token:
    """Return a new token."""
    if role is not Role.WORKER:
        raise UserError(
            f"a join token cannot make a {role}", hint="use `maelstrom-admin ca issue` for others"
        )
    token = Token(secrets.token_hex(6), secrets.token_urlsafe(32), build.pin(authority.certificate))
    entry = Kept(token.id, _digest(token), role, name, uses, now + timedelta(minutes=minutes))
    with files.locked(authority.directory):
        kept = [each for each in _load(authority) if each.ends > now]
        if len(kept) >= TOKENS_MAX:
            raise UserError(f"there are {len(kept)} tokens that were not used")
        _save(authority, [*kept, entry])
    return token


def use(
    authority: Authority, token: Token, identity: Identity, request: bytes, *, now: datetime
) -> bytes:
    """Return a certificate for a newcomer; raises TrustError, and then the token is as before."""
    build.public_key(request)
    with files.locked(authority.directory):
        kept = [each for each in _load(authority) if each.ends > now]
        found = next((each for each in kept if each.id == token.id), None)
        # Compared even if there is none, so that the time tells nothing.
        expected = found.digest if found is not None else ""
        if not hmac.compare_digest(expected, _digest(token)) or found is None:
            raise TrustError(
                f"join token {token.id} is unknown, used up or too old",
                hint="make another with `maelstrom-admin ca token worker`",
            )
        if identity.role is not found.role or not fnmatch.fnmatchcase(identity.name, found.name):
            raise TrustError(
                f"join token {token.id} is for {found.role}/{found.name}, not for {identity}"
            )
        found.uses -= 1
        _save(authority, [each for each in kept if each.uses > 0])
    return authority.issue(request, identity, now=now)


def _digest(token: Token) -> str:
    return hashlib.sha256(token.secret.encode()).hexdigest()


def _load(authority: Authority) -> list[Kept]:
    path = authority.directory / "tokens.json"
    if not path.exists():
        return []
    try:
        return msgspec.json.decode(files.read(path, what="the tokens"), type=list[Kept])
    except msgspec.DecodeError as error:
        raise TrustError(f"{path} cannot be read: {error}") from error


def _save(authority: Authority, kept: list[Kept]) -> None:
    files.write(authority.directory / "tokens.json", msgspec.json.encode(kept), files.PRIVATE)
