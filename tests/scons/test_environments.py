"""Upgrades of what tests run with are seen, though SCons knows nothing of them."""

from pathlib import Path

import pytest

from tests.support.distribution import environment, install
from tests.support.project import Project

TEST = """\
import unittest, word
class TestWord(unittest.TestCase):
    def test_word(self): self.assertEqual(word.WORD, "one")
"""


def test_an_upgrade_is_seen_and_nothing_else_is(project: Project, tmp_path: Path) -> None:
    pytest.importorskip("pip")
    project.python = environment(tmp_path / "env")
    project.write(test_word_dot_py=TEST)
    project.sconstruct("env.MaelstromTest('word', 'test_word.py')\n")
    install(project.python, tmp_path, "1.0", "one")
    assert project.scons("test").has("1 passed")
    assert project.scons("test").has("is up to date")
    install(project.python, tmp_path, "1.1", "two")
    changed = project.scons("test")
    assert changed.status == 2
    assert "1 failed" in changed.out
    assert "'two' != 'one'" in changed.out


def test_programs_and_interpreters_of_the_host_are_watched(
    project: Project, tmp_path: Path
) -> None:
    tool = tmp_path / "bin/tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho one\n")
    tool.chmod(0o755)
    project.write(t_dot_sh=f"#!{tool}\n")
    (project.root / "t.sh").chmod(0o755)
    project.sconstruct(
        "env.MaelstromTest('script', 't.sh')\n"
        "layer = env.MaelstromLayer('l', programs=['tool'])\n"
        "env.MaelstromTest('layer', 't.sh', layers=[layer])\n"
    )
    path = f"{tool.parent}:/usr/bin:/bin"
    assert project.scons("test", PATH=path).has("2 passed")
    assert project.scons("test", PATH=path).has("is up to date")
    manifest = project.root / ".maelstrom/layers/l.manifest"
    before = manifest.read_bytes()
    tool.write_text("#!/bin/sh\nexit 0\n")
    assert project.scons("test", PATH=path).has("2 passed")
    assert manifest.read_bytes() != before
    assert project.scons("test", PATH=path).has("is up to date")


def test_programs_that_a_test_starts_are_watched(project: Project, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\nexit 0\n")
    tool.chmod(0o755)
    project.put("t.sh", "#!/bin/sh\ntool\n")
    (project.root / "t.sh").chmod(0o755)
    project.sconstruct("env.MaelstromTest('t', 't.sh', programs=['tool', 'python3'])\n")
    path = f"{tmp_path}:/usr/bin:/bin"
    head = "env['ENV']['PATH'] = " + repr(path) + "\n"
    project.put("SConstruct", (project.root / "SConstruct").read_text() + head)
    assert project.scons("test", PATH=path).has("1 passed")
    assert project.scons("test", PATH=path).has("is up to date")
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert project.scons("test", PATH=path).has("1 failed")


def test_directories_of_the_host_in_a_layer_are_watched(project: Project, tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "deep").mkdir(parents=True)
    (models / "deep/a").write_text("1")
    project.sconstruct(f"env.MaelstromLayer('l', paths=[{str(models)!r}])\n")
    manifest = ".maelstrom/layers/l.manifest"
    assert project.scons(manifest).status == 0
    assert project.scons(manifest).has("is up to date")
    (models / "deep/a").write_text("22")
    assert project.scons("-q", manifest).status == 1


def test_all_that_a_glob_with_choices_matches_is_watched(project: Project) -> None:
    project.write(a_dot_txt="1", d__b_dot_csv="1")
    project.sconstruct("env.MaelstromLayer('l', glob='**/*.{txt,csv}')\n")
    manifest = ".maelstrom/layers/l.manifest"
    for name in ("a.txt", "d/b.csv", "d/new.csv"):
        project.put(name, "22")
        assert project.scons(manifest).status == 0
        assert project.scons("-q", manifest).status == 0
        project.put(name, "333")
        assert project.scons("-q", manifest).status == 1, name
