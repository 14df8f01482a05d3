"""The operator's authority: it signs what hosts ask for, and keeps its key on this machine."""

import re
import threading
from pathlib import Path

from maelstrom.errors import TrustError, UserError
from maelstrom.trust import build, files
from maelstrom.trust.authority import Authority, clock
from maelstrom.trust.holder import Holder
from maelstrom.trust.identity import Identity, Role
from maelstrom.trust.passphrase import Passphrase
from provision.actions import Certify
from provision.certificates import Trust, days_left, identity
from provision.inventory import Host

# A client's certificate is good for thirty days.
CLIENT_DAYS_MIN = 10


class Signer:
    """The authority of one cluster, made when it is first needed."""

    def __init__(self, directory: Path, name: str, passphrase: str = "") -> None:
        self._directory = directory
        self._name = name
        self._source = passphrase  # Where it is, if the key is to have one.
        # Hosts are worked on at the same time.
        self._lock = threading.Lock()
        self._opened: Authority | None = None

    @property
    def _authority(self) -> Authority:
        with self._lock:
            if self._opened is None:
                if (self._directory / "ca.key").exists():
                    self._opened = self._open()
                else:
                    words = self._words(self._source) if self._source else None
                    self._opened = Authority.create(
                        self._directory, self._name, now=clock(), passphrase=words
                    )
            return self._opened

    def _open(self) -> Authority:
        opened = Authority.open(self._directory, self._words(self._source or "ask"))
        if self._source and not opened.has_passphrase:
            raise UserError(
                f"the authority's key in {self._directory} has no passphrase, and the inventory"
                " wants one",
                hint=f"give it one: `maelstrom-admin ca passphrase --ca {self._directory}`",
            )
        return opened

    def _words(self, source: str) -> Passphrase:
        return Passphrase(source, f"the authority in {self._directory}")

    def unlock(self) -> None:
        """Get the passphrase, if there is one, before much depends on it."""
        self._authority.unlock()

    def trust(self, *, is_forced: bool = False) -> Trust:
        """Return what plans need to know."""
        authority = self._authority
        return Trust(authority.certificate, authority.revocation_list, clock(), is_forced)

    def pems(self) -> tuple[str, str]:
        """Return its certificate and what it has revoked."""
        return self._authority.pem.decode(), self._authority.revocation_list.decode()

    def sign(self, host: Host, action: Certify, request: str, days: int) -> str:
        """Return the certificate for a request that came from this host."""
        who = identity(action.role, host)
        signed = self._authority.issue(
            request.encode(), who, addresses=action.addresses, days=days, now=clock()
        )
        return signed.decode()

    def client(self, directory: Path, name: str) -> Path:
        """Return a directory with a certificate for running tests, made or renewed if need be."""
        holder = Holder(directory)
        # Names of users may have characters in them that identities may not.
        who = Identity(Role.CLIENT, re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "operator")
        if not self._is_good(holder):
            request = holder.request(str(who))
            signed = self._authority.issue(request, who, now=clock())
            authority, revoked = self._authority.pem, self._authority.revocation_list
            holder.install(signed, authority, revoked)
        elif holder.revoked.read_bytes() != self._authority.revocation_list:
            files.write(holder.revoked, self._authority.revocation_list, files.PUBLIC)
        return directory

    def _is_good(self, holder: Holder) -> bool:
        try:
            text = holder.certificate().decode()
            is_ours = holder.authority.read_bytes() == self._authority.pem
        except (OSError, TrustError):
            return False
        is_revoked = build.from_pem(text.encode()).serial_number in self.trust().revoked
        return is_ours and not is_revoked and (days_left(text, clock()) or 0) > CLIENT_DAYS_MIN

    def revoke(self, who: Identity) -> int:
        """Believe no certificate of somebody any more; return how many those were."""
        if not any(entry.identity == str(who) for entry in self._authority.issued()):
            return 0
        return len(self._authority.revoke(str(who), now=clock()))
