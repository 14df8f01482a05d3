"""A peer that says what it is told to say, in a cluster of honest daemons outside of time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from maelstrom import __version__
from maelstrom.wire import messages
from maelstrom.wire.framing import Framer, frame
from maelstrom.wire.greeting import Role, encode_hello, hello
from tests.fuzz.said import Said


class Hostile(asyncio.Protocol):
    """One connection of the peer."""

    def __init__(self, role: Role, token: str = "") -> None:
        self._hello = frame(encode_hello(hello(role, __version__, token)))
        self._framer = Framer(1 << 26)
        self.transport: asyncio.Transport | None = None
        self.token = ""
        self.is_over = False
        self.bodies: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        self.bodies += self._framer.feed(data)
        for kind, *fields in map(msgspec.msgpack.decode, self.bodies):
            if kind == messages.Welcome.__struct_config__.tag:
                self.token = fields[0]

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True

    def say(self, content: bytes) -> None:
        """Say it, if anybody hears."""
        if self.transport is not None and not self.is_over:
            self.transport.write(content)


async def harangue(
    speech: list[Said], first: Hostile, open_way: Callable[[str], Coroutine[Any, Any, Hostile]]
) -> None:
    """Say all of it; other connections than the first are opened when they are needed."""
    ends = {"main": first}
    for content, way, wait_s in speech:
        if way == "again":
            ends["main"] = await open_way(way)
        elif way not in ends or ends[way].is_over:
            ends[way] = await open_way(way)
        ends["main" if way == "again" else way].say(content)
        await asyncio.sleep(wait_s)
    await asyncio.sleep(0.5)
    for end in ends.values():
        if end.transport is not None:
            end.transport.abort()
