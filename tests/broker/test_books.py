"""What a job needs of a worker."""

import copy

import pytest

from maelstrom.broker.books import PLAIN, Shape, shape_of


@pytest.mark.parametrize("resources", [(), (("slots", 1),)])
def test_whatever_needs_one_slot_is_plain_by_identity(
    resources: tuple[tuple[str, int], ...],
) -> None:
    assert shape_of(resources) is PLAIN
    assert copy.deepcopy(shape_of(resources)) is PLAIN


def test_what_a_job_needs_is_read_from_its_resources_in_any_order() -> None:
    found = shape_of(
        (("gpu", 2), ("exclusive:port", 1), ("label:x", 1), ("slots", 3), ("camera", 1))
    )
    assert found == Shape(
        3, (("camera", 1), ("gpu", 2)), groups=("exclusive:port",), labels=("label:x",)
    )
