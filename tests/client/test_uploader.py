"""The client's way to give the broker what it lacks."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from maelstrom import __version__
from maelstrom.client.uploader import Uploader
from maelstrom.errors import InfrastructureError
from maelstrom.model.digest import Digest
from maelstrom.store import depot
from maelstrom.wire import messages
from maelstrom.wire.connection import encode
from maelstrom.wire.dial import Reached
from maelstrom.wire.framing import frame
from maelstrom.wire.greeting import Role, encode_hello, hello
from tests.support.parcels import parcel

WAIT_S = 10
CONTENTS = [b"what the broker lacks", b"and more of it"]
ONE, TWO = map(Digest.of, CONTENTS)
SOURCES = dict(zip((ONE, TWO), CONTENTS, strict=True))


class Control:
    """The connection for messages, as far as the uploader knows it."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[Any] = asyncio.Queue()

    def send(self, message: Any) -> None:
        self.sent.put_nowait(message)


class Broker:
    """The other end, by hand; the uploader reaches it as often as `times`."""

    def __init__(self, times: int) -> None:
        self.control: Any = Control()
        self._pairs = [socket.socketpair() for _ in range(times)]
        for ours, _ in self._pairs:
            ours.setblocking(False)
        self._left = [theirs for _, theirs in self._pairs]
        self.uploader = Uploader(self.control, SOURCES.get, self._reach)

    async def _reach(self) -> Reached:
        if not self._left:
            raise InfrastructureError("nobody is there")
        return Reached(self._left.pop(0))

    async def receive(self, number: int, *contents: bytes) -> None:
        """Wait until the uploader has said all this on its n-th connection."""
        received = b""
        while not all(content in received for content in contents):
            more = asyncio.get_running_loop().sock_recv(self._pairs[number][0], 4096)
            chunk = await asyncio.wait_for(more, WAIT_S)
            assert chunk, "the uploader has left"
            received += chunk

    def answer(self, number: int, *answers: messages.Message) -> None:
        greeting = frame(encode_hello(hello(Role.BROKER, __version__)))
        said = b"".join(frame(encode(message)) for message in answers)
        self._pairs[number][0].send(greeting + said)

    def leave(self, number: int) -> None:
        self._pairs[number][0].close()

    async def withheld(self) -> messages.Withhold:
        said = await asyncio.wait_for(self.control.sent.get(), WAIT_S)
        assert isinstance(said, messages.Withhold)
        return said


def play(story: Callable[[Broker], Awaitable[None]], times: int) -> None:
    async def run() -> None:
        broker = Broker(times)
        broker.uploader.welcomed(broker.control, "token", is_local=True)
        await story(broker)
        await broker.uploader.close()
        for number in range(times):
            broker.leave(number)

    asyncio.run(run())


def put(*digests: Digest) -> bytes:
    return frame(encode(parcel(*(SOURCES[digest] for digest in digests))))


def test_a_broker_of_our_own_is_greeted_at_once_however_late_the_first_content_is() -> None:
    async def story(broker: Broker) -> None:
        await broker.receive(0, b"token")

    play(story, times=1)


def test_what_may_not_have_come_before_the_connection_broke_is_sent_again() -> None:
    async def story(broker: Broker) -> None:
        broker.uploader.give([ONE, TWO])
        await broker.receive(0, put(ONE, TWO))
        broker.answer(0, messages.Took(ONE.size, (ONE,)))
        broker.leave(0)
        await broker.receive(1, put(TWO))
        assert broker.control.sent.empty()

    play(story, times=2)


@pytest.mark.parametrize("times", [1, 2])
def test_what_cannot_be_sent_again_is_withheld(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depot, "TRIES_MAX", 3)

    async def story(broker: Broker) -> None:
        broker.uploader.give([ONE])
        for number in range(times):
            await broker.receive(number, put(ONE))
            broker.leave(number)
        assert (await broker.withheld()).digest == ONE

    play(story, times)
