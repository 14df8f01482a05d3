"""Reach a broker: a socket, and TLS over it where the address asks for it."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from maelstrom.errors import ConnectionLost, TrustError
from maelstrom.trust.identity import Role
from maelstrom.trust.tls import Tls, explain
from maelstrom.wire.address import Address, connect
from maelstrom.wire.connection import Connection

HANDSHAKE_S_MAX = 10.0
ON_THIS_MACHINE = Address()


@dataclass(frozen=True, slots=True)
class Reached:
    """A connected socket, and how to speak over it."""

    sock: socket.socket
    address: Address = ON_THIS_MACHINE
    tls: Tls | None = None

    async def attach(self, connection: Connection) -> None:
        """Let a connection begin; raises MaelstromError."""
        loop = asyncio.get_running_loop()
        tls = self.tls
        if tls is None:
            await loop.create_connection(lambda: connection, sock=self.sock)
            return

        def guard(transport: asyncio.BaseTransport) -> None:
            found = transport.get_extra_info("peercert")
            connection.certificate = tls.judge(found, [Role.BROKER])

        connection.guard = guard
        end = f"the broker at {self.address}"
        try:
            await loop.create_connection(
                lambda: connection,
                sock=self.sock,
                ssl=tls.connecting,
                server_hostname=self.address.host,
                ssl_handshake_timeout=HANDSHAKE_S_MAX,
            )
        except ssl.SSLError as error:
            raise explain(error, end=end, presented=tls.certificate) from error
        except OSError as error:
            raise ConnectionLost(f"{end} broke off: {error.strerror or error}") from error


Reach: TypeAlias = Callable[[], Awaitable[Reached]]


async def dial(address: Address, tls: Tls | None) -> Reached:
    """Connect to a broker; raises MaelstromError naming it."""
    if address.wants_tls and tls is None:
        raise TrustError(f"no certificate for the broker at {address}")
    if tls is not None:
        await asyncio.to_thread(tls.refresh)
    sock = await asyncio.to_thread(connect, address)
    return Reached(sock, address, tls if address.wants_tls else None)
