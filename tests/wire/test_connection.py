"""One connection, with time that is made to pass."""

import asyncio
from typing import Any

from maelstrom import __version__
from maelstrom.wire import messages
from maelstrom.wire.connection import Codec, Connection
from maelstrom.wire.framing import FRAME_BYTES_MAX, Framer
from maelstrom.wire.greeting import Hello, Role, hello

CODEC: Codec[Any] = Codec(messages.Blobs)


class Owner:
    """Hears nothing."""

    def greeted(self, theirs: Hello) -> None: ...
    def received(self, message: Any) -> None: ...
    def lost(self, error: Exception | None) -> None: ...


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.writes = 0

    def write(self, data: Any) -> None:
        self.written += bytes(data)
        self.writes += 1

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None: ...


def _begun() -> tuple[Connection, Wire]:
    connection = Connection(
        hello(Role.BROKER, __version__), Owner(), CODEC, expects=(), is_watched=False
    )
    wire = Wire()
    connection.connection_made(wire)
    wire.written, wire.writes = b"", 0
    return connection, wire


def _pings(wire: Wire) -> list[int]:
    return [CODEC.read(body).heard for body in Framer(FRAME_BYTES_MAX).feed(wire.written)]


async def test_messages_that_may_wait_leave_together() -> None:
    connection, wire = _begun()
    for number in range(3):
        connection.send(messages.Ping(number), may_wait=True)
    while not wire.writes:
        await asyncio.sleep(0.001)
    assert _pings(wire) == [0, 1, 2]
    connection.send(messages.Ping(3), may_wait=True)
    while wire.writes == 1:
        await asyncio.sleep(0.001)
    assert _pings(wire) == [0, 1, 2, 3]


async def test_messages_that_may_wait_leave_before_one_that_may_not() -> None:
    connection, wire = _begun()
    connection.send(messages.Ping(1), may_wait=True)
    connection.send(messages.Ping(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert _pings(wire) == [1, 2]
    assert wire.writes == 1


async def test_what_may_wait_leaves_before_the_end() -> None:
    connection, wire = _begun()
    connection.send(messages.Ping(1), may_wait=True)
    connection.close()
    assert _pings(wire) == [1]
