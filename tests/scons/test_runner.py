"""The runner under load: many cases at once, interrupts, toggled modes."""

import subprocess
from pathlib import Path

from tests.support.project import FAILS, PASSES, SLEEPS, Project


def test_cases_in_flight_do_not_depend_on_j(project: Project) -> None:
    project.write(p_dot_c="#include <unistd.h>\nint main(void) { usleep(700000); return 0; }\n")
    project.sconstruct(
        "prog = env.Program('p', 'p.c')\n"
        "for n in range(40): env.MaelstromTest(f't{n}', prog, arguments=[str(n)])\n",
        is_fake=True,
    )
    ran = project.scons("-j1", "test", "--maelstrom")
    assert ran.status == 0
    assert ran.has("40 passed")
    assert max(event["in_flight"] for event in project.events("submit")) >= 30


def test_cases_of_a_target_start_while_others_are_still_built(project: Project) -> None:
    project.write(fast_dot_c=PASSES)
    project.sconstruct(
        "env.MaelstromTest('fast', env.Program('fast', 'fast.c'))\n"
        "slow = env.Command('slow', [], ['sleep 1', 'cp /bin/true $TARGET', "
        "'date +%s.%N > built'])\n"
        "env.MaelstromTest('slow', slow)\n",
        is_fake=True,
    )
    ran = project.scons("-j2", "-Q", "test", "--maelstrom")
    assert ran.status == 0
    assert ran.has("2 passed")
    assert ran.out.index("] fast") < ran.out.index("date +%s")


def test_the_world_of_a_job_is_the_same_on_every_host(project: Project) -> None:
    project.write(d__in="x", p_dot_c=PASSES)
    project.sconstruct(
        "env.MaelstromTest('t', env.Program('out/p', 'p.c'), data=['d'], env_vars={'A': 'b'}, "
        "working_directory='d', network='loopback', timeout=7, user=12, "
        "resources={'memory': 1 << 28}, mounts=['tmp:/scratch'], "
        "layers=[env.MaelstromLayer('base', stubs=['/opt/{a,b}/'])])\n",
        is_fake=True,
    )
    ran = project.scons("test", "--maelstrom")
    assert ran.status == 0, ran.out
    (job,) = project.events("submit")
    assert job["program"] == "/project/out/p"
    assert job["working_directory"] == "/project/d"
    assert job["environment"] == {
        "A": "b", "HOME": "/tmp", "LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": "UTC", "PERL_HASH_SEED": "0", "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "946684800",
    }  # fmt: skip
    assert (job["network"], job["timeout_s"], job["user"]) == ("loopback", 7, 12)
    assert (job["memory"], job["mounts"], job["layers"]) == (1 << 28, ["/scratch"], 5)
    assert (project.root / ".maelstrom/layers/base.manifest").exists()


def test_a_pass_on_the_host_is_none_in_a_container_and_both_are_remembered(
    project: Project,
) -> None:
    project.write(p_dot_c=PASSES)
    project.sconstruct("env.MaelstromTest('t', env.Program('p', 'p.c'))\n", is_fake=True)
    for mode in ([], ["--maelstrom"]):
        assert project.scons("test", *mode).has("1 passed")
    for mode in ([], ["--maelstrom"], []):
        assert project.scons("test", *mode).has("`test' is up to date")
    assert len(project.events("open")) == 1, "a build with nothing to do has started a session"


def test_a_failure_takes_back_what_is_queued(project: Project) -> None:
    project.write(bad_dot_c=FAILS, slow_dot_c=SLEEPS)
    project.sconstruct(
        "env.MaelstromTest('bad', env.Program('bad', 'bad.c'))\n"
        "slow = env.Program('slow', 'slow.c')\n"
        "for n in range(9): env.MaelstromTest(f's{n}', slow, arguments=[str(n)], timeout=2)\n",
        is_fake=True,
    )
    ran = project.scons("test", "--maelstrom", "--maelstrom-slots=2")
    assert ran.status == 2
    assert ran.has("1 failed")
    assert {event["running"] for event in project.events("cancel")} >= {False}
    assert ran.out.count("timed out after") <= 4


def test_an_interrupt_takes_back_hundreds_of_cases_at_once(project: Project) -> None:
    project.write(slow_dot_c=SLEEPS)
    project.sconstruct(
        "slow = env.Program('slow', 'slow.c')\n"
        "for n in range(200): env.MaelstromTest(f's{n}', slow, arguments=[str(n)])\n",
        is_fake=True,
    )
    ran = project.interrupted("test", "--maelstrom", when='"in_flight": 200')
    assert ran.status == 2
    # Not one after the other, each told when the one before has ended.
    assert len(project.events("cancel")) < 10
    assert [event["how"] for event in project.events("end")] == ["Cancelled"] * 200
    assert ran.has("Build interrupted", "Summary")
    left = subprocess.run(["pgrep", "-f", f"{project.root}/slow"], check=False, capture_output=True)
    assert left.returncode == 1


def test_a_compile_error_leaves_nothing_behind(project: Project) -> None:
    project.write(bad_dot_c="nonsense\n", p_dot_c=PASSES)
    project.sconstruct(
        "env.MaelstromTest('bad', env.Program('bad', 'bad.c'))\n"
        "env.MaelstromTest('p', env.Program('p', 'p.c'))\n",
        is_fake=True,
    )
    assert project.scons("test", "--maelstrom").status == 2
    assert len(project.events("open")) == len(project.events("close")) == 1


def test_sources_are_found_whatever_directory_scons_is_called_from(
    project: Project, tmp_path: Path
) -> None:
    project.write(p_dot_c=PASSES, sub__x="")
    project.sconstruct("env.MaelstromTest('t', env.Program('p', 'p.c'))\n")
    ran = project.scons("-C", str(project.root), "test")
    assert ran.has("1 passed")


def test_digests_of_scons_are_used_where_they_are_ours(project: Project) -> None:
    project.write(p_dot_c=PASSES, d="data")
    project.sconstruct(
        "SetOption('hash_format', 'sha256')\n"
        "env.MaelstromTest('t', env.Program('p', 'p.c'), data=['d'])\n",
        is_fake=True,
    )
    assert project.scons("test", "--maelstrom").has("1 passed")
