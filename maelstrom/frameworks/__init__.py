"""The test frameworks we know: how to list cases, run one and read its verdict."""

from maelstrom.errors import SpecError
from maelstrom.frameworks.base import Framework
from maelstrom.frameworks.boost import Boost
from maelstrom.frameworks.catch2 import Catch2
from maelstrom.frameworks.detect import detect, detect_directory, detect_file
from maelstrom.frameworks.doctest import Doctest
from maelstrom.frameworks.gtest import GoogleTest
from maelstrom.frameworks.plain import Plain
from maelstrom.frameworks.pytest import PYTEST
from maelstrom.frameworks.tap import Tap
from maelstrom.frameworks.unittest import UNITTEST

__all__ = ["FRAMEWORKS", "detect", "detect_directory", "detect_file", "framework"]

FRAMEWORKS: dict[str, Framework] = {
    known.name: known
    for known in (
        GoogleTest(),
        Catch2(),
        Doctest(),
        Boost(),
        PYTEST,
        UNITTEST,
        Tap(),
        Plain(),
    )
}


def framework(name: str) -> Framework:
    """Return the framework of that name; raises SpecError."""
    found = FRAMEWORKS.get(name)
    if found is None:
        known = ", ".join(FRAMEWORKS)
        raise SpecError(f"unknown framework `{name}`", hint=f"use one of {known}")
    return found
