"""One connection, with time that is made to pass."""

import asyncio
from typing import Any

import pytest

from maelstrom import __version__
from maelstrom.model.digest import Digest
from maelstrom.wire import connection as connections
from maelstrom.wire import messages
from maelstrom.wire.connection import Codec, Connection
from maelstrom.wire.framing import Framer, frame
from maelstrom.wire.greeting import Hello, Role, encode_hello, hello

CODEC: Codec[Any] = Codec(messages.ToBlobs)


class Owner:
    """Hears nothing."""

    def greeted(self, theirs: Hello) -> None: ...
    def received(self, message: Any) -> None: ...
    def received_raw(self, chunk: bytes) -> None: ...
    def lost(self, error: Exception | None) -> None: ...


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None: ...


async def test_no_heartbeat_comes_into_the_middle_of_content(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEARTBEAT_S", 0.0)
    connection = Connection(hello(Role.BLOBS, __version__), owner=Owner(), codec=CODEC)
    wire = Wire()
    connection.connection_made(wire)
    connection.data_received(frame(encode_hello(hello(Role.BROKER, __version__))))
    content = b"x" * 30
    digest = Digest.of(content)
    connection.send(messages.Put(digest))
    connection.begin_content(digest.size)
    for start in range(0, 30, 10):
        for _ in range(5):
            await asyncio.sleep(0)
        connection.send_content(content[start : start + 10])
    for _ in range(5):
        await asyncio.sleep(0)
    assert content in wire.written
    bodies = list(Framer(1 << 20).feed(wire.written.replace(content, b"")))
    kinds = [type(CODEC.read(body)) for body in bodies[1:]]
    assert kinds.count(messages.Put) == 1
    assert kinds[-1] is messages.Ping
    connection.connection_lost(None)
