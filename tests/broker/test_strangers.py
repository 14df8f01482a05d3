"""What somebody without a certificate, or a mad operator, can send harms nobody else."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from maelstrom import __version__
from maelstrom.trust import build
from maelstrom.wire import messages
from maelstrom.wire.framing import frame
from maelstrom.wire.greeting import Role, encode_hello, hello
from tests.support.secured import Secured, Trust

REQUEST = build.request(build.new_key(), "x")
TEXTS = st.text(max_size=30) | st.sampled_from(
    ["alpha", "../x", "0" * 12 + "." + "A" * 43 + "@sha256:" + "0" * 64]
)
REQUESTS = st.binary(max_size=200) | st.integers(0, len(REQUEST)).map(lambda at: REQUEST[:at])
SENT = st.one_of(
    st.builds(messages.Enrol, TEXTS, TEXTS, REQUESTS),
    st.builds(messages.Renew, REQUESTS),
    st.just(messages.AskAuthority()),
    st.just(messages.AskState()),
    st.builds(messages.Drain, TEXTS, st.booleans()),
    st.builds(messages.CancelJobs, TEXTS, st.integers(-1, 1 << 40)),
).map(msgspec.msgpack.encode)


class Wire(asyncio.Transport):
    """Nobody reads it."""

    is_closed = False

    def write(self, data: Any) -> None: ...
    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close


async def _say(secured: Secured, role: Role, bodies: list[bytes]) -> None:
    connection = secured.broker.add(is_local=False)
    connection.connection_made(Wire())
    connection.data_received(frame(encode_hello(hello(role, __version__))))
    for body in bodies:
        connection.data_received(frame(body))
    await asyncio.gather(*secured.broker._tasks)
    connection.connection_lost(None)


def test_nothing_that_is_sent_harms_the_broker(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:

        async def start() -> Secured:
            return Secured(Trust(tmp_path), tmp_path)

        secured = runner.run(start())
        issued = len(secured.trust.authority.issued())

        @settings(max_examples=100, deadline=None)
        @given(st.sampled_from([Role.JOIN, Role.ADMIN]), st.lists(SENT | st.binary(min_size=1)))
        def say(role: Role, bodies: list[bytes]) -> None:
            runner.run(_say(secured, role, bodies))
            assert secured.broker.failure is None

        say()
        assert len(secured.trust.authority.issued()) == issued
        assert not secured.broker._connections
        runner.run(secured.close())
