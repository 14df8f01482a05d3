"""Every mistake of a user ends in one clear line that names the target; never in a traceback."""

import pytest

from tests.support.project import FAILS, PASSES, Project

# What the SConstruct says -> what SCons must answer. `prog` is a program that passes.
DECLARATIONS = {
    "an unknown framework": (
        "env.MaelstromTest('t', prog, framework='jest')",
        ["MaelstromTest('t'): unknown framework 'jest'", "gtest", "line 4"],
    ),
    "two tests of one name": (
        "env.MaelstromTest('t', prog); env.MaelstromTest('t', prog)",
        ["MaelstromTest('t'): there are two tests of this name"],
    ),
    "data that is not there": (
        "env.MaelstromTest('t', prog, data=['nope.txt'])",
        ["MaelstromTest('t'): data: 'nope.txt' does not exist, and nothing builds it"],
    ),
    "a directory of data that is not there": (
        "env.MaelstromTest('t', prog, data=[Dir('nope')])",
        ["MaelstromTest('t'): data: the directory 'nope' does not exist"],
    ),
    "a path outside the project": (
        "env.MaelstromTest('t', prog, data=['/etc/passwd'])",
        ["MaelstromTest('t'): '/etc/passwd' is outside the project", "MaelstromLayer"],
    ),
    "a path above the project": (
        "env.MaelstromTest('t', prog, data=['../x'])",
        ["is outside the project"],
    ),
    "a program that is not there": (
        "env.MaelstromTest('t', 'nope')",
        ["MaelstromTest('t'): source: 'nope' does not exist, and nothing builds it"],
    ),
    "several programs": (
        "env.MaelstromTest('t', [prog, 'p.c'])",
        ["MaelstromTest('t'): it takes one program, not 2 sources"],
    ),
    "no program": ("env.MaelstromTest('t', [])", ["MaelstromTest('t'): it has no source"]),
    "a variable that is no string": (
        "env.MaelstromTest('t', prog, env_vars={'N': 3})",
        ["MaelstromTest('t'): env_vars: the value of N must be a string, not the int 3"],
    ),
    "an unknown keyword": (
        "env.MaelstromTest('t', prog, time_out=3)",
        ["MaelstromTest('t'): unknown keyword 'time_out'", "timeout"],
    ),
    "a name with a newline": (
        "env.MaelstromTest('a\\nb', prog)",
        ["a name has no newlines"],
    ),
    "a name that is no UTF-8": (
        "env.MaelstromTest('a\\udcff', prog)",
        ["broken UTF-8"],
    ),
    "a name that leads outside": ("env.MaelstromTest('../t', prog)", ["a plain relative path"]),
    "a timeout that is none": (
        "env.MaelstromTest('t', prog, timeout='soon')",
        ["MaelstromTest('t'): timeout='soon' must be a number of seconds"],
    ),
    "a network nobody knows": (
        "env.MaelstromTest('t', prog, network='wifi')",
        ["MaelstromTest('t'): network='wifi' must be one of disabled, loopback, local"],
    ),
    "a user that is none": ("env.MaelstromTest('t', prog, user='ann')", ["user='ann' must be"]),
    "a resource that is none": (
        "env.MaelstromTest('t', prog, resources={'slots': 0})",
        ["resources: 'slots' needs a whole number from 1, not 0"],
    ),
    "a label that is none": (
        "env.MaelstromTest('t', prog, labels=['arch x86'])",
        ["MaelstromTest('t'): labels: 'arch x86' is not a word such as 'arch=x86'"],
    ),
    "a working directory outside": (
        "env.MaelstromTest('t', prog, working_directory='../x')",
        ["working_directory '../x' is outside the project"],
    ),
    "a mount of no type": (
        "env.MaelstromTest('t', prog, mounts='floppy')",
        ["MaelstromTest('t'): mounts: 'floppy': the type is one of bind, tmp, sys, devpts, mqueue"],
    ),
    "a mount without a place": (
        "env.MaelstromTest('t', prog, mounts=['sys', 'tmp'])",
        ["MaelstromTest('t'): mounts: 'tmp': a tmp mount needs \"mount_point\""],
    ),
    "a mount with a word too much": (
        "env.MaelstromTest('t', prog, mounts={'type': 'tmp', 'mount_point': '/x', 'size': 3})",
        ["'size' is unknown; known are mount_point, size_bytes"],
    ),
    "a mount of a wrong size": (
        "env.MaelstromTest('t', prog, mounts=dict(type='tmp', mount_point='/x', size_bytes='1'))",
        ["size_bytes must be of type int"],
    ),
    "a mount on the root": (
        "env.MaelstromTest('t', prog, mounts='tmp:/')",
        ["the mount point is an absolute path, but not `/`"],
    ),
    "a mount that is a number": (
        "env.MaelstromTest('t', prog, mounts=[3])",
        ["mounts: 3 is neither a name nor a dictionary"],
    ),
    "a test without a source": ("env.MaelstromTest('t')", ["MaelstromTest('t'): it has no source"]),
    "a test without a name": (
        "env.MaelstromTest(prog)",
        ["the first argument is the target's name"],
    ),
    "standard input that is not there": (
        "env.MaelstromTest('t', prog, stdin='nope')",
        ["MaelstromTest('t'): stdin: 'nope' does not exist, and nothing builds it"],
    ),
    "standard input of two files": (
        "env.MaelstromTest('t', prog, stdin=['p.c', 'SConstruct'])",
        ["MaelstromTest('t'): stdin: name one file"],
    ),
    "an argument that cannot be one": (
        "env.MaelstromTest('t', prog, arguments=['a\\0b'])",
        ["MaelstromTest('t'): arguments: 'a\\x00b' has a NUL in it"],
    ),
    "data that is no file": (
        "import os; os.mkfifo('pipe'); env.MaelstromTest('t', prog, data=['pipe'])",
        ["MaelstromTest('t'): data: ", "pipe' is no regular file; leave it out with ignore="],
    ),
    "links that are none": (
        "env.MaelstromLayer('l', symlinks='x')",
        ["MaelstromLayer('l'): symlinks: 'x' is neither a dictionary nor a list of pairs"],
    ),
    "a link of three": (
        "env.MaelstromLayer('l', symlinks=[('a', 'b', 'c')])",
        ["symlinks: ('a', 'b', 'c') is no pair of a link and its target"],
    ),
    "a Python that is none": (
        "env.MaelstromLayer('l', python=False)",
        ["MaelstromLayer('l'): python=False must be True, or the name or path of a Python"],
    ),
    "a prefix option of a wrong type": (
        "env.MaelstromLayer('l', paths='p.c', follow_symlinks='yes')",
        ["MaelstromLayer('l'): follow_symlinks='yes' must be True or False"],
    ),
    "a layer that is none": (
        "env.MaelstromTest('t', prog, layers=['x'])",
        ["MaelstromTest('t'): layers: 'x' is not the result of env.MaelstromLayer"],
    ),
    "a layer of nothing": ("env.MaelstromLayer('l')", ["MaelstromLayer('l'): it says nothing"]),
    "two layers of one name": (
        "env.MaelstromLayer('l', stubs=['/a']); env.MaelstromLayer('l', stubs=['/b'])",
        ["MaelstromLayer('l'): there are two layers of this name"],
    ),
    "a variable of the SConstruct": (
        "env['MAELSTROM_SLOTS'] = 'many'; env.MaelstromTest('t', prog)",
        ["the construction variable MAELSTROM_SLOTS is 'many': it must be a number from 1"],
    ),
    "two values for one run": (
        "env.MaelstromTest('t', prog); env.Clone(MAELSTROM_UI='quiet').MaelstromTest('u', prog)",
        ["MAELSTROM_UI is 'quiet' here and 'auto' for `t`"],
    ),
}


