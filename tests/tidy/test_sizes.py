"""Files and functions stay small enough to be read at once."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("maelstrom", "provision", "tests")
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70


def _sources() -> list[Path]:
    return sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))


def test_no_file_is_longer_than_a_room() -> None:
    long = {p: n for p in _sources() if (n := len(p.read_text().splitlines())) > FILE_LINES_MAX}
    assert not long


def test_no_function_is_longer_than_a_screen() -> None:
    long = []
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno >= FUNCTION_LINES_MAX:
                    long.append(f"{path}:{node.lineno} {node.name}")
    assert not long


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "common", "helpers", "misc"}
    assert not [p for p in _sources() if p.stem in drawers]
