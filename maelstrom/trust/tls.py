"""TLS with the certificates of one holder, taken up anew whenever its files change.

Rules of this file:
1. TLS 1.3 only, and the signature of the authority is checked by TLS itself. Dates, roles and
   revocations are checked behind it, by `believe`: so who is refused is told exactly why.
2. Files that do not fit together are never taken up: what was loaded before stays.
"""

import os
import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from maelstrom import places
from maelstrom.errors import TrustError
from maelstrom.trust.identity import Certificate, Role, believe

IDENTITY_VARIABLE = "MAELSTROM_IDENTITY"
_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME."""

_UNKNOWN_AUTHORITY = (18, 19, 20, 21)
_NO_TLS = (
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
    "UNEXPECTED_MESSAGE",
    "WRONG_VERSION_NUMBER",
)
_HOST_MISMATCH = (62, 64)


class Tls:
    """The contexts for listening and for connecting, and who is believed."""

    def __init__(
        self,
        directory: Path,
        roles: Collection[Role],
        *,
        revocation_lists: Sequence[Path] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.directory = directory
        self._roles = roles
        self._lists = revocation_lists
        self._clock = clock
        self._seen: tuple[object, ...] = ()
        self.authority = b""
        self.revoked: frozenset[int] = frozenset()
        self.refresh()

    def refresh(self) -> bool:
        """Take up changed files; raises TrustError, and then all is as before."""
        from maelstrom.trust.holder import Holder

        holder = Holder(self.directory)
        watched = (holder.identity, holder.authority, holder.revoked, *self._lists)
        seen = tuple(_stamp(path) for path in watched)
        if seen == self._seen:
            return False
        self._load(holder)
        self._seen = seen
        return True

    def _load(self, holder: Any) -> None:
        from maelstrom.trust import build, files

        own = build.from_pem(holder.certificate())
        hint = "copy the authority's `ca.pem` there"
        authority = files.read(holder.authority, what="the authority's certificate", hint=hint)
        issuer = build.from_pem(authority)
        build.check_signature(own, issuer)
        revoked = frozenset[int]()
        for path in (holder.revoked, *self._lists):
            if path.exists():
                content = files.read(path, what="the revocation list")
                revoked |= build.read_revocation_list(content, issuer)
        certificate = Certificate(
            build.identity_of(own),
            own.serial_number,
            own.not_valid_before_utc.timestamp(),
            own.not_valid_after_utc.timestamp(),
        )
        believe(certificate, now_s=self._clock(), roles=self._roles, revoked=revoked)
        # A newcomer has no certificate yet; what he may do without one is decided later.
        listening = context(ssl.PROTOCOL_TLS_SERVER, holder.identity, authority)
        listening.verify_mode = ssl.CERT_OPTIONAL
        listening.num_tickets = 0
        self.connecting = context(ssl.PROTOCOL_TLS_CLIENT, holder.identity, authority)
        self.listening = listening
        self.certificate, self.authority, self.revoked = certificate, authority, revoked

    def judge(self, found: Mapping[str, Any] | None, roles: Collection[Role]) -> Certificate:
        """Return what the other end presented; raises TrustError unless it is to be believed."""
        certificate = Certificate.of_peer(found)
        self.believe(certificate, roles)
        return certificate

    def believe(self, certificate: Certificate, roles: Collection[Role]) -> None:
        """Accept a certificate here and now; raises TrustError."""
        believe(certificate, now_s=self._clock(), roles=roles, revoked=self.revoked)

    def is_due(self) -> bool:
        """Whether our own certificate should be renewed."""
        return self.certificate.is_due(self._clock())


def find(program: str) -> Path:
    """Return the directory with a program's certificate: where it is said to be, or is by custom.

    The variable, then `maelstrom/PROGRAM` in the user's configuration and in the system's.
    """
    if given := os.environ.get(IDENTITY_VARIABLE):
        return Path(given)
    found = [place / program for place in places.configuration()]
    return next((place for place in found if (place / "identity.pem").exists()), found[0])


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def context(
    protocol: int, identity: Path | None = None, authority: bytes | None = None
) -> ssl.SSLContext:
    """Return how TLS is spoken here; raises TrustError."""
    made = ssl.SSLContext(protocol)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    try:
        if authority is not None:
            made.load_verify_locations(cadata=authority.decode("ascii"))
        if identity is not None:
            made.load_cert_chain(identity)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TrustError(f"the certificate in {identity} cannot be used: {error}") from error
    return made


def explain(error: Exception, *, end: str, presented: Certificate | None = None) -> TrustError:
    """Say in our words why TLS did not come about with the other end."""
    code = getattr(error, "verify_code", None)
    if code in _UNKNOWN_AUTHORITY:
        return TrustError(
            f"{end} has a certificate of another authority than ours",
            hint="both need certificates of one `maelstrom-admin ca`; compare the `ca.pem` files",
        )
    if code in _HOST_MISMATCH:
        return TrustError(
            f"{end} has a certificate for other addresses: {getattr(error, 'verify_message', '')}",
            hint="use an address it was issued for, or issue it with --address for this one too",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return TrustError(f"{end} has a certificate that is not valid: {error.verify_message}")
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS:
        return TrustError(
            f"{end} does not speak TLS",
            hint="is it a broker for plaintext? then write `plain:HOST:PORT`",
        )
    if reason in ("NO_PROTOCOLS_AVAILABLE", "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"):
        return TrustError(f"{end} does not speak TLS 1.3")
    told = f"{end} broke off while TLS was set up: {reason or error or 'no reason given'}"
    if presented is None:
        return TrustError(told)
    return TrustError(told, hint=f"it may not accept our {presented}; its log says why")
