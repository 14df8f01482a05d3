"""Values on command lines."""

import click
import pytest

from maelstrom.cli.options import read_labels, read_resources


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("gpu=2", (("gpu", 2),)),
        ("scope=1, gpu=2,", (("gpu", 2), ("scope", 1))),
    ],
)
def test_resources_are_read(text: str, expected: tuple[tuple[str, int], ...]) -> None:
    assert read_resources(text) == expected


@pytest.mark.parametrize(
    "text", ["gpu", "gpu=0", "gpu=-1", "=1", "slots=4", "exclusive:x=1", "a b=1"]
)
def test_what_is_no_resource_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="is not a resource"):
        read_resources(text)


def test_labels_are_read_as_resources_that_stand_for_them() -> None:
    assert read_labels("fast, arch=x86,fast,") == (("label:arch=x86", 1), ("label:fast", 1))


@pytest.mark.parametrize("text", ["a b", "=x", "label:x", "x," + 101 * "y"])
def test_what_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="is not a label"):
        read_labels(text)
