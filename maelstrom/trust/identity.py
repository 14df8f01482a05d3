"""Who a certificate speaks for, and whether it is to be believed; no I/O, no clock.

Rules of this file:
1. The authority decides who somebody is: the identity is a URI in the certificate, and it is the
   only place where a role or a name is read from.
2. Every refusal names the certificate and the reason, and tells what to do.
"""

import enum
import re
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from maelstrom.errors import TrustError, UserError

URI_PREFIX = "spiffe://maelstrom/"
CLOCK_DIFFERENCE_S_MAX = 300.0
"""Clocks of hosts may differ by this much before a certificate is not valid yet."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


class Role(enum.StrEnum):
    """What the holder of a certificate may be."""

    BROKER = "broker"
    WORKER = "worker"
    CLIENT = "client"
    ADMIN = "admin"
    MONITOR = "monitor"


@dataclass(frozen=True, slots=True)
class Identity:
    """A role and a name, printed `worker/alpha`."""

    role: Role
    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(
                f"`{self.name}` cannot be the name of a {self.role}",
                hint="use up to 63 letters, digits, dots, dashes and underscores",
            )

    def __str__(self) -> str:
        return f"{self.role}/{self.name}"

    @property
    def uri(self) -> str:
        """How a certificate says it."""
        return URI_PREFIX + str(self)

    @classmethod
    def parse(cls, text: str) -> "Identity":
        """Read what `str` gives; raises UserError."""
        role, slash, name = text.partition("/")
        if not slash or role not in list(Role):
            raise UserError(
                f"`{text}` is not an identity", hint="write for example worker/alpha or client/ann"
            )
        return cls(Role(role), name)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is read of a certificate whose signature was checked."""

    identity: Identity
    serial: int
    begins_s: float
    ends_s: float

    def __str__(self) -> str:
        return f"certificate {self.serial:x} of {self.identity}"

    @classmethod
    def of_peer(cls, found: Mapping[str, Any] | None) -> "Certificate":
        """Read what `SSLObject.getpeercert` gives; raises TrustError if it is none of ours."""
        if not found:
            raise TrustError("the other end has no certificate")
        names = [value for kind, value in found.get("subjectAltName", ()) if kind == "URI"]
        ours = [name for name in names if name.startswith(URI_PREFIX)]
        if len(ours) != 1:
            raise TrustError(
                f"certificate {found['serialNumber']} does not say whose it is",
                hint="issue it with `maelstrom-admin ca issue`",
            )
        try:
            identity = Identity.parse(ours[0].removeprefix(URI_PREFIX))
        except UserError as error:
            raise TrustError(error.message, hint=error.hint) from error
        return cls(
            identity,
            int(found["serialNumber"], 16),
            float(ssl.cert_time_to_seconds(found["notBefore"])),
            float(ssl.cert_time_to_seconds(found["notAfter"])),
        )

    def is_due(self, now_s: float) -> bool:
        """Whether less than a third of its life is left, so that it should be renewed."""
        return now_s > self.ends_s - (self.ends_s - self.begins_s) / 3


def believe(
    certificate: Certificate,
    *,
    now_s: float,
    roles: Collection[Role],
    revoked: Collection[int] = (),
) -> None:
    """Accept a certificate for one of these roles; raises TrustError that names what is wrong."""
    if now_s > certificate.ends_s:
        raise TrustError(
            f"{certificate} expired at {_moment(certificate.ends_s)}; "
            f"it is {_moment(now_s)} here, {_amount(now_s - certificate.ends_s)} later",
            hint="renew it with `maelstrom-admin ca renew`, or mend the clock that is wrong",
        )
    if now_s + CLOCK_DIFFERENCE_S_MAX < certificate.begins_s:
        raise TrustError(
            f"{certificate} is not valid before {_moment(certificate.begins_s)}; "
            f"it is {_moment(now_s)} here, {_amount(certificate.begins_s - now_s)} earlier",
            hint="a clock is wrong by at least that: this host's, or the authority's",
        )
    if certificate.serial in revoked:
        raise TrustError(
            f"{certificate} was revoked", hint="ask who runs the authority for another"
        )
    if certificate.identity.role not in roles:
        wanted = " or ".join(sorted(roles))
        raise TrustError(
            f"{certificate} has the wrong role: this needs {wanted}",
            hint=f"use a certificate that was issued for the role {wanted}",
        )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _amount(seconds: float) -> str:
    """Return a length of time by its two largest units."""
    minutes = max(1, round(seconds / 60))
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
