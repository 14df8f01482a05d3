"""What was sent is kept until it is known to have come."""

import pytest

from maelstrom.errors import ProtocolError
from maelstrom.wire.outbox import Outbox


def test_what_came_is_forgotten_and_the_rest_is_sent_again() -> None:
    outbox: Outbox[str] = Outbox()
    for item in "abc":
        outbox.keep(item)
    assert outbox.heard(0) == []
    assert outbox.heard(2) == ["a", "b"]
    assert outbox.heard(2) == []
    assert outbox.restart() == ["c"]
    outbox.keep("c")
    assert outbox.heard(1) == ["c"]
    assert len(outbox) == 0


@pytest.mark.parametrize("count", [-1, 0, 3])
def test_a_count_that_cannot_be_is_a_breach(count: int) -> None:
    outbox: Outbox[str] = Outbox()
    outbox.keep("a")
    outbox.keep("b")
    outbox.heard(1)
    with pytest.raises(ProtocolError, match="so many were not sent"):
        outbox.heard(count)
