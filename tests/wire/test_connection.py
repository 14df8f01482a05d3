"""One connection, with time that is made to pass."""

import asyncio
from typing import Any

from maelstrom.wire import messages
from maelstrom.wire.connection import Codec
from maelstrom.wire.greeting import Hello

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

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None: ...