@pytest.mark.parametrize("mistake", DECLARATIONS)
def test_a_mistake_in_an_sconstruct(project: Project, mistake: str) -> None:
    body, expected = DECLARATIONS[mistake]
    project.write(p_dot_c=PASSES)
    ran = project.sconstruct(f"prog = env.Program('p', 'p.c')\n{body}\n").scons("test")
    assert ran.status == 2
    assert ran.has("scons: ***", *expected)
    assert 'SConstruct", line 4' in ran.out


OPTIONS = [
    (("--maelstrom-slots=many",), {}, "--maelstrom-slots is 'many'"),
    (("--maelstrom-slots=0",), {}, "--maelstrom-slots is '0'"),
    (("--maelstrom-timeout=-1",), {}, "--maelstrom-timeout is '-1'"),
    (("--maelstrom-broker=nowhere",), {}, "it must be HOST:PORT or unix:PATH"),
    (("--maelstrom-broker=unix:",), {}, "it must be HOST:PORT or unix:PATH"),
    (("--maelstrom-ui=loud",), {}, "it must be one of auto, fancy, simple, quiet"),
    ((), {"MAELSTROM_SLOTS": "x"}, "the environment variable MAELSTROM_SLOTS is 'x'"),
    ((), {"MAELSTROM": "perhaps"}, "the environment variable MAELSTROM is 'perhaps'"),
]


