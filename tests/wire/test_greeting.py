"""Two programs find out whether they can talk."""

import msgspec
import pytest

from maelstrom.errors import ProtocolError
from maelstrom.wire.greeting import Hello, Role, agree, encode_hello, hello, read_hello


def end(role: Role, low: int, high: int, build: str) -> Hello:
    return Hello(low, high, role, build)


def test_the_highest_version_that_both_speak_is_taken() -> None:
    broker, client = end(Role.BROKER, 2, 5, "1.5"), end(Role.CLIENT, 1, 3, "1.3")
    assert agree(broker, client) == agree(client, broker) == 3


def test_a_mismatch_names_both_versions_and_what_to_upgrade() -> None:
    broker, client = end(Role.BROKER, 3, 5, "1.5"), end(Role.CLIENT, 1, 2, "1.2")
    for ours, theirs in ((broker, client), (client, broker)):
        with pytest.raises(ProtocolError) as caught:
            agree(ours, theirs)
        assert "broker 1.5 (protocol 3 to 5)" in caught.value.message
        assert "client 1.2 (protocol 1 to 2)" in caught.value.message
        assert caught.value.hint.startswith("upgrade the client to 1.5")


def test_a_hello_of_a_later_version_can_be_read() -> None:
    later = msgspec.msgpack.encode(["maelstrom", 1, 9, "broker", "9.0", 1 << 20, "", "new", 7])
    assert read_hello(later).protocol_max == 9


def test_a_hello_goes_there_and_back() -> None:
    ours = hello(Role.WORKER, "0.1")
    assert read_hello(encode_hello(ours)) == ours


@pytest.mark.parametrize("body", [b"GET / HTTP/1.1", b"\x91\xa3foo", b"\xff", b"\x80"])
def test_what_is_no_hello_says_so(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="did not say hello"):
        read_hello(body)
