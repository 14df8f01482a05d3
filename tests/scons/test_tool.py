"""What a user sees of the tool: builds by the SCons that is installed, of small real projects."""

import shutil
import subprocess
import sys

import pytest

from tests.support.project import CHECKOUT, FAILS, PASSES, SLEEPS, Project

THREE = """
for name in ("one", "two", "three"):
    env.MaelstromTest(name, env.Program(name, name + ".c"))
"""


def three(project: Project, two: str = PASSES, *, is_fake: bool = False) -> Project:
    project.write(one_dot_c=PASSES, two_dot_c=two, three_dot_c=PASSES)
    return project.sconstruct(THREE, is_fake=is_fake)


def test_a_test_is_built_run_told_and_not_run_again(project: Project) -> None:
    three(project)
    first = project.scons("test")
    assert first.status == 0
    assert first.has("PASS", "one", "two", "three", "3 passed")
    second = project.scons("test")
    assert second.status == 0
    assert second.has("`test' is up to date")
    assert "PASS" not in second.out


def test_a_build_without_targets_runs_no_test(project: Project) -> None:
    three(project)
    ran = project.scons("-Q")
    assert ran.status == 0
    assert ran.has("gcc -o three three.o")
    assert "PASS" not in ran.out
    assert not (project.root / ".maelstrom/passed").exists()


def test_only_what_failed_or_changed_runs_again(project: Project) -> None:
    three(project, FAILS)
    first = project.scons("-k", "test")
    assert first.status == 2
    assert first.has("FAIL", "oh no", "scons: *** [.maelstrom/passed/two.plain]", "2 passed")
    second = project.scons("-k", "test")
    assert second.status == 2
    assert second.has("FAIL", "two")
    assert "PASS" not in second.out
    project.put("two.c", PASSES)
    third = project.scons("-k", "test")
    assert third.status == 0
    assert third.has("1 passed", "two")


def test_of_a_test_only_the_failed_cases_run_again(project: Project) -> None:
    project.write(test_a_dot_py="def test_a(): pass\ndef test_b(): assert 1 == 2\n")
    project.sconstruct("env.MaelstromTest('py', 'test_a.py')\n")
    assert project.scons("test").has("1 passed", "1 failed", "assert 1 == 2")
    again = project.scons("test")
    assert again.status == 2
    assert again.has("1 failed")
    passed = [line for line in again.out.splitlines() if "PASS" in line]
    assert all("record" in line for line in passed)
    assert len(passed) == 1


def test_without_k_a_failure_stops_the_build_and_with_k_it_does_not(project: Project) -> None:
    sources = "for n in range(6): env.MaelstromTest(f't{n}', env.Program(f't{n}', f't{n}.c'))\n"
    for number in range(6):
        project.put(f"t{number}.c", FAILS if number == 0 else PASSES)
    project.sconstruct(sources)
    stopped = project.scons("-Q", "test")
    assert stopped.status == 2
    assert stopped.out.count("scons: ***") == 1
    everything = project.scons("-Q", "-k", "test")
    assert everything.status == 2
    assert everything.has("FAIL")
    assert len(list((project.root / ".maelstrom/passed").iterdir())) == 5


def test_a_program_that_does_not_compile_does_not_hold_up_others(project: Project) -> None:
    three(project, "int main(void) { return nonsense; }\n")
    ran = project.scons("-k", "-j2", "test")
    assert ran.status == 2
    assert ran.has("nonsense", "2 passed")


@pytest.mark.parametrize("jobs", ["-j1", "-j4"])
def test_the_number_of_jobs_changes_no_result(project: Project, jobs: str) -> None:
    three(project, FAILS)
    ran = project.scons("-k", jobs, "test")
    assert ran.status == 2
    assert ran.has("2 passed", "1 failed")


def test_dry_runs_questions_and_cleaning(project: Project) -> None:
    three(project)
    dry = project.scons("-Q", "-n", "test")
    assert dry.has("test one", "test two", "gcc -o one")
    assert not (project.root / "one").exists()
    assert project.scons("-Q", "-q", "test").status == 1
    assert project.scons("-Q", "test").status == 0
    assert project.scons("-Q", "-q", "test").status == 0
    dry = project.scons("-Q", "-n", "test")
    assert "test one" not in dry.out
    assert project.scons("-Q", "-c", "test").has("Removed")
    assert not (project.root / ".maelstrom").exists()
    assert not (project.root / "one").exists()
    assert project.scons("-Q", "-q", "test").status == 1


