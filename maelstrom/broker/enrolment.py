"""Certificates over the wire: newcomers with a join token, holders who renew theirs."""

import asyncio
from typing import TYPE_CHECKING, assert_never

from maelstrom.broker.access import UNKNOWN_FRAME_BYTES_MAX
from maelstrom.broker.peers import Peer
from maelstrom.errors import MaelstromError, TrustError
from maelstrom.trust import build, tokens
from maelstrom.trust.authority import clock
from maelstrom.trust.identity import Identity, Role
from maelstrom.wire import messages
from maelstrom.wire.connection import Codec, Connection

if TYPE_CHECKING:
    from maelstrom.broker.daemon import Broker

STAY_S_MAX = 30.0
REQUESTS_MAX = 4
"""On one connection: who guesses tokens must come again for each few."""

FROM_NEWCOMER: Codec[messages.JoinToBroker] = Codec(messages.JoinToBroker)


class JoinPeer(Peer):
    """Somebody who wants a certificate."""

    def __init__(self, broker: "Broker", connection: Connection) -> None:
        super().__init__(broker, connection)
        connection.frame_bytes_limit(UNKNOWN_FRAME_BYTES_MAX)
        self._requests = 0
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(STAY_S_MAX, connection.abort, TrustError("it took too long"))

    def received(self, message: messages.JoinToBroker) -> None:
        """Answer, or refuse and end it."""
        if not isinstance(message, messages.Ping):
            self._requests += 1
            if self._requests > REQUESTS_MAX:
                raise TrustError("too many requests on one connection")
        match message:
            case messages.AskAuthority():
                tls = self.broker.access.tls
                self.connection.send(messages.Authority(tls.authority if tls else b""))
            case messages.Enrol() | messages.Renew():
                self.broker.spawn(self._answer(message))
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)

    def lost(self, error: MaelstromError | None) -> None:
        """It is gone."""
        super().lost(error)
        self._timer.cancel()

    async def _answer(self, message: messages.Enrol | messages.Renew) -> None:
        try:
            answer = await asyncio.to_thread(self._issue, message)
        except MaelstromError as error:
            if isinstance(error, TrustError):
                self.broker.access.tell(self.connection, error)
            self.connection.refuse(error)
        else:
            self.connection.send(answer)

    def _issue(self, message: messages.Enrol | messages.Renew) -> messages.Enrolled:
        authority = self.broker.access.authority
        if authority is None:
            raise TrustError(
                "this broker issues no certificates",
                hint="use `maelstrom-admin ca` on the host of the authority, or start the broker "
                "with --ca",
            )
        if isinstance(message, messages.Enrol):
            who = Identity(Role.WORKER, message.name)
            token = tokens.parse(message.token)
            found = tokens.use(authority, token, who, message.request, now=clock())
        else:
            certificate = self.connection.certificate
            if certificate is None:
                raise TrustError("only the holder of a certificate renews it")
            if certificate.identity.role is Role.BROKER:
                raise TrustError(f"{certificate} is not renewed over the network")
            found = authority.issue(message.request, certificate.identity, now=clock())
        issued = build.from_pem(found)
        who, serial = build.identity_of(issued), f"{issued.serial_number:x}"
        self.broker.log.info("certificate issued", certificate=serial, identity=who)
        return messages.Enrolled(found, authority.pem, authority.revocation_list)
