"""Accept connections, with TLS or without.

Rules of this file:
1. Whoever does not get through TLS in time costs a socket for HANDSHAKE_S_MAX, and HANDSHAKES_MAX
   of them cost nobody else anything but their turn.
2. Why one was turned away is told to `refused`; the other end is told as far as TLS allows.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from maelstrom.errors import InfrastructureError, MaelstromError, TrustError
from maelstrom.log import Log
from maelstrom.trust.tls import Tls, explain
from maelstrom.wire.address import Address
from maelstrom.wire.connection import Connection
from maelstrom.wire.dial import HANDSHAKE_S_MAX

HANDSHAKES_MAX = 256
BACKLOG = 1024
ALL = "::"
PAUSE_S = 0.5
"""How long nothing is accepted when there are no file descriptors left."""

_log = Log("listener")


class Listener:
    """Listens on one address; `make` gives the protocol for each connection."""

    def __init__(
        self, address: Address, make: Callable[[], Connection], tls: Tls | None = None
    ) -> None:
        self.address = address
        self._make = make
        self._tls = tls if address.wants_tls else None
        self._sockets = _open(address)
        self._handshakes = asyncio.Semaphore(HANDSHAKES_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        for sock in self._sockets:
            self._spawn(self._accept_all(sock))
        if not address.path:
            port = self._sockets[0].getsockname()[1]
            self.address = address._replace(port=port)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept_all(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._handshakes.acquire()
            try:
                sock, peer = await loop.sock_accept(listening)
            except OSError as error:
                self._handshakes.release()
                _log.warning("nothing accepted", reason=error)
                await asyncio.sleep(PAUSE_S)
                continue
            except asyncio.CancelledError:
                self._handshakes.release()
                raise
            self._spawn(self._welcome(sock, peer))

    async def _welcome(self, sock: socket.socket, peer: object) -> None:
        end = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "a local program"
        try:
            if not self.address.path:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make,
                sock,
                ssl=self._tls.listening if self._tls is not None else None,
                ssl_handshake_timeout=HANDSHAKE_S_MAX if self._tls is not None else None,
            )
        except ssl.SSLError as error:
            self._refuse(end, explain(error, end=end))
        except OSError as error:
            self._refuse(end, TrustError(f"{end} broke off while TLS was set up: {error}"))
        finally:
            self._handshakes.release()

    def _refuse(self, end: str, error: MaelstromError) -> None:
        _log.warning("connection refused", peer=end, reason=error.message, hint=error.hint)

    async def close(self) -> None:
        """Accept nothing more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in self._sockets:
            sock.close()
        if self.address.path:
            Path(self.address.path).unlink(missing_ok=True)  # noqa: ASYNC240  # At the very end.


def _open(address: Address) -> list[socket.socket]:
    try:
        if address.path:
            return [_open_unix(address)]
        try:
            return _open_tcp(address)
        except OSError:
            if address.host != ALL:
                raise
            # It stands for all addresses: a host without IPv6 has others.
            return _open_tcp(address._replace(host="0.0.0.0"))
    except OSError as error:
        raise InfrastructureError(
            f"cannot listen on {address}: {error.strerror or error}"
        ) from error


def _open_tcp(address: Address) -> list[socket.socket]:
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, where in dict.fromkeys(found):
            # All of a name's addresses get the same port, even if it was chosen for us.
            port = sockets[0].getsockname()[1] if sockets else where[1]
            with contextlib.suppress(_NotHere):
                sockets.append(_bind(family, (where[0], port, *where[2:])))
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    if not sockets:
        raise OSError(f"no address of {address.host} is one of this host")
    return sockets


class _NotHere(Exception):
    """This family of addresses is not there, for example without IPv6."""


def _bind(family: int, where: tuple[object, ...]) -> socket.socket:
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _NotHere from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, where[0] != ALL)
        sock.bind(where)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _open_unix(address: Address) -> socket.socket:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(address.path)
        raise InfrastructureError(f"another program listens on {address} already")
    path = Path(address.path)
    if path.is_socket():
        path.unlink()
    sock = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        sock.bind(address.path)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(mask)
    return sock
