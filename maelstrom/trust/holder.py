"""The directory of one holder of a certificate: a broker, a worker, a client.

directory (0700)
├── identity.pem   0600  its private key and its certificate, in one file: replaced at once
├── ca.pem         0644  the authority it believes
├── crl.pem        0644  what the authority has revoked; may be missing
└── next.key       0600  a key whose certificate is asked for
"""

from pathlib import Path

from maelstrom.errors import TrustError
from maelstrom.trust import build, files

_HINT = (
    "make one with `maelstrom-admin ca issue` on the host of the authority; without any, "
    "only unix:PATH and plain:127.0.0.1:PORT can be used"
)


class Holder:
    """A directory with an identity, or one that is to have one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.identity = directory / "identity.pem"
        self.authority = directory / "ca.pem"
        self.revoked = directory / "crl.pem"
        self._next = directory / "next.key"

    @property
    def is_complete(self) -> bool:
        """Whether there is an identity."""
        return self.identity.exists() and self.authority.exists()

    def request(self, name: str) -> bytes:
        """Make a new key, keep it here, and return the request for its certificate."""
        files.make_directory(self.directory)
        key = build.new_key()
        files.write(self._next, build.key_to_pem(key), files.PRIVATE)
        return build.request(key, name)

    def install(self, certificate: bytes, authority: bytes, revoked: bytes = b"") -> None:
        """Take the certificate for the key of the last request; raises TrustError if it is not.

        What it replaces stays in use until the new one is whole.
        """
        key = build.key_from_pem(files.read_secret(self._next, what="the key of a request"))
        found = build.from_pem(certificate)
        issuer = build.from_pem(authority)
        build.check_signature(found, issuer)
        if found.public_key() != key.public_key():
            raise TrustError(
                f"the certificate is not for the key in {self._next}",
                hint="it answers an older request; ask again",
            )
        if revoked:
            build.read_revocation_list(revoked, issuer)
            files.write(self.revoked, revoked, files.PUBLIC)
        files.write(self.authority, build.to_pem(issuer), files.PUBLIC)
        files.write(self.identity, build.key_to_pem(key) + build.to_pem(found), files.PRIVATE)
        self._next.unlink(missing_ok=True)

    def certificate(self) -> bytes:
        """Return its own certificate; raises TrustError."""
        content = files.read_secret(self.identity, what="the certificate", hint=_HINT)
        return build.to_pem(build.from_pem(content))
