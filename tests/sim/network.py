"""Connections in memory, from a seed: late, in pieces, cut, held up, and half dead.

A connection keeps the order of its bytes, as a socket does. When it is cut, what was under way is
lost, and each end hears of it at a time of its own. What is held up comes when the link is mended.
"""

import asyncio
import random
from collections.abc import Callable

from maelstrom.errors import ConnectionLost
from maelstrom.wire.connection import Connection

PIECE_SHARE = 0.2
BYTES_PER_S = 50_000
"""So slow that contents are under way for seconds, and are cut there."""


class Transport(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, link: "Link", protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.link = link
        self.protocol = protocol
        self.other: Transport | None = None
        self.is_over = False
        self.is_dead = False
        """Its program was killed: it is told nothing, and says nothing."""
        self._is_reading = True
        self._unread: list[bytes | None] = []
        self._arrival_s = 0.0

    def get_extra_info(self, name: str, default: object = None) -> object:
        """There is nothing to be told."""
        return default

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.is_over

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_over or self.is_dead or not data:
            return
        content = bytes(data)
        if len(content) > 1 and self.link.dice.random() < PIECE_SHARE:
            at = self.link.dice.randrange(1, len(content))
            self._carry(content[:at])
            content = content[at:]
        self._carry(content)

    def _carry(self, what: bytes | None) -> None:
        other, loop = self.other, self.link.loop
        assert other is not None
        # Never two at one time: a loop does not keep the order of those.
        takes_s = 1e-6 + (len(what) if what is not None else 0) / BYTES_PER_S
        other._arrival_s = max(loop.time() + self.link.delay_s(), other._arrival_s) + takes_s
        loop.call_at(other._arrival_s, other._arrive, what)

    def _arrive(self, what: bytes | None) -> None:
        if self.is_over or self.is_dead:
            return
        if self.link.is_held or not self._is_reading or self._unread:
            self._unread.append(what)
        elif what is None:
            self._end(None)
        else:
            self.protocol.data_received(what)

    def flush(self) -> None:
        """Take in what was held up."""
        while self._unread and self._is_reading and not self.link.is_held:
            what = self._unread.pop(0)
            if self.is_over or self.is_dead:
                return
            if what is None:
                self._end(None)
            else:
                self.protocol.data_received(what)

    def pause_reading(self) -> None:
        self._is_reading = False

    def resume_reading(self) -> None:
        self._is_reading = True
        self.link.loop.call_soon(self.flush)

    def close(self) -> None:
        if not self.is_over and not self.is_dead:
            self._carry(None)
        self._end(None)

    def abort(self) -> None:
        other = self.other
        if not self.is_over and not self.is_dead and other is not None:
            self.link.loop.call_later(self.link.delay_s(), other.broken)
        self._end(None)

    def broken(self) -> None:
        """Hear that the connection is no more."""
        self._end(ConnectionResetError("cut"))

    def _end(self, error: Exception | None) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.link.ends.pop(self, None)
        if not self.is_dead:
            self.link.loop.call_soon(self.protocol.connection_lost, error)

    def kill(self) -> None:
        """Let its program be gone without a word of it; the other end notices."""
        self.is_dead = True
        other = self.other
        if not self.is_over and other is not None:
            self.link.loop.call_later(self.link.delay_s(), other.broken)
        self._end(None)


class Link:
    """The way from one program to the broker."""

    def __init__(self, dice: random.Random, accept: Callable[[], Connection | None]) -> None:
        self.dice = dice
        self.loop = asyncio.get_running_loop()
        self.accept = accept
        self.ends: dict[Transport, None] = {}
        self.is_cut = False
        self.is_held = False

    def delay_s(self) -> float:
        """Return how long the next piece takes."""
        return self.dice.expovariate(200.0)

    async def reach(self) -> "Link":
        """Stand in for `dial`."""
        await asyncio.sleep(self.delay_s())
        if self.is_cut:
            raise ConnectionLost("the link is cut")
        return self

    async def attach(self, connection: Connection) -> None:
        """Let a connection begin."""
        theirs = self.accept()
        if theirs is None or self.is_cut:
            raise ConnectionLost("nobody listens")
        near, far = Transport(self, connection), Transport(self, theirs)
        near.other, far.other = far, near
        self.ends[near] = self.ends[far] = None
        theirs.connection_made(far)
        connection.connection_made(near)

    def break_all(self) -> None:
        """Cut every connection there is; each end hears of it in its own time, or not at all."""
        for end in list(self.ends):
            if self.dice.random() < 0.8:
                self.loop.call_later(self.dice.expovariate(2.0), end.broken)
            else:
                end.is_dead = False
                end.other = Transport(self, end.protocol)  # It speaks to nobody now.
                end.other.is_over = True

    def mend(self) -> None:
        """Let everything through again."""
        self.is_cut = self.is_held = False
        for end in list(self.ends):
            end.flush()
