"""The client's way to give the broker what it lacks."""

import asyncio
import socket

from maelstrom import __version__
from maelstrom.client.uploader import Uploader
from maelstrom.wire import messages
from maelstrom.wire.connection import Codec, Connection
from maelstrom.wire.dial import Reached
from maelstrom.wire.greeting import Role, hello

_FROM_BROKER: Codec[messages.BrokerToClient] = Codec(messages.BrokerToClient)


def test_a_broker_of_our_own_is_greeted_at_once_however_late_the_first_content_is() -> None:
    asyncio.run(_greet())


async def _greet() -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    async def reach() -> Reached:
        return Reached(ours)

    control = Connection(hello(Role.CLIENT, __version__), owner=None, codec=_FROM_BROKER)
    uploader = Uploader(control, lambda digest: None, reach)
    uploader.welcomed(control, "token", is_local=True)
    said = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(theirs, 1000), 5)
    await uploader.close()
    theirs.close()
    assert b"token" in said
