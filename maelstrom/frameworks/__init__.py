"""The test frameworks we know: how to list cases, run one and read its verdict."""

from maelstrom.errors import SpecError
from maelstrom.frameworks.base import Framework
from maelstrom.frameworks.gtest import GoogleTest
from maelstrom.frameworks.plain import Plain
from maelstrom.frameworks.pytest import Pytest

FRAMEWORKS: dict[str, Framework] = {
    known.name: known for known in (GoogleTest(), Pytest(), Plain())
}


def framework(name: str) -> Framework:
    """Return the framework of that name; raises SpecError."""
    found = FRAMEWORKS.get(name)
    if found is None:
        known = ", ".join(FRAMEWORKS)
        raise SpecError(f"unknown framework `{name}`", hint=f"use one of {known}")
    return found
