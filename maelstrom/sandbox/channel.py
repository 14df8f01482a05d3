"""Messages between a slot and its worker: a length, then plain values in marshal's form.

Both ends are the same program under the same interpreter; a job never sees this socket.
"""

import marshal
import socket
import struct

HEADER = struct.Struct("<I")
MESSAGE_BYTES_MAX = 1 << 31

Message = tuple[object, ...]

RETIRED: Message = ("retired",)
"""The slot's last word: what it may still be sent is not begun."""


def encode(message: Message) -> bytes:
    """Return the bytes of a message."""
    body = marshal.dumps(message)  # type: ignore[arg-type]  # Plain values, by construction.
    return HEADER.pack(len(body)) + body


def decode(body: bytes | bytearray | memoryview) -> Message:
    """Return the message in a body."""
    message: Message = marshal.loads(body)
    return message


class Channel:
    """The slot's end: blocking, one message at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._socket.fileno()

    def receive(self) -> Message | None:
        """Wait for a message; None when the worker is gone."""
        header = self._receive_bytes(HEADER.size)
        if header is None:
            return None
        body = self._receive_bytes(HEADER.unpack(header)[0])
        return None if body is None else decode(body)

    def send(self, message: Message) -> None:
        """Send a message; raises OSError when the worker is gone."""
        self._socket.sendall(encode(message))

    def _receive_bytes(self, count: int) -> bytes | None:
        content = b""
        while len(content) < count:
            try:
                # Less comes only where a signal stops the waiting.
                received = self._socket.recv(count - len(content), socket.MSG_WAITALL)
            except ConnectionResetError:
                return None
            if not received:
                return None
            content += received
        return content
