"""Layer recipes as an SConstruct writes them."""

import os
import sys
from pathlib import Path

import pytest

from maelstrom.client import recipes
from maelstrom.layers import python
from maelstrom.layers.build import Hasher


@pytest.mark.parametrize(
    ("programs", "pythons", "layers"),
    [
        (["true"], [], 1),
        (["true", sys.executable], [sys.executable], 2),
        (["python3"], ["python3"], 1),
    ],
)
def test_a_python_among_programs_comes_with_its_library(
    programs: list[str],
    pythons: list[str],
    layers: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    with Hasher(tmp_path) as hasher:
        empty = recipes.build_all([{"type": "stubs", "stubs": ["x"]}], project="/", hasher=hasher)

        def build(interpreter: str, **_: object) -> object:
            asked.append(interpreter)
            return empty[0]

        monkeypatch.setattr(python, "build", build)
        recipe = {"type": "programs", "programs": programs}
        built = recipes.build_all([recipe], project=os.fspath(tmp_path), hasher=hasher)
    assert asked == pythons
    assert len(built) == layers