def test_a_test_has_an_alias_of_its_own(project: Project) -> None:
    three(project)
    ran = project.scons("-Q", "test-two")
    assert ran.has("1 passed", "two")
    assert not (project.root / "one").exists()


def test_what_sees_the_host_is_never_up_to_date(project: Project) -> None:
    project.write(p_dot_c=PASSES)
    project.sconstruct(
        "program = env.Program('p', 'p.c')\n"
        "env.MaelstromTest('net', program, network='local')\n"
        "bind = {'type': 'bind', 'mount_point': '/m', 'host_path': 'p.c'}\n"
        "env.MaelstromTest('bind', program, mounts=bind)\n"
        "env.MaelstromTest('closed', program)\n"
        "env.Command('after', '.maelstrom/passed/net.plain', Copy('$TARGET', '$SOURCE'))\n"
    )
    assert project.scons("test", "after").has("3 passed")
    again = project.scons("test", "after")
    assert again.has("2 passed")
    assert "record" not in again.out
    assert "closed" not in again.out
    assert "Copy" not in again.out


def test_the_command_to_run_again_is_complete(project: Project) -> None:
    project.write(x_dot_c=FAILS)
    body = "env.MaelstromTest('x y', env.Program('x', 'x.c'))\n"
    project.sconstruct(body, is_fake=True)
    ran = project.scons("test", "--maelstrom-broker=h:1", "mode=a b", "--maelstrom-timeout=9")
    command = "scons --maelstrom-broker=h:1 --maelstrom-timeout=9 'mode=a b' 'test-x y'"
    assert ran.has(f"Run again {command}\n")
    (project.root / "SConstruct").rename(project.root / "Other")
    ran = project.scons("test", "--maelstrom", "-f", "Other")
    assert ran.has("Run again scons -fOther --maelstrom 'test-x y'\n")


def test_silence_leaves_the_failures(project: Project) -> None:
    three(project, FAILS)
    ran = project.scons("-s", "-k", "test")
    assert ran.status == 2
    assert ran.has("FAIL", "two")
    assert "PASS" not in ran.out
    assert "gcc" not in ran.out


def test_what_a_test_needs_may_be_declared_after_it(project: Project) -> None:
    project.write(reads_dot_sh="#!/bin/sh\ncat made.txt - | grep -c made | grep 2\n")
    (project.root / "reads.sh").chmod(0o755)
    project.sconstruct(
        "env.MaelstromTest('reads', 'reads.sh', data=['made.txt'], stdin='made.txt')\n"
        "env.MaelstromTest('built', 'prog')\n"
        "env.Command('made.txt', [], 'echo made > $TARGET')\n"
        "env.Command('prog', [], ['ln -s /bin/true $TARGET'])\n"
    )
    ran = project.scons("test")
    assert ran.has("2 passed"), ran.out


def test_data_is_watched_and_modes_too(project: Project) -> None:
    project.write(t_dot_sh="#!/bin/sh\nexec ls d/x d/sub/y >/dev/null\n", d__x="1", d__sub__y="2")
    (project.root / "t.sh").chmod(0o755)
    project.sconstruct("env.MaelstromTest('t', 't.sh', data=['d'], ignore=['*.log'])\n")
    assert project.scons("test").has("1 passed")
    project.put("d/z.log", "ignored")
    assert project.scons("test").has("is up to date")
    project.put("d/sub/new", "3")
    assert project.scons("test").has("1 passed")
    (project.root / "d/x").chmod(0o755)
    assert project.scons("test").has("1 passed")
    project.put("d/x", "other")
    assert project.scons("test").has("1 passed")
    assert project.scons("test").has("is up to date")


