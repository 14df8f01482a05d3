"""Decide which certificates hosts need. Pure: the authority's certificate and the time come in."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from maelstrom.errors import MaelstromError
from maelstrom.trust import build
from maelstrom.trust.identity import Identity, Role
from provision import layout
from provision.actions import Certify, WriteFile
from provision.facts import Facts
from provision.inventory import Host
from provision.plan import Change


@dataclass(frozen=True, slots=True)
class Trust:
    """What the operator's authority says at this moment."""

    authority: x509.Certificate
    revocation_list: bytes
    now: datetime
    is_forced: bool = False  # Renew what is good, too.

    @property
    def revoked(self) -> frozenset[int]:
        """Return the serial numbers that are no longer believed."""
        return build.read_revocation_list(self.revocation_list, self.authority)


def identity(role: str, host: Host) -> Identity:
    """Return whom a daemon's certificate speaks for."""
    name = host.worker.name if role == "worker" and host.worker else "main"
    return Identity(Role(role), name)


def addresses(role: str, host: Host) -> tuple[str, ...]:
    """Return at which addresses a daemon is reached; workers are not reached at all."""
    if role != "broker" or host.broker is None:
        return ()
    # Tests and people on the broker's host itself come by the loopback.
    return tuple(dict.fromkeys((host.broker.address, "localhost", "127.0.0.1")))


def plan_certificates(host: Host, facts: Facts, trust: Trust) -> Iterator[Change]:
    """Yield the certificates that a host needs, each with the reason."""
    for role in host.roles:
        reason = renewal_reason(role, host, facts, trust)
        if reason:
            who = identity(role, host)
            yield Change(Certify(role, who.name, addresses(role, host)), reason)


def plan_revocations(host: Host, facts: Facts, trust: Trust) -> Iterator[Change]:
    """Yield the lists of revoked certificates that differ from the authority's."""
    for role in host.roles:
        path = f"{layout.tls(role)}/crl.pem"
        state = facts.paths.get(path)
        if state is None or not facts.certificates.get(role):
            continue  # It comes with the certificate.
        try:
            known = build.read_revocation_list(state.content, trust.authority)
        except MaelstromError:
            known = None
        if known != trust.revoked:
            text = trust.revocation_list.decode()
            action = WriteFile(path, text, 0o644, layout.user(role), layout.user(role))
            yield Change(action, "other certificates are revoked")


def renewal_reason(role: str, host: Host, facts: Facts, trust: Trust) -> str:
    """Return why a daemon needs another certificate; nothing when it does not."""
    text = facts.certificates.get(role, "")
    if not text:
        return "there is none"
    try:
        found = build.from_pem(text.encode())
        build.check_signature(found, trust.authority)
        who, where = build.identity_of(found), build.addresses_of(found)
    except MaelstromError as error:
        return error.message
    ca = facts.paths.get(f"{layout.tls(role)}/ca.pem")
    if ca is None or ca.content.strip() != build.to_pem(trust.authority).strip():
        return "it believes another authority"
    if who != identity(role, host):
        return f"it is of {who}"
    if set(where) != set(addresses(role, host)):
        return f"it is for {', '.join(where) or 'no address'}"
    if found.serial_number in trust.revoked:
        return "it was revoked"
    return _age_reason(found, trust)


def _age_reason(found: x509.Certificate, trust: Trust) -> str:
    return age(found, trust.now) or ("a new one is wanted" if trust.is_forced else "")


def age(found: x509.Certificate, now: datetime) -> str:
    """Return that a certificate has expired, or will soon; nothing if it has most of its life."""
    begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
    if now >= ends:
        return f"it expired on {ends:%Y-%m-%d}"
    if now >= ends - (ends - begins) / 3:
        return f"it expires on {ends:%Y-%m-%d}"
    return ""


def warning(text: str, now: datetime) -> str:
    """Return what is to be said about the age of a certificate, if there is one."""
    try:
        return age(build.from_pem(text.encode()), now)
    except MaelstromError:
        return ""


def days_left(text: str, now: datetime) -> float | None:
    """Return how many days a certificate is still valid; nothing if there is none."""
    try:
        return (build.from_pem(text.encode()).not_valid_after_utc - now).total_seconds() / 86400
    except MaelstromError:
        return None
