"""Where a broker may listen, and what is said where it may not."""

import os
import socket
import stat
from pathlib import Path

import pytest

from maelstrom.errors import InfrastructureError
from maelstrom.wire import listener as listener_module
from maelstrom.wire.address import Address, parse
from maelstrom.wire.connection import Connection
from maelstrom.wire.listener import Listener


def _never() -> Connection:
    raise AssertionError("nobody comes")


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InfrastructureError, match=f"plain:127.0.0.1:{port}: Address already"):
            Listener(Address("127.0.0.1", port, is_plain=True), _never)


async def test_a_host_that_is_not_ours_is_named() -> None:
    with pytest.raises(InfrastructureError, match=r"cannot listen on 192\.0\.2\.1:9001"):
        Listener(parse("192.0.2.1:9001"), _never)


async def test_all_addresses_of_a_name_get_one_port() -> None:
    listener = Listener(parse("plain:localhost:0"), _never)
    ports = {sock.getsockname()[1] for sock in listener._sockets}
    assert ports == {listener.address.port}
    await listener.close()


@pytest.mark.parametrize("lacks_sockets", [False, True])
async def test_all_addresses_of_a_host_without_ipv6_are_the_others(
    monkeypatch: pytest.MonkeyPatch, lacks_sockets: bool
) -> None:
    real = listener_module._bind

    def bind(family: int, where: tuple[object, ...]) -> socket.socket:
        if family == socket.AF_INET6:
            raise listener_module._NotHere if lacks_sockets else OSError(99, "Cannot assign")
        return real(family, where)

    monkeypatch.setattr(listener_module, "_bind", bind)
    listener = Listener(parse("[::]:0"), _never)
    assert [sock.getsockname()[0] for sock in listener._sockets] == ["0.0.0.0"]
    await listener.close()


async def test_a_socket_file_is_its_owners_and_goes_with_the_broker(tmp_path: Path) -> None:
    path = tmp_path / "broker"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    listener = Listener(Address(path=str(path)), _never)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InfrastructureError, match="another program listens"):
        Listener(Address(path=str(path)), _never)
    await listener.close()
    assert not path.exists()


async def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("mine")
    with pytest.raises(InfrastructureError, match="Address already in use"):
        Listener(Address(path=str(path)), _never)
    assert path.read_text() == "mine"
    assert os.listdir(tmp_path) == ["data"]
