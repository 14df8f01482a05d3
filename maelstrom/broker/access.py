"""Who may connect as what.

Rules of this file:
1. What a connection is for must be something its certificate's role allows.
2. Somebody without a certificate can do nothing but ask for one.
3. A certificate that is revoked or expires ends its open connections; their owner may come back
   with a better one, and then goes on where he was.
4. On Unix sockets and plaintext connections of this machine there are no certificates: whoever can
   connect is trusted as the user who runs the broker.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from maelstrom.errors import MaelstromError, TrustError
from maelstrom.log import Log
from maelstrom.trust import identity
from maelstrom.trust.tls import Tls
from maelstrom.wire.connection import Connection
from maelstrom.wire.greeting import Role

if TYPE_CHECKING:
    from maelstrom.trust.authority import Authority

REFRESH_S = 2.0
UNKNOWN_FRAME_BYTES_MAX = 1 << 14

ROLES = {
    Role.CLIENT: (identity.Role.CLIENT,),
    Role.WORKER: (identity.Role.WORKER,),
    Role.BLOBS: (identity.Role.CLIENT, identity.Role.WORKER),
    Role.ADMIN: (identity.Role.ADMIN, identity.Role.MONITOR),
    Role.JOIN: tuple(identity.Role),
}

_log = Log("broker")


class Access:
    """Decides for one broker; without `tls` only this machine gets in at all."""

    def __init__(self, tls: Tls | None = None, authority: "Authority | None" = None) -> None:
        self.tls = tls
        self.authority = authority

    def guard(self, connection: Connection, transport: asyncio.BaseTransport) -> None:
        """Look at a new connection's certificate; raises TrustError."""
        if self.tls is None or transport.get_extra_info("sslcontext") is None:
            return
        found = transport.get_extra_info("peercert")
        if not found:
            connection.expects = (Role.JOIN,)
            return
        try:
            connection.certificate = self.tls.judge(found, tuple(identity.Role))
        except TrustError as error:
            self.tell(connection, error)
            raise

    def check(self, connection: Connection, role: Role) -> None:
        """Raise TrustError unless the certificate allows what its holder wants to be."""
        if self.tls is not None and connection.certificate is not None:
            try:
                self.tls.believe(connection.certificate, ROLES[role])
            except TrustError as error:
                self.tell(connection, error)
                raise

    def may_change(self, connection: Connection) -> bool:
        """Whether an operator may do more than look."""
        certificate = connection.certificate
        return certificate is None or certificate.identity.role is identity.Role.ADMIN

    def tell(self, connection: Connection, error: TrustError) -> None:
        """Write down who was refused, and why."""
        _log.warning("connection refused", peer=connection.peer, reason=error.message)

    async def watch(self, connections: Iterable[Connection]) -> None:
        """Take up new certificates and revocations for as long as this runs."""
        tls = self.tls
        trouble = ""
        while tls is not None:
            await asyncio.sleep(REFRESH_S)
            try:
                await asyncio.to_thread(self._renew, tls)
                if await asyncio.to_thread(tls.refresh):
                    revoked = len(tls.revoked)
                    _log.info("certificate renewed", certificate=tls.certificate, revoked=revoked)
                found = f"{tls.certificate} must be renewed soon" if tls.is_due() else ""
            except MaelstromError as error:
                found = str(error)
            if found and found != trouble:
                _log.error("certificate not renewed", reason=found)
            trouble = found
            for connection in list(connections):
                self._recheck(tls, connection)

    def _renew(self, tls: Tls) -> None:
        """Renew our own certificate in time, if we can."""
        if self.authority is None or not tls.is_due():
            return
        from maelstrom.trust.authority import clock
        from maelstrom.trust.holder import Holder

        holder = Holder(tls.directory)
        request = holder.request(str(tls.certificate.identity))
        found = self.authority.renew(request, holder.certificate(), now=clock())
        holder.install(found, self.authority.pem, self.authority.revocation_list)

    def _recheck(self, tls: Tls, connection: Connection) -> None:
        if connection.certificate is None:
            return
        try:
            tls.believe(connection.certificate, tuple(identity.Role))
        except TrustError as error:
            self.tell(connection, error)
            connection.abort(error)
