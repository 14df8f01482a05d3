"""The JUnit file is whole, whatever had to be run."""

from pathlib import Path

import junitparser

from tests.support.project import FAILS, PASSES, Project

SKIPS = '#include <stdio.h>\nint main(void) { puts("1..1\\nok 1 - x # SKIP no"); return 0; }\n'
TESTS = """
for name in ("one", "two", "three"):
    env.MaelstromTest(name, env.Program(name, name + ".c"))
env.MaelstromTest("tap", env.Program("tap", "tap.c"), framework="tap")
"""
JUNIT = "--maelstrom-junit=report.xml"


def results(root: Path) -> dict[str, list[str]]:
    """Return for each suite how its cases ended."""
    found = {}
    for suite in junitparser.JUnitXml.fromfile(str(root / "report.xml")):
        ends = [type(r).__name__ for case in suite for r in case.result or [None]]
        marked = any(p.name == "up_to_date" for p in suite.properties())
        found[suite.name] = [*(["up to date"] if marked else []), *ends]
    return found


def four(project: Project, two: str = PASSES) -> Project:
    project.write(one_dot_c=PASSES, two_dot_c=two, three_dot_c=PASSES, tap_dot_c=SKIPS)
    return project.sconstruct(TESTS)


def test_what_was_up_to_date_is_in_the_file_as_it_was(project: Project) -> None:
    four(project)
    passed = ["NoneType"]
    first = {"one": passed, "two": passed, "three": passed, "tap": ["Skipped"]}
    assert project.scons("test", JUNIT).status == 0
    assert results(project.root) == first
    marked = {name: ["up to date", *ends] for name, ends in first.items()}
    (project.root / "report.xml").write_text("an older one")
    ran = project.scons("test", JUNIT)
    assert (ran.status, ran.has("is up to date")) == (0, True)
    assert results(project.root) == marked
    project.put("two.c", FAILS)
    ran = project.scons("test", JUNIT)
    assert (ran.status, ran.has("3 targets up to date")) == (2, True)
    assert results(project.root) == marked | {"two": ["Failure"]}


def test_without_a_record_a_target_is_still_there(project: Project) -> None:
    four(project)
    assert project.scons("test").status == 0
    (project.root / ".maelstrom/record.sqlite").unlink()
    assert project.scons("test", JUNIT).status == 0
    assert set(results(project.root)) == {"one", "two", "three", "tap"}
    assert results(project.root)["one"] == ["up to date", "NoneType"]


def test_what_could_not_be_built_is_an_error_and_what_was_not_reached_is_skipped(
    project: Project,
) -> None:
    four(project, "nonsense\n")
    ran = project.scons("test", JUNIT, "-k")
    assert (ran.status, ran.has("1 target not reached")) == (2, True)
    passed = ["NoneType"]
    found = {"one": passed, "two": ["Error"], "three": passed, "tap": ["Skipped"]}
    assert results(project.root) == found
    project.put("one.c", "nonsense\n")
    project.put("tap.c", SKIPS + "int other;\n")
    assert project.scons("test", JUNIT).status == 2
    again = results(project.root)
    assert set(again) == set(found)
    assert (again["one"], again["two"], again["tap"]) == (["Error"], ["Skipped"], ["Skipped"])


def test_only_a_run_of_tests_writes_a_file(project: Project) -> None:
    four(project)
    for arguments in (("one",), ("-n", "test"), ("-q", "test"), ("-h",)):
        project.scons(JUNIT, *arguments)
        assert not (project.root / "report.xml").exists(), arguments


def test_a_file_that_cannot_be_written_is_told_though_nothing_runs(project: Project) -> None:
    four(project)
    assert project.scons("test").status == 0
    ran = project.scons("test", "--maelstrom-junit=nowhere/report.xml")
    assert ran.status == 2
    assert ran.has("scons: *** the directory", "does not exist", "hint")
