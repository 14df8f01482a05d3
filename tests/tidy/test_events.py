"""Every event that a daemon writes is explained to its operators, and no other."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TELLERS = {"debug", "info", "warning", "error", "note"}


def _is_log(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in {"_log", "log", "self"}


def _told() -> dict[str, set[str]]:
    """Return the events of the code, each with its fields."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "maelstrom").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr not in TELLERS or not _is_log(node.func.value) or not node.args:
                continue
            event = node.args[0]
            if isinstance(event, ast.Constant) and isinstance(event.value, str):
                fields = {word.arg for word in node.keywords if word.arg}
                if node.func.attr == "note":
                    fields |= {"id", "peer", event.value.split()[0]}
                found.setdefault(event.value, set()).update(fields)
    return found


def _explained() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `([a-z ]+)` \|.*?\| (.*) \|$", _page(), re.MULTILINE)
    return {event: set(re.findall(r"`([a-z_]+)`", fields)) for event, fields in rows}


def _page() -> str:
    return (ROOT / "docs/logs.md").read_text()


def test_every_event_is_explained_with_its_fields() -> None:
    assert _told() == _explained()


def test_every_field_is_explained() -> None:
    known = set(re.findall(r"^\* `([a-z_]+)`", _page(), re.MULTILINE))
    assert known == {field for fields in _told().values() for field in fields}