def test_a_directory_of_data_holds_what_later_lines_build(project: Project) -> None:
    project.write(
        t_dot_sh="#!/bin/sh\ncat made/deep/in.txt made/here.txt; [ -e made/no.orig ] && exit 3\n"
        "[ $(cat made/deep/in.txt) = right ]\n",
        in_dot_txt="right\n",
        made__here_dot_txt="here\n",
    )
    (project.root / "t.sh").chmod(0o755)
    project.sconstruct(
        "env.MaelstromLayer('l', paths=[Dir('later')])\n"
        "env.MaelstromTest('t', 't.sh', data=[Dir('made')], ignore=['*.orig'])\n"
        "env.Command('made/deep/in.txt', 'in.txt', 'cp $SOURCE $TARGET')\n"
        "env.Command(['made/no.orig', 'later/x'], 'in.txt', 'touch $TARGETS')\n"
    )
    assert project.scons("test").has("1 passed")
    assert not (project.root / "made/no.orig").exists()
    assert project.scons("test").has("is up to date")
    project.put("in.txt", "wrong\n")
    assert project.scons("-q", "test").status == 1
    assert project.scons("test").has("1 failed", "wrong")
    assert project.scons(".maelstrom/layers/l.manifest").status == 0
    assert (project.root / "later/x").exists()


def test_keywords_are_part_of_what_is_watched(project: Project) -> None:
    project.write(t_dot_sh='#!/bin/sh\n[ "$COLOUR" = "${1:-red}" ] && [ "$PWD" = "$2" ]\n')
    (project.root / "t.sh").chmod(0o755)
    (project.root / "sub").mkdir()
    body = (
        "env.MaelstromTest('t', 't.sh', env_vars={{'COLOUR': '{}'}}, "
        "arguments=['{}', Dir('#sub').abspath], working_directory='sub')\n"
    )
    project.sconstruct(body.format("red", "red"))
    assert project.scons("test").has("1 passed")
    project.sconstruct(body.format("red", "blue"))
    assert project.scons("test").status == 2
    project.sconstruct(body.format("blue", "blue"))
    assert project.scons("test").has("1 passed")


@pytest.mark.parametrize("duplicate", [0, 1])
def test_variant_directories(project: Project, duplicate: int) -> None:
    reads = '#include <stdio.h>\nint main(void) { return !fopen("src/in.txt", "r"); }\n'
    project.write(
        src__t_dot_c=reads,
        src__in_dot_txt="x",
        src__test_a_dot_py="def test_a(): assert open('src/in.txt').read() == 'x'\n",
        src__SConscript="Import('env')\n"
        "env.MaelstromTest('t', env.Program('t', 't.c'), data=['in.txt'])\n"
        "env.MaelstromTest('py', 'test_a.py', data=['in.txt'])\n",
    )
    project.sconstruct(
        f"env.SConscript('src/SConscript', 'env', variant_dir='out', duplicate={duplicate})\n"
    )
    ran = project.scons("test")
    assert ran.status == 0, ran.out
    assert ran.has("2 passed", "out/t", "out/py")
    assert project.scons("test").has("is up to date")
    project.put("src/in.txt", "y")
    assert project.scons("-k", "test").has("1 passed", "1 failed")


def test_tests_of_one_name_in_different_directories(project: Project) -> None:
    script = "Import('env')\nenv.MaelstromTest('unit', env.Program('unit', 'unit.c'))\n"
    project.write(a__unit_dot_c=PASSES, b__unit_dot_c=PASSES, a__SConscript=script)
    project.put("b/SConscript", script)
    project.sconstruct("SConscript(['a/SConscript', 'b/SConscript'], 'env')\n")
    assert project.scons("test").has("a/unit", "b/unit", "2 passed")
    assert project.scons("test-a/unit").has("is up to date")


def test_python_sources_take_their_surroundings_along(project: Project) -> None:
    project.write(
        conftest_dot_py="import pytest\n@pytest.fixture\ndef top(): return 1\n",
        pytest_dot_ini="[pytest]\nmarkers = odd\n",
        tests__conftest_dot_py="import pytest\n@pytest.fixture\ndef low(): return 2\n",
        tests__test_a_dot_py="def test_a(top, low): assert (top, low) == (1, 2)\n",
        tests__deep__test_b_dot_py="import pytest\n@pytest.mark.odd\ndef test_b(low): pass\n",
    )
    project.sconstruct("env.MaelstromTest('py', ['tests/'])\n")
    ran = project.scons("test")
    assert ran.status == 0, ran.out
    assert ran.has("2 passed")
    project.put("tests/conftest.py", "")
    assert project.scons("test").status == 2