@pytest.mark.parametrize(("arguments", "environment", "expected"), OPTIONS)
def test_a_bad_option(
    project: Project, arguments: tuple[str, ...], environment: dict[str, str], expected: str
) -> None:
    project.write(p_dot_c=PASSES)
    project.sconstruct("env.MaelstromTest('t', env.Program('p', 'p.c'))\n")
    ran = project.scons("test", *arguments, **environment)
    assert ran.status == 2
    assert ran.has("scons: ***", expected)


def test_what_only_the_run_finds_names_its_target_and_spares_the_others(project: Project) -> None:
    project.write(
        p_dot_c=PASSES,
        crash_dot_c="int main(void) { __builtin_trap(); }\n",
        lib_dot_c="int f(void) { return 0; }\n",
        user_dot_c="int f(void); int main(void) { return f(); }\n",
        broken_dot_py="def test_(:\n",
    )
    project.sconstruct(
        "env.MaelstromTest('good', env.Program('p', 'p.c'))\n"
        "env.MaelstromTest('crash', env.Program('crash', 'crash.c'), framework='gtest')\n"
        "env.MaelstromTest('mount', 'p', mounts={'type': 'bind', 'mount_point': '/m', "
        "'host_path': 'floppy'})\n"
        "env.MaelstromTest('broken', 'broken.py', framework='pytest')\n"
        "lib = env.SharedLibrary('f', 'lib.c')\n"
        "user = env.Program('user', ['user.c', lib])\n"
        "env.MaelstromTest('lost', user)\n"
    )
    ran = project.scons("-k", "test")
    assert ran.status == 2
    assert ran.has("PASS", "good", "listing the cases crashed with SIGILL", "floppy", "libf.so")
    for name in ("crash", "mount", "broken", "lost"):
        assert f"scons: *** [.maelstrom/passed/{name}.plain]" in ran.out


def test_a_test_that_hangs_is_ended_with_its_children(project: Project) -> None:
    project.write(t_dot_sh="#!/bin/sh\nsleep 31.4159 &\necho before\nwait\n")
    (project.root / "t.sh").chmod(0o755)
    project.sconstruct("env.MaelstromTest('t', 't.sh', timeout=0.3)\n")
    ran = project.scons("test")
    assert ran.status == 2
    assert ran.has("timed out", "before")
    assert "1 timed out" in ran.out


def test_options_are_taken_from_the_line_then_the_environment_then_the_sconstruct(
    project: Project,
) -> None:
    project.write(p_dot_c=PASSES)
    body = "env['MAELSTROM_SLOTS'] = 3\nenv.MaelstromTest('t', env.Program('p', 'p.c'))\n"
    project.sconstruct(body, is_fake=True)
    runs = [
        (("--maelstrom",), {}, 3),
        (("--maelstrom",), {"MAELSTROM_SLOTS": "4"}, 4),
        (("--maelstrom", "--maelstrom-slots=5"), {"MAELSTROM_SLOTS": "4"}, 5),
        (("--maelstrom-broker=h:1",), {"MAELSTROM_SLOTS": "6"}, 6),
        (("--maelstrom-broker=unix:/run/b",), {}, 3),
        ((), {"MAELSTROM": "1"}, 3),
    ]
    for number, (arguments, environment, _) in enumerate(runs):
        project.put("p.c", PASSES + f"int x{number};")
        assert project.scons("test", *arguments, **environment).status == 0
    opened = project.events("open")
    assert [event["slots"] for event in opened] == [slots for _, _, slots in runs]
    assert [event["broker"] for event in opened] == [None, None, None, "h:1", "unix:/run/b", None]


def test_a_host_that_cannot_sandbox_has_a_status_of_its_own(project: Project) -> None:
    project.write(p_dot_c=PASSES)
    project.sconstruct(
        "for n in range(3): env.MaelstromTest(f't{n}', env.Program('p', 'p.c'))\n", is_fake=True
    )
    ran = project.scons("-k", "test", "--maelstrom", MAELSTROM_FAKE_FAILURE="1")
    assert ran.status == 4
    assert ran.has("this host forbids it", "allow it")
    assert ran.out.count("scons: ***") == 1
    assert project.scons("test").status == 0


def test_failures_and_nothing_else_give_two(project: Project) -> None:
    project.write(p_dot_c=FAILS)
    project.sconstruct("env.MaelstromTest('t', env.Program('p', 'p.c'))\n", is_fake=True)
    assert project.scons("test", "--maelstrom").status == 2
