"""Part of the demo: a few pytest cases, each run in a container of its own."""

import pytest


@pytest.mark.parametrize("text", ["ann", "bob", "", "zoë"])
def test_reversing_twice_changes_nothing(text: str) -> None:
    assert "".join(reversed("".join(reversed(text)))) == text


def test_sorting_is_stable() -> None:
    words = ["pear", "fig", "plum", "nut"]
    assert sorted(words, key=len) == ["fig", "nut", "pear", "plum"]


@pytest.mark.skip(reason="shows what a skipped case looks like")
def test_that_is_skipped() -> None:
    raise AssertionError