def test_a_shared_library_of_the_project_is_watched(project: Project) -> None:
    project.write(
        lib_dot_c="int f(void) { return 0; }\n",
        t_dot_c="int f(void); int main(void) { return f(); }\n",
    )
    project.sconstruct(
        "lib = env.SharedLibrary('f', 'lib.c')\n"
        "env.MaelstromTest('t', env.Program('t', ['t.c', lib], "
        "RPATH=[env.Literal('\\\\$$ORIGIN')]))\n"
    )
    assert project.scons("test").has("1 passed")
    assert project.scons("test").has("is up to date")
    project.put("lib.c", "int f(void) { return 3; }\n")
    assert project.scons("test").has("1 failed")


def test_post_actions_run_after_the_test(project: Project) -> None:
    three(project)
    project.sconstruct(THREE + "AddPostAction('.maelstrom/passed/one.plain', 'cat $TARGET')\n")
    assert project.scons("-Q", "test").has('"passed": "one"')


def test_unmodified_consumers_of_a_test_wait_for_it(project: Project) -> None:
    three(project, FAILS)
    project.sconstruct(
        "t = env.MaelstromTest('two', env.Program('two', 'two.c'))\n"
        "env.Alias('release', env.Command('out', t, 'touch $TARGET'))\n"
    )
    assert project.scons("release").status == 2
    assert not (project.root / "out").exists()


def test_a_junit_file_is_written(project: Project) -> None:
    three(project, FAILS)
    assert project.scons("-k", "test", "--maelstrom-junit=out.xml").status == 2
    assert 'name="two"' in (project.root / "out.xml").read_text()


def test_the_help_shows_the_options_and_loads_nothing_of_ours(project: Project) -> None:
    three(project)
    listing = "import atexit, sys\natexit.register(lambda: print(sorted(sys.modules)))\n"
    project.sconstruct("Help('Ours.', append=False)\n" + listing + THREE)
    ran = project.scons("-h")
    assert ran.status == 0
    for heavy in ("msgspec", "elftools", "rich", "sqlite3", "asyncio", "maelstrom.model.spec"):
        assert f"'{heavy}'" not in ran.out, heavy
    project.sconstruct(THREE)
    names = ("", "-broker=ADDRESS", "-slots=N", "-timeout=S", "-ui=UI", "-junit=FILE")
    assert project.scons("-h").has(*(f"--maelstrom{name}" for name in names))


def test_the_tool_is_found_by_name_through_the_shim(project: Project) -> None:
    site = project.root / "site_scons/site_tools"
    shutil.copytree(CHECKOUT / "site_scons/site_tools/maelstrom", site / "maelstrom")
    project.write(t_dot_c=PASSES)
    head = "env = Environment(tools=['default', 'maelstrom'])\n" * 2
    project.put("SConstruct", head + "env.MaelstromTest('t', env.Program('t', 't.c'))\n")
    assert project.scons("test").has("1 passed")


def test_a_command_installs_the_shim_for_the_user(project: Project) -> None:
    command = [sys.executable, "-m", "maelstrom.scons", "install-shim"]
    home = project.environment(HOME=str(project.root.parent))
    done = subprocess.run(command, env=home, capture_output=True, check=True, text=True)
    shim = project.root.parent / ".scons/site_scons/site_tools/maelstrom/__init__.py"
    assert str(shim) in done.stdout
    ours = CHECKOUT / "site_scons/site_tools/maelstrom/__init__.py"
    assert shim.read_text() == ours.read_text()
    assert len(ours.read_text().splitlines()) <= 40


def test_an_interrupt_ends_a_plain_run_at_once(project: Project) -> None:
    three(project, SLEEPS, is_fake=True)
    ran = project.interrupted("test", "--maelstrom", when='"program": "/project/two"')
    assert ran.status == 2
    assert "Cancelled" in [event["how"] for event in project.events("end")]
    assert ran.has("Build interrupted", "Summary")
    left = subprocess.run(["pgrep", "-f", f"{project.root}/two"], capture_output=True, check=False)
    assert left.returncode == 1, "a job was left behind"


def test_what_breaks_during_an_interrupt_does_not_change_its_status(project: Project) -> None:
    three(project, SLEEPS, is_fake=True)
    when = '"program": "/project/two"'
    ran = project.interrupted("test", "--maelstrom", when=when, MAELSTROM_FAKE_BREAKS="1")
    assert ran.status == 2
    assert ran.has("Build interrupted", "Summary", "interrupted")
    assert "INFRA" not in ran.out
