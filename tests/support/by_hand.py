"""The other end of a broker, by hand: what no program of ours would say can be said."""

import socket
from typing import TypeVar

import pytest

from maelstrom.wire import messages
from maelstrom.wire.address import connect, parse
from maelstrom.wire.connection import Codec, encode
from maelstrom.wire.framing import Framer, frame
from maelstrom.wire.greeting import Role, encode_hello, hello

M = TypeVar("M", bound=messages.Message)

TO_CLIENT: Codec[messages.Message] = Codec(messages.BrokerToClient)
TO_WORKER: Codec[messages.Message] = Codec(messages.BrokerToWorker)


def greeting(role: Role, token: str = "") -> bytes:
    """Return the first bytes of such an end."""
    return frame(encode_hello(hello(role, "test", token)))


class Peer:
    """One connection to a broker; `until` and `goodbye` read what it says."""

    def __init__(self, address: str, *first: bytes) -> None:
        self.sock = connect(parse(address))
        self.sock.settimeout(20)
        self.framer = Framer(1 << 26)
        self.bodies: list[bytes] = []
        self.sock.sendall(b"".join(first))

    def body(self) -> bytes:
        """Return the next frame's; raises EOFError."""
        while not self.bodies:
            received = self.sock.recv(1 << 16)
            if not received:
                raise EOFError
            self.bodies += self.framer.feed(received)
        return self.bodies.pop(0)

    def read_on(self) -> None:
        """Read to the end."""
        while True:
            self.body()

    def until(self, kind: type[M], codec: Codec[messages.Message] = TO_CLIENT) -> M:
        """Return the next message of this kind."""
        while True:
            message = codec.read(self.body())
            if isinstance(message, kind):
                return message

    def goodbye(self, codec: Codec[messages.Message] = TO_CLIENT) -> messages.Goodbye:
        """Return why the broker ended the connection, as it did."""
        found = self.until(messages.Goodbye, codec)
        # It waits for that, though not for ever.
        self.sock.shutdown(socket.SHUT_WR)
        with pytest.raises(EOFError):
            self.body()
        return found

    def send(self, *sent: messages.Message) -> None:
        """Say this."""
        self.sock.sendall(b"".join(frame(encode(message)) for message in sent))

    def close(self) -> None:
        """Go without a word."""
        self.sock.close()
