"""Keywords that say what a container is to have: tables, without a build."""

from typing import Any

import pytest
import SCons.Errors

from maelstrom.model import spec
from maelstrom.scons import keywords, world

COMPLAIN = keywords.Complaint("MaelstromTest", "t")


@pytest.mark.parametrize(
    ("given", "extras"),
    [
        ({}, {}),
        ({"devices": "null"}, {"devices": ("null",)}),
        ({"devices": []}, {"devices": ()}),
        ({"read_only": True}, {"root": "read-only"}),
        (
            {"outputs": ["#out/", "a/b", "/tmp/x"]},
            {"outputs": ("out", "a/b", "/tmp/x")},
        ),
        (
            {"capabilities": True, "identities": True},
            {"has_identities": True, "has_powers": True},
        ),
        ({"capabilities": False, "uptime": 0}, {"uptime_s": 0}),
    ],
)
def test_what_was_asked_for_becomes_fields(given: dict[str, Any], extras: dict[str, Any]) -> None:
    assert dict(world.checked(COMPLAIN, given, (0, 0))) == extras


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"devices": "floppy"}, "devices: 'floppy' is none of full, null"),
        ({"devices": 3}, "devices: 3 is not a string"),
        ({"outputs": "../x"}, "outputs: '../x' must be a path in the project"),
        ({"outputs": "/"}, "outputs: '/' must be a path in the project"),
        ({"outputs": "#"}, "outputs: '#' must be a path in the project"),
        ({"identities": 1}, "identities=1 must be True or False"),
        ({"read_only": "yes"}, "read_only='yes' must be True or False"),
        ({"capabilities": True}, 'say user="root", too'),
        ({"uptime": -1}, "uptime=-1 must be a whole number"),
        ({"uptime": "long"}, "uptime='long' must be a whole number"),
    ],
)
def test_a_mistake_names_the_keyword(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SCons.Errors.UserError) as caught:
        world.checked(COMPLAIN, given, (1000, 1000))
    assert words in str(caught.value)


def test_limits_of_the_kernel_are_resources() -> None:
    limits, taken = keywords.resources(COMPLAIN, {"stack": 7, "memory": 8, "cpu_s": 9, "gpu": 1})
    assert dict(limits) == {"memory_bytes_max": 8, "kernel": (("cpu_s", 9), ("stack", 7))}
    assert dict(taken) == {"slots": 1, "gpu": 1}


def test_labels_are_resources_that_stand_for_them() -> None:
    assert keywords.labels(COMPLAIN, "arch=x86") == (("label:arch=x86", 1),)
    assert keywords.labels(COMPLAIN, None) == ()


def test_names_are_those_of_the_spec() -> None:
    assert set(world.DEVICES) == set(spec.DEVICES_KNOWN)
    assert set(keywords.KERNEL_LIMITS) == set(spec.KERNEL_LIMITS)
