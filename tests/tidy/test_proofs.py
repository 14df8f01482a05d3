"""What the book says is proven by a test is so: the test is there, by that name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLAIM = re.compile(r"`([a-z0-9_]+/test_[a-z0-9_]+\.py)`: (\*[^*]+\*(?:, \*[^*]+\*)*)")
TABLE = (ROOT / "docs/scheduling.md").read_text().partition("## Answers to what is weak")[2]
CLAIMS = [(path, name) for path, names in CLAIM.findall(TABLE) for name in names.split("*, *")]


@pytest.mark.parametrize(("path", "name"), CLAIMS)
def test_a_test_that_is_named_exists(path: str, name: str) -> None:
    name = name.strip("*")
    test = "test_" + re.sub(r"[ ,]+", "_", name)
    text = (ROOT / "tests" / path).read_text()
    assert f"def {test}(" in text or f'"{name}"' in text


def test_every_answer_has_one() -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    assert [row for row in rows if not CLAIM.search(row)] == []
