"""The private authority: issues, renews and revokes certificates, and remembers which.

    directory (0700)
    ├── ca.key         0600  its private key, encrypted if there is a passphrase
    ├── ca.pem         0644  its certificate: all that others need to recognise what it issued
    ├── crl.pem        0644  what it has revoked
    ├── issued.json    0600  what it has issued and is still valid
    └── tokens.json    0600  join tokens that are not used up (see trust.tokens)

Rules of this file:
1. The authority decides who somebody is and for how long; of a request only the public key counts.
2. Each change is written under the lock of the directory, the record before the certificate leaves.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509

from maelstrom.errors import TrustError, UserError
from maelstrom.trust import build, files
from maelstrom.trust.identity import Identity, Role
from maelstrom.trust.passphrase import FORMS, VARIABLE, Passphrase

DAYS_DEFAULT = {Role.BROKER: 7, Role.WORKER: 7, Role.CLIENT: 30, Role.ADMIN: 30, Role.MONITOR: 30}
DAYS_MAX = 825


class Issued(msgspec.Struct):
    """One certificate, as the authority remembers it."""

    serial: str
    identity: str
    ends: datetime
    addresses: tuple[str, ...] = ()
    revoked: datetime | None = None


class Authority:
    """An authority in its directory."""

    def __init__(
        self,
        directory: Path,
        secret: bytes,
        certificate: x509.Certificate,
        passphrase: Passphrase | None = None,
    ) -> None:
        self.directory = directory
        self.certificate = certificate
        self._secret = secret
        self._passphrase = passphrase
        self._opened: build.Key | None = None

    @classmethod
    def create(
        cls, directory: Path, name: str, *, now: datetime, passphrase: Passphrase | None = None
    ) -> "Authority":
        """Make a new authority; raises UserError where there is one."""
        files.make_directory(directory)
        with files.locked(directory):
            if (directory / "ca.key").exists():
                raise UserError(
                    f"there is an authority in {directory}",
                    hint="a new one would make every certificate of it worthless; use --ca for "
                    "another directory",
                )
            key, certificate = build.authority(name, now)
            words = None if passphrase is None else passphrase.get(is_new=True)
            secret = build.key_to_pem(key, words)
            files.write(directory / "ca.pem", build.to_pem(certificate), files.PUBLIC)
            files.write(directory / "ca.key", secret, files.PRIVATE)
            authority = cls(directory, secret, certificate, passphrase)
            authority._opened = key
            authority._keep([], now)
        return authority

    @classmethod
    def open(cls, directory: Path, passphrase: Passphrase | None = None) -> "Authority":
        """Return the authority of a directory; raises TrustError.

        A passphrase is fetched when something is first to be signed.
        """
        hint = "make an authority with `maelstrom-admin ca init`"
        secret = files.read_secret(directory / "ca.key", what="the authority's key", hint=hint)
        public = files.read(directory / "ca.pem", what="the authority's certificate", hint=hint)
        authority = cls(directory, secret, build.from_pem(public), passphrase)
        if not authority.is_locked:
            authority.unlock()
        return authority

    @property
    def is_locked(self) -> bool:
        """Whether a passphrase is needed before something can be signed."""
        return self._opened is None and build.is_encrypted(self._secret)

    @property
    def has_passphrase(self) -> bool:
        """Whether its key is encrypted on disk."""
        return build.is_encrypted(self._secret)

    def unlock(self) -> build.Key:
        """Return the private key, with the passphrase if there is one; raises TrustError."""
        if self._opened is None:
            words = None
            if build.is_encrypted(self._secret):
                if self._passphrase is None:
                    raise TrustError(
                        f"the authority's key in {self.directory} has a passphrase",
                        hint=f"say where that is: {VARIABLE} can be {FORMS}",
                    )
                words = self._passphrase.get()
            try:
                self._opened = build.key_from_pem(self._secret, words)
            except TrustError as error:
                raise TrustError(f"{self.directory / 'ca.key'}: {error.message}") from error
        return self._opened

    def change_passphrase(self, new: Passphrase | None) -> None:
        """Encrypt the key with another passphrase, or with none."""
        key = self.unlock()
        words = None if new is None else new.get(is_new=True)
        with files.locked(self.directory):
            self._secret = build.key_to_pem(key, words)
            files.write(self.directory / "ca.key", self._secret, files.PRIVATE)
        self._passphrase = new

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return build.to_pem(self.certificate)

    @property
    def revocation_list(self) -> bytes:
        """What it has revoked, signed."""
        return files.read(self.directory / "crl.pem", what="the revocation list")

    def issued(self) -> list[Issued]:
        """Return what it has issued and is not expired, oldest first."""
        path = self.directory / "issued.json"
        content = files.read(path, what="the record of certificates")
        try:
            return msgspec.json.decode(content, type=list[Issued])
        except msgspec.DecodeError as error:
            raise TrustError(f"{path} cannot be read: {error}") from error

    def issue(
        self,
        request: bytes,
        identity: Identity,
        *,
        addresses: Sequence[str] = (),
        days: int | None = None,
        now: datetime,
    ) -> bytes:
        """Return a certificate for the key of a request (PEM), for names or IPs it listens on."""
        if identity.role is Role.BROKER and not addresses:
            raise UserError(
                f"a certificate for {identity} needs the addresses it is reached at",
                hint="add --address HOST or --address IP, as often as needed",
            )
        days = DAYS_DEFAULT[identity.role] if days is None else days
        if not 1 <= days <= DAYS_MAX:
            raise UserError(f"{days} days of life; it must be between 1 and {DAYS_MAX}")
        ends = min(now + timedelta(days=days), self.certificate.not_valid_after_utc)
        key = self.unlock()
        certificate = build.leaf(
            key,
            self.certificate,
            build.public_key(request),
            identity,
            addresses=addresses,
            begins=now,
            ends=ends,
        )
        entry = Issued(f"{certificate.serial_number:x}", str(identity), ends, tuple(addresses))
        with files.locked(self.directory):
            self._keep([*self.issued(), entry], now)
        return build.to_pem(certificate)

    def renew(self, request: bytes, old: bytes, *, days: int | None = None, now: datetime) -> bytes:
        """Return a certificate for the same identity and addresses; raises TrustError.

        The old one must be of this authority and not revoked. That it has expired is no matter:
        whoever holds the authority's key may renew what he likes. Over the network only the holder
        of a valid certificate gets this far.
        """
        certificate = build.from_pem(old)
        serial = f"{certificate.serial_number:x}"
        build.check_signature(certificate, self.certificate)
        identity = build.identity_of(certificate)
        if any(entry.serial == serial and entry.revoked for entry in self.issued()):
            raise TrustError(f"certificate {serial} of {identity} was revoked and is not renewed")
        return self.issue(
            request, identity, addresses=build.addresses_of(certificate), days=days, now=now
        )

    def revoke(self, who: str, *, now: datetime) -> list[Issued]:
        """Revoke by serial number or identity; returns what was revoked by this call."""
        self.unlock()
        with files.locked(self.directory):
            entries = self.issued()
            found = [
                entry for entry in entries if who.lower() in (entry.serial, entry.identity.lower())
            ]
            if not found:
                raise UserError(
                    f"nothing was issued to `{who}` that is still valid",
                    hint="`maelstrom-admin ca list` shows what was",
                )
            fresh = [entry for entry in found if entry.revoked is None]
            for entry in fresh:
                entry.revoked = now
            self._keep(entries, now)
        return fresh

    def _keep(self, entries: list[Issued], now: datetime) -> None:
        # A day more than needed: hosts whose clocks are late must be told, too.
        kept = [entry for entry in entries if entry.ends > now - timedelta(days=1)]
        content = msgspec.json.format(msgspec.json.encode(kept))
        files.write(self.directory / "issued.json", content, files.PRIVATE)
        revoked = [(int(entry.serial, 16), entry.revoked) for entry in kept if entry.revoked]
        listed = build.revocation_list(self.unlock(), self.certificate, revoked, now)
        files.write(self.directory / "crl.pem", listed, files.PUBLIC)


def clock() -> datetime:
    """Return the time for the programs that use an authority."""
    return datetime.now(UTC)
