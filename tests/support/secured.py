"""An authority, certificates of every kind, and a broker that listens with TLS."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from maelstrom import __version__
from maelstrom.broker.access import Access
from maelstrom.broker.daemon import Broker
from maelstrom.broker.journal import Journal
from maelstrom.broker.quota import NO_QUOTA, Quota
from maelstrom.errors import MaelstromError, ProtocolError
from maelstrom.store.disk import DiskStore
from maelstrom.trust import identity
from maelstrom.trust.authority import Authority
from maelstrom.trust.holder import Holder
from maelstrom.trust.identity import Identity
from maelstrom.trust.tls import Tls
from maelstrom.wire import messages
from maelstrom.wire.address import Address
from maelstrom.wire.connection import Codec, Connection
from maelstrom.wire.dial import dial
from maelstrom.wire.greeting import Hello, Role, hello
from maelstrom.wire.listener import Listener

NOW = datetime.now(UTC)
_ANY: Codec[Any] = Codec(
    messages.BrokerToClient
    | messages.BrokerToWorker
    | messages.Blobs
    | messages.BrokerToJoin
    | messages.BrokerToAdmin
)


class Trust:
    """An authority and the directories of those it issued certificates to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.addresses: tuple[str, ...] = ("127.0.0.1",)
        self.authority = Authority.create(directory / "ca", "Ours", now=NOW)

    def issue(
        self, who: str, *, begun: timedelta = timedelta(), days: int = 7, place: str = ""
    ) -> Path:
        """Return the directory of a holder whose certificate was issued `begun` ago."""
        holder = Holder(self.directory / (place or who.replace("/", "-")))
        addresses = self.addresses if who.startswith("broker") else ()
        certificate = self.authority.issue(
            holder.request(who),
            Identity.parse(who),
            addresses=addresses,
            days=days,
            now=NOW - begun,
        )
        holder.install(certificate, self.authority.pem, self.authority.revocation_list)
        return holder.directory

    def tls(self, who: str, *, clock_s: float = 0.0, **how: Any) -> Tls:
        """Return the TLS of a holder, for whom the certificate is good whatever it is."""
        directory = self.issue(who, **how)
        return Tls(directory, tuple(identity.Role), clock=lambda: time.time() + clock_s)


class Secured:
    """A broker; `close` ends it."""

    def __init__(
        self,
        trust: Trust,
        directory: Path,
        *,
        who: str = "broker/main",
        quota: Quota = NO_QUOTA,
        journal: Journal | None = None,
    ) -> None:
        self.trust = trust
        revoked = trust.authority.directory / "crl.pem"
        self.tls = Tls(trust.issue(who), tuple(identity.Role), revocation_lists=[revoked])
        self.access = Access(self.tls, trust.authority)
        store = DiskStore(directory / "store", size_bytes_max=1 << 24)
        self.broker = Broker(store, lambda: None, access=self.access, quota=quota, journal=journal)
        self._listener = Listener(
            Address("127.0.0.1", 0), lambda: self.broker.add(is_local=False), self.tls
        )
        self.address = self._listener.address

    async def knock(self, tls: Tls, role: Role, *send: messages.Message) -> "Visitor":
        """Come as this, and stay until something happened: a message, or the end."""
        visitor = Visitor(role, send)
        await (await dial(self.address, tls)).attach(visitor.connection)
        await asyncio.wait_for(visitor.happened.wait(), 30)
        return visitor

    async def close(self) -> None:
        """End it."""
        await self._listener.close()
        await self.broker.close()
        await asyncio.sleep(0)


class Visitor:
    """The other end of a connection to a broker, and what it heard."""

    def __init__(self, role: Role, send: Sequence[messages.Message], token: str = "") -> None:
        self._send = send
        self.happened = asyncio.Event()
        self.ended = asyncio.Event()
        self.heard: list[Any] = []
        self.error: MaelstromError | None = None
        self.connection = Connection(hello(role, __version__, token), owner=self, codec=_ANY)

    def greeted(self, theirs: Hello) -> None:
        """Say what there is to say."""
        for message in self._send:
            self.connection.send(message)

    def received(self, message: Any) -> None:
        """Note it."""
        self.heard.append(message)
        self.happened.set()

    def lost(self, error: MaelstromError | None) -> None:
        """Note why."""
        self.error = error or ProtocolError("ended without a reason")
        self.happened.set()
        self.ended.set()
