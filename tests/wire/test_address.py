"""Where a broker is, and what is too far."""

import pytest

from maelstrom.errors import InfrastructureError, UserError
from maelstrom.wire.address import Address, connect, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7000", Address("127.0.0.1", 7000)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:7000", Address("::1", 7000)),
        ("broker.example:7000", Address("broker.example", 7000)),
        ("0.0.0.0:7000", Address("0.0.0.0", 7000)),
        ("plain:127.0.0.1:7000", Address("127.0.0.1", 7000, is_plain=True)),
        ("plain:[::1]:7000", Address("::1", 7000, is_plain=True)),
        ("unix:/run/broker", Address(path="/run/broker")),
    ],
)
def test_an_address_is_read_and_written(text: str, address: Address) -> None:
    assert parse(text) == address
    assert str(address) == text
    assert address.wants_tls == (not text.startswith(("unix:", "plain:")))


@pytest.mark.parametrize("text", ["", "unix:", "7000", ":7000", "host", "127.0.0.1:x", "::1:70000"])
def test_what_is_no_address_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert "HOST:PORT" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["plain:0.0.0.0:70", "plain:[::]:70", "plain:broker.example:70", "plain:10.0.0.1:1"]
)
def test_plaintext_stays_on_the_machine(text: str) -> None:
    with pytest.raises(UserError, match="plaintext stays on the machine"):
        parse(text)


def test_a_broker_that_is_not_there_is_named() -> None:
    with pytest.raises(InfrastructureError, match="cannot reach the broker at unix:/no/such"):
        connect(parse("unix:/no/such"))
