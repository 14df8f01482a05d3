"""What a worker has, and whether that is enough for a job."""

import pytest

from maelstrom.model.amounts import Amounts, suffice

HAS: Amounts = (("gpu", 2), ("label:fast", 1))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ((("slots", 1),), True),
        ((("slots", 5),), False),
        ((("gpu", 2), ("slots", 4)), True),
        ((("gpu", 3), ("slots", 1)), False),
        ((("label:fast", 1), ("slots", 1)), True),
        ((("label:slow", 1), ("slots", 1)), False),
        # Who else has one of them is for the broker to know.
        ((("exclusive:database", 1), ("slots", 1)), False),
    ],
)
def test_a_worker_has_enough_of_everything_or_not(wanted: Amounts, expected: bool) -> None:
    assert suffice(4, HAS, wanted) == expected
