"""A stretch of network between two programs that can be cut, held up and mended."""

import asyncio
import contextlib
import socket


class _End(asyncio.Protocol):
    """One of the two sockets of a connection."""

    def __init__(self, relay: "Relay", other: "_End | None" = None) -> None:
        self.relay = relay
        self.other = other
        self.transport: asyncio.Transport | None = None
        self.waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.relay.ends[self] = None
        if self.other is None:
            self.relay.reach(self)

    def data_received(self, data: bytes) -> None:
        self.relay.bytes += len(data)
        if self.relay.cut_at and self.relay.bytes >= self.relay.cut_at[0]:
            del self.relay.cut_at[0]
            self.relay.break_all()
            return
        self.waiting.append(data)
        if not self.relay.is_held:
            self.flush()

    def flush(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(b"".join(self.waiting))
            self.waiting.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self.relay.ends.pop(self, None)
        if self.other is not None and self.other.transport is not None:
            self.other.transport.abort()


class Relay:
    """Listens on `address`, and passes on to where it was told to; lives in the running loop."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.ends: dict[_End, None] = {}
        self.is_held = False
        self.is_cut = False
        self.bytes = 0
        self.cut_at: list[int] = []
        """At which of these counts of bytes every connection breaks, once each."""
        self.address = ""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(self), "127.0.0.1", 0)
        self.address = "plain:{}:{}".format(*self._server.sockets[0].getsockname()[:2])

    def reach(self, near: _End) -> None:
        """Connect the far end of a new connection."""
        task = asyncio.get_running_loop().create_task(self._reach(near))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reach(self, near: _End) -> None:
        assert near.transport is not None
        if self.is_cut:
            near.transport.abort()
            return
        far = _End(self, near)
        near.other = far
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, *self.target)
        except OSError:
            near.transport.abort()
            return
        sock = near.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.is_held:
            near.flush()

    def break_all(self) -> None:
        """Break every connection there is; new ones may be made."""
        for end in list(self.ends):
            if end.transport is not None:
                end.transport.abort()

    def cut(self) -> None:
        """Break every connection, and let none be made."""
        self.is_cut = True
        self.break_all()

    def hold(self) -> None:
        """Let nothing through, and say so to nobody."""
        self.is_held = True

    def mend(self) -> None:
        """Let all go through again, what waited first."""
        self.is_cut = self.is_held = False
        for end in list(self.ends):
            end.flush()

    async def close(self) -> None:
        """End it."""
        self.cut()
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
