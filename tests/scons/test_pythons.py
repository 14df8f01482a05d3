import os
from collections.abc import Callable
from pathlib import Path

import pytest

from maelstrom.scons.pythons import Pythons
from tests.support.distribution import environment, site

State = Callable[[], str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a virtual environment in it, where nothing is installed."""
    root = tmp_path_factory.mktemp("root")
    environment(root / "env", is_bare=True)
    return root


@pytest.fixture
def pythons(root: Path, tmp_path: Path) -> Pythons:
    """What tells of the Pythons of a project that knows of none yet."""
    pythons = Pythons()
    pythons.load(tmp_path / "pythons.json", os.fspath(root / "project"))
    return pythons


def state(pythons: Pythons, root: Path, *, is_contained: bool) -> str:
    pythons.forget()
    return pythons.state(os.fspath(root / "env/bin/python"), is_contained=is_contained)


def test_what_is_installed_outside_is_watched_for_all(pythons: Pythons, root: Path) -> None:
    sources = root / "outside"
    sources.mkdir()
    before = [state(pythons, root, is_contained=c) for c in (True, False)]
    (site(root / "env") / "outside.pth").write_text(f"{sources}\n")
    installed = [state(pythons, root, is_contained=c) for c in (True, False)]
    (sources / "word.py").write_text("WORD = 'one'\n")
    edited = [state(pythons, root, is_contained=c) for c in (True, False)]
    assert edited == [state(pythons, root, is_contained=c) for c in (True, False)]
    for states in zip(before, installed, edited, strict=True):
        assert len(set(states)) == 3


def test_editable_sources_in_the_project_are_watched_for_plain_tests(
    pythons: Pythons, root: Path
) -> None:
    sources = root / "project/src"
    sources.mkdir(parents=True)
    (site(root / "env") / "inside.pth").write_text(f"{sources}\n")
    before = [state(pythons, root, is_contained=c) for c in (True, False)]
    (sources / "log.txt").write_text("of some build")
    assert before == [state(pythons, root, is_contained=c) for c in (True, False)]
    (sources / "word.py").write_text("WORD = 'one'\n")
    contained, plain = (state(pythons, root, is_contained=c) for c in (True, False))
    assert contained == before[0], "in a container they come as declared data"
    assert plain != before[1]


def test_what_a_finder_maps_is_watched(pythons: Pythons, root: Path) -> None:
    package = root / "mapped/word"
    package.mkdir(parents=True)
    finder = site(root / "env") / "__editable___word_finder.py"
    finder.write_text(f"MAPPING: dict[str, str] = {{'word': {str(package)!r}}}\n")
    before = state(pythons, root, is_contained=True)
    (package / "__init__.py").write_text("WORD = 'one'\n")
    assert state(pythons, root, is_contained=True) != before


def test_what_was_learnt_is_kept_and_nothing_is_asked_again(
    pythons: Pythons, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(pythons, root, is_contained=True)
    pythons.save()
    monkeypatch.setattr("maelstrom.layers.python_state.probe", None)
    others = Pythons()
    others.load(tmp_path / "pythons.json", os.fspath(root / "project"))
    assert state(others, root, is_contained=True) == before


def test_a_damaged_memory_is_forgotten(pythons: Pythons, root: Path, tmp_path: Path) -> None:
    before = state(pythons, root, is_contained=True)
    for text in ("{", "[]", '{"version": 1, "pythons": 3}', '{"version": 1, "pythons": {"x": 1}}'):
        (tmp_path / "pythons.json").write_text(text)
        others = Pythons()
        others.load(tmp_path / "pythons.json", os.fspath(root / "project"))
        assert state(others, root, is_contained=True) == before


def test_a_python_that_does_not_work_has_a_state_too(pythons: Pythons, tmp_path: Path) -> None:
    assert "nope" in pythons.state("no/nope", is_contained=True)
