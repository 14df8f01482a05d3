"""One connection to another program: greeting, frames, heartbeats, back-pressure.

Rules of this file:
1. Both ends say hello at once; what the other end says before that is bounded tightly.
2. Messages of one loop tick leave in one write, and those that may wait within WAIT_S. While the
   transport says pause they wait here, and a peer that lets more than OUTGOING_BYTES_MAX wait is
   given up.
3. Every end is heard of at least each HEARTBEAT_S; one that was silent for SILENCE_S_MAX is lost.
   A pair of sockets within one machine needs no such check: its end is always noticed.
4. `lost` is called exactly once, last, with the error or None for a plain end. `is_final` tells
   whether one end meant it, or whether it may be tried again.
5. Whoever is refused hears why: we speak, and wait for him to close the connection. Refused with
   ConnectionLost, he may try again, as if the connection had broken.
6. Messages that their sender keeps until they are known to have come are counted by `count`; the
   number goes back with every heartbeat, and earlier when there are many.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from maelstrom.errors import (
    ConnectionLost,
    MaelstromError,
    ProtocolError,
    SpecError,
    TrustError,
)
from maelstrom.trust.identity import Certificate
from maelstrom.wire.address import is_loopback
from maelstrom.wire.framing import Framer, frame, head
from maelstrom.wire.greeting import Hello, Role, agree, encode_hello, read_hello
from maelstrom.wire.messages import Goodbye, Message, Ping

HEARTBEAT_S = 2.0
SILENCE_S_MAX = 8.0
COUNTED_MAX = 32
COUNTED_BYTES_MAX = 1 << 20
"""Of messages that their sender keeps: beyond that he hears of them before the next heartbeat."""
GREETING_S_MAX = 10.0
LINGER_S = 1.0
"""How long the end of a connection that we refuse is left to the other end."""
OUTGOING_BYTES_MAX = 128 << 20
WAIT_S = 0.002
"""How long messages that nobody waits for are gathered: each write costs both ends more than they
do, and wakes the other one."""

T = TypeVar("T")
encode = msgspec.msgpack.Encoder().encode


class Owner(Protocol):
    """Who a connection tells what happens."""

    def greeted(self, theirs: Hello) -> None:
        """Hear who the other end is; raises ProtocolError to refuse it."""

    def received(self, message: Any) -> None:
        """Take a message of the kinds that were asked for."""

    def lost(self, error: MaelstromError | None) -> None:
        """Hear that the connection ended."""


class Codec(Generic[T]):
    """Reads one union of messages."""

    def __init__(self, kinds: object) -> None:
        self._decode = cast("Callable[[bytes], T]", msgspec.msgpack.Decoder(kinds).decode)

    def read(self, body: bytes) -> T:
        """Return the message; raises ProtocolError."""
        try:
            return self._decode(body)
        except (msgspec.DecodeError, SpecError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError(f"a message that cannot be read: {error}") from error


class Connection(asyncio.Protocol):
    """One end; give `codec` at once, or in `greeted`, when the other end's role is known."""

    def __init__(
        self,
        ours: Hello,
        owner: Owner | None = None,
        codec: Codec[Any] | None = None,
        *,
        expects: tuple[Role, ...] = (Role.BROKER,),
        is_watched: bool = True,
    ) -> None:
        self._ours = ours
        self.owner = owner
        self.codec = codec
        self.expects = expects
        self.is_watched = is_watched
        self._framer = Framer()
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._frame_bytes_max = ours.frame_bytes_max
        self._is_flushing = False
        self._is_gathering = False
        self._is_closing = False
        self.is_paused = False
        self._is_greeted = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._error: MaelstromError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self.on_resume: Callable[[], None] | None = None
        self.on_heard: Callable[[int], None] | None = None
        """Called with how many counted messages the other end has by now."""
        self.guard: Callable[[asyncio.BaseTransport], None] | None = None
        """Called first of all; raises TrustError to turn the other end away."""
        self.certificate: Certificate | None = None
        self.is_final = False
        self._where = "this machine"
        self.is_near = True
        """Whether the other end is on this machine, so that compressing for it is a waste."""
        self._counted = 0
        self._uncounted_bytes = 0
        self._told = 0

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        found = transport.get_extra_info("peername")
        if isinstance(found, tuple):
            self._where = f"{found[0]}:{found[1]}"
            self.is_near = is_loopback(found[0])
        try:
            if self.guard is not None:
                self.guard(transport)
        except TrustError as error:
            self._turn_away(error)
            return
        self._transport.write(frame(encode_hello(self._ours)))
        if self.is_watched:
            self._timer = self._loop.call_later(GREETING_S_MAX, self._check_greeting)

    def _turn_away(self, error: TrustError) -> None:
        """End what did not begin. The other end hears why; it is told nothing else."""
        assert self._transport is not None
        goodbye = encode(Goodbye(error.message, error.hint))
        self._transport.write(frame(encode_hello(self._ours)) + frame(goodbye))
        self._error = error
        self.is_final = True
        self._linger()

    @property
    def peer(self) -> str:
        """Who the other end is, for a person."""
        return f"{self.certificate.identity} at {self._where}" if self.certificate else self._where

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            for item in self._framer.feed(data):
                if self._is_closing:
                    return
                if not self._is_greeted:
                    self._greet(item)
                    continue
                # Neither is taken out of the loop: with a message they may change.
                assert self.codec is not None
                assert self.owner is not None
                message = self.codec.read(item)
                kind = type(message)
                if kind is Ping:
                    if self.on_heard is not None:
                        self.on_heard(message.heard)
                elif kind is Goodbye:
                    self._dismiss(message)
                else:
                    self.owner.received(message)
        except MaelstromError as error:
            self.refuse(error)

    def _dismiss(self, goodbye: Goodbye) -> None:
        self.is_final = not goodbye.may_return
        if goodbye.message:
            kind = ConnectionLost if goodbye.may_return else ProtocolError
            self._error = kind(goodbye.message[:1000], hint=goodbye.hint[:1000])
        self.close()

    def _greet(self, body: bytes) -> None:
        theirs = read_hello(body)
        agree(self._ours, theirs)
        if theirs.role not in self.expects:
            wanted = " or ".join(role.value for role in self.expects)
            raise ProtocolError(f"the other end is a {theirs.role.value}, not a {wanted}")
        self._is_greeted = True
        self._framer.frame_bytes_max = self._ours.frame_bytes_max
        self._frame_bytes_max = theirs.frame_bytes_max
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(HEARTBEAT_S, self._beat)
        assert self.owner is not None
        self.owner.greeted(theirs)
        assert self.codec is not None, "whoever greets must say what messages he takes"

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.is_paused = True
        self._writable.clear()

    def resume_writing(self) -> None:
        self.is_paused = False
        self._writable.set()
        self._flush()
        if self.on_resume is not None:
            self.on_resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._writable.set()
        self._outgoing.clear()
        if self._error is None and exc is not None:
            self._error = ProtocolError(f"the connection broke: {exc}")
        is_trusted_only_here = self.certificate is not None and not self._is_greeted
        if is_trusted_only_here and (self._error is None or exc is not None):
            self._error = ProtocolError(
                f"{self.peer} broke off before its greeting",
                hint="it may not accept our certificate; its log says why",
            )
        if self._error is None and not self._framer.is_between:
            self._error = ProtocolError("the connection ended in the middle of a message")
        if self.owner is not None:
            self.owner.lost(self._error)

    # What its owner calls

    @property
    def is_over(self) -> bool:
        """Whether nothing that is sent now would leave."""
        return self._is_closing

    def send(self, message: Message, *, may_wait: bool = False) -> None:
        """Let a message leave at the end of this tick; raises ProtocolError if it is too large.

        One that may wait leaves with the next that may not, or after WAIT_S; their order is kept.
        """
        body = encode(message)
        size = len(body)
        if size > self._frame_bytes_max:
            raise ProtocolError(f"a message of {size} bytes; the limit is {self._frame_bytes_max}")
        if self._is_closing:
            return
        self._outgoing.append(head(size) + body)
        self._outgoing_bytes += size
        if self._outgoing_bytes > OUTGOING_BYTES_MAX:
            self.abort(ProtocolError("the other end does not read what it is sent"))
        elif may_wait:
            if not self._is_gathering:
                self._is_gathering = True
                self._loop.call_later(WAIT_S, self._flush_gathered)
        elif not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def frame_bytes_limit(self, size_bytes: int) -> None:
        """Take no larger frames than this from the other end."""
        self._framer.frame_bytes_max = size_bytes

    async def drain(self) -> None:
        """Wait until there is room for more; for senders of much."""
        self._flush()
        await self._writable.wait()

    def pause_reading(self) -> None:
        """Take nothing more for now."""
        if self._transport is not None and not self._is_closing:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on after `pause_reading`."""
        if self._transport is not None and not self._is_closing:
            self._heard = self._loop.time()
            self._transport.resume_reading()

    def count(self, size_bytes: int) -> None:
        """Note that a message came that its sender keeps until he hears so."""
        self._counted += 1
        self._uncounted_bytes += size_bytes
        if self._counted - self._told >= COUNTED_MAX or self._uncounted_bytes >= COUNTED_BYTES_MAX:
            self._ping()

    def _ping(self) -> None:
        self._told = self._counted
        self._uncounted_bytes = 0
        self.send(Ping(self._counted))

    def leave(self) -> None:
        """End the connection for good, with nothing wrong."""
        self.is_final = True
        if self._is_greeted:
            self.send(Goodbye(""))
        self.close()

    def refuse(self, error: MaelstromError) -> None:
        """Say why, and end the connection for good."""
        if self._is_closing:
            return
        self._error = error
        may_return = isinstance(error, ConnectionLost)
        self.is_final = not may_return
        if self._is_greeted:
            self.send(Goodbye(error.message, error.hint, may_return))
        self._linger()

    def _linger(self) -> None:
        """Let the other end read why before the connection ends, which it does in its turn.

        If we closed it while something is still on its way to us, the kernel would take back our
        last words.
        """
        self._flush()
        self._is_closing = True
        if self._transport is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LINGER_S, self._transport.abort)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def close(self) -> None:
        """End the connection after what waits has left."""
        if not self._is_closing:
            self._flush()
            self._is_closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self, error: MaelstromError) -> None:
        """End the connection at once."""
        self._is_closing = True
        self._error = self._error or error
        if self._transport is not None:
            self._transport.abort()

    # Its own clockwork

    def _flush(self) -> None:
        self._is_flushing = False
        if self._outgoing and not self.is_paused and self._transport is not None:
            content = b"".join(self._outgoing)
            self._outgoing.clear()
            self._outgoing_bytes = 0
            self._transport.write(content)

    def _flush_gathered(self) -> None:
        self._is_gathering = False
        self._flush()

    def _check_greeting(self) -> None:
        self.abort(ProtocolError(f"the other end did not say hello within {GREETING_S_MAX:g} s"))

    def _beat(self) -> None:
        silence_s = self._loop.time() - self._heard
        if self.is_watched and silence_s > SILENCE_S_MAX:
            self.abort(ProtocolError(f"the other end was silent for {silence_s:.0f} s"))
            return
        if not self.is_paused:
            self._ping()
        self._timer = self._loop.call_later(HEARTBEAT_S, self._beat)
