"""What `--explain-order` says, and that it changes nothing."""

import pytest

from tests.support.project import FAILS, PASSES, Project

SLOW = "#include <unistd.h>\nint main(void) { usleep(300000); return 0; }\n"


def declare(project: Project) -> Project:
    project.write(quick_dot_c=PASSES, slow_dot_c=SLOW, bad_dot_c=FAILS)
    return project.sconstruct(
        "for name in ('quick', 'slow', 'bad'):\n"
        "    env.MaelstromTest(name, env.Program(name, name + '.c'))\n",
        is_fake=True,
    )


def order(out: str) -> list[list[str]]:
    rows = [line.split(maxsplit=2) for line in out.splitlines() if line.endswith(")")]
    return [row[1:] for row in rows if row and row[0].isdigit()]


@pytest.mark.parametrize(
    ("mode", "switch"),
    [([], "--explain-order"), (["--maelstrom"], "--maelstrom-explain-order")],
)
def test_each_case_has_its_place_and_the_reason(
    project: Project, mode: list[str], switch: str
) -> None:
    declare(project)
    first = project.scons("-k", "test", *mode, switch)
    assert first.status == 0
    new = "(first: it has not been run before; duration not known: counts as the longest)"
    assert order(first.out) == [[name, new] for name in ("quick", "slow", "bad")]
    assert first.has("3 cases would be run, the first one first:")
    assert not project.events("submit"), "nothing was run"
    # Nothing is remembered either: the same again.
    assert order(project.scons("-k", "test", *mode, switch).out) == order(first.out)
    assert project.scons("-k", "test", *mode).status == 2
    told = project.scons("-k", "test", *mode, switch)
    [[name, why]] = order(told.out)
    assert name == "bad"
    assert why.startswith("(first: it did not pass last time; took 0.0")
    assert told.has("2 targets are up to date")
    project.put("slow.c", SLOW + "int other;\n")
    project.put("quick.c", PASSES + "int other;\n")
    told = project.scons("-k", "test", *mode, switch)
    assert [name for name, _ in order(told.out)] == ["bad", "slow", "quick"]
    [slow] = [why for name, why in order(told.out) if name == "slow"]
    assert slow.startswith("(its program or something else it is given has changed; took 0.")


def test_what_a_case_needs_and_what_is_not_run_is_told(project: Project) -> None:
    project.write(test_a_dot_py="def test_one(): pass\ndef test_two(): assert 0\n", p_dot_c=PASSES)
    needs = "{'gpu': 2, 'slots': 3, 'exclusive:db': 1}"
    project.sconstruct(
        f"env.MaelstromTest('py', 'test_a.py', resources={needs}, labels='fast')\n"
        "env.MaelstromTest('net', env.Program('p', 'p.c'), network='local')\n"
    )
    assert project.scons("-k", "test").status == 2
    told = project.scons("-k", "test", "--explain-order")
    assert told.status == 0
    assert told.has("1 cases would not be run: equal ones have passed")
    rows = {" ".join(row) for row in order(told.out)}
    assert any("test_two" in row and "needs 2 of `gpu`" in row for row in rows), told.out
    assert any("needs 3 slots" in row and "one at a time of `db`" in row for row in rows), told.out
    assert any("needs a worker with the label `fast`" in row for row in rows), told.out
    assert any("on this machine: it uses the host's network" in row for row in rows), told.out


def test_when_all_is_up_to_date_that_is_said(project: Project) -> None:
    declare(project)
    project.put("bad.c", PASSES)
    assert project.scons("test").status == 0
    told = project.scons("test", "--explain-order")
    assert told.status == 0
    assert told.has("`test' is up to date")
