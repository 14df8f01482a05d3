"""`scons test --maelstrom` from end to end: real projects, real broker and worker, containers."""

import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from maelstrom.sandbox.check import check
from tests.support.cluster import WAIT_S
from tests.support.project import FAILS, PASSES, Project, Ran

LIBRARY = "int answer(void) { return 42; }\n"
READER = """\
#include <stdio.h>
int answer(void);
int main(void) {
    char line[9] = "";
    FILE *file = fopen("data/in.txt", "r");
    if (!file || !fgets(line, sizeof line, file)) { puts("no data"); return 1; }
    return answer() == 42 ? 0 : 2;
}
"""
GTEST = """\
#include <gtest/gtest.h>
#include <unistd.h>
TEST(Suite, Passes) {}
TEST(Suite, Fails) { EXPECT_EQ(1, 2) << "as it should"; }
TEST(Suite, Crashes) { *(volatile int *)0 = 0; }
TEST(Suite, Skips) { GTEST_SKIP() << "not today"; }
TEST(Suite, Hangs) { sleep(60); }
TEST(Suite, DISABLED_Never) {}
"""
HERMETIC = """\
import os, pathlib, socket

def test_the_project_is_where_it_always_is(): assert os.getcwd() == "/project"
def test_undeclared_files_are_not_there(): assert not pathlib.Path("secret.txt").exists()
def test_declared_files_are(): assert pathlib.Path("data/in.txt").read_text() == "in\\n"
def test_there_is_no_network():
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=1)
    except OSError:
        return
    raise AssertionError("connected")
def test_what_is_written_is_private(): assert not os.path.exists("w"); open("w", "w").close()
def test_what_is_written_is_private_again(): assert not os.path.exists("w"); open("w", "w").close()
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one cache for all: to make the layer of a Python takes a while."""
    findings = [found for found in check() if found.is_needed and not found.is_ok]
    if findings and not os.environ.get("MAELSTROM_MUST_SANDBOX"):
        pytest.skip(findings[0].message)
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def project(tmp_path: Path, cache: Path) -> Project:
    """Return an empty project that uses the cache."""
    project = Project(tmp_path / "project")
    (tmp_path / "cache").symlink_to(cache)
    return project


def test_a_program_with_its_library_and_data_and_a_python_test(project: Project) -> None:
    project.write(
        answer_dot_c=LIBRARY,
        reader_dot_c=READER,
        data__in_dot_txt="in\n",
        secret_dot_txt="x",
        test_hermetic_dot_py=HERMETIC,
    )
    project.sconstruct(
        "lib = env.SharedLibrary('out/answer', 'answer.c')\n"
        "reader = env.Program('out/reader', ['reader.c', lib], "
        "RPATH=[env.Literal('\\\\$$ORIGIN')])\n"
        "env.MaelstromTest('reader', reader, data=['data'])\n"
        "env.MaelstromTest('hermetic', 'test_hermetic.py', data=['data/in.txt'])\n"
    )
    ran = project.scons("test", "--maelstrom")
    assert ran.status == 0, ran.out
    assert ran.has("7 passed")
    assert project.scons("test", "--maelstrom").has("`test' is up to date")
    project.put("answer.c", "int answer(void) { return 41; }\n")
    again = project.scons("test", "--maelstrom")
    assert again.status == 2
    assert again.has("1 failed", "reader")
    assert "hermetic" not in again.out


def verdicts(ran: Ran) -> dict[str, str]:
    """Return the word before each case."""
    found = {}
    for line in ran.out.splitlines():
        words = line.split()
        if "Suite." in line and "[" in line and words[0].isupper():
            case = next(word for word in words if word.startswith("Suite."))
            found.setdefault(case, words[0])
    return found


def test_verdicts_are_the_same_on_the_host_and_in_containers(project: Project) -> None:
    project.write(suite_dot_cc=GTEST)
    project.sconstruct(
        "program = env.Program('suite', 'suite.cc', CXXFLAGS='-std=c++17', "
        "LIBS=['gtest', 'gtest_main', 'pthread'])\n"
        "env.MaelstromTest('suite', program, timeout=1)\n"
    )
    plain = project.scons("-k", "-j2", "test")
    contained = project.scons("-k", "test", "--maelstrom")
    assert plain.status == contained.status == 2
    for ran in (plain, contained):
        assert ran.has("1 passed", "1 failed", "1 timed out", "1 crashed", "1 skipped", "SIGSEGV")
        assert ran.has("as it should", "not today")
    assert verdicts(plain) == verdicts(contained)
    assert len(verdicts(plain)) >= 5
    again = project.scons("-k", "test", "--maelstrom")
    assert again.has("1 failed", "1 timed out", "1 crashed")


def test_a_script_has_its_interpreter_and_the_programs_it_starts(project: Project) -> None:
    project.write(tool_dot_c="#include <zlib.h>\nint main(void) { return !zlibVersion(); }\n")
    project.put("run.sh", "#!/bin/sh\n./tool && echo seen | sed s/seen/found/ | grep found\n")
    (project.root / "run.sh").chmod(0o755)
    project.sconstruct(
        "tool = env.Program('tool', 'tool.c', LIBS=['z'])\n"
        "env.MaelstromTest('script', 'run.sh', data=tool, programs=['sed', 'grep'])\n"
    )
    ran = project.scons("test", "--maelstrom")
    assert ran.has("1 passed"), ran.out


def test_declared_layers_are_there(project: Project) -> None:
    project.write(t_dot_sh="#!/bin/sh\ncat /opt/motto && test -d /opt/empty && exec head -n1 d/x\n")
    project.put("d/x", "deep\n")
    (project.root / "t.sh").chmod(0o755)
    project.sconstruct(
        "tools = env.MaelstromLayer('tools', programs=['sh', 'cat', 'test', 'head'])\n"
        "more = env.MaelstromLayer('more', stubs=['/opt/motto', '/opt/empty/'], glob='d/**')\n"
        "env.MaelstromTest('t', 't.sh', layers=[tools, more])\n"
    )
    ran = project.scons("test", "--maelstrom")
    assert ran.status == 0, ran.out
    project.put("d/x", "deeper\n")
    assert project.scons("test", "--maelstrom").has("1 passed")
    assert project.scons("test", "--maelstrom").has("is up to date")


def test_a_missing_library_is_named_and_others_are_unaffected(project: Project) -> None:
    project.write(answer_dot_c=LIBRARY, reader_dot_c=READER, p_dot_c=PASSES)
    project.sconstruct(
        "lib = env.SharedLibrary('answer', 'answer.c')\n"
        "env.MaelstromTest('lost', env.Program('reader', ['reader.c', lib]))\n"
        "env.MaelstromTest('good', env.Program('p', 'p.c'))\n"
    )
    ran = project.scons("-k", "test", "--maelstrom")
    assert ran.status == 2
    assert ran.has("lost", "libanswer.so", "PASS", "good")


def test_failures_give_two_and_a_host_without_containers_four(project: Project) -> None:
    project.write(p_dot_c=FAILS)
    project.sconstruct("env.MaelstromTest('p', env.Program('p', 'p.c'))\n")
    assert project.scons("test", "--maelstrom").status == 2
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_as_a_web_server, args=(server,)).start()
        port = server.getsockname()[1]
        ran = project.scons("test", f"--maelstrom-broker=plain:127.0.0.1:{port}")
    assert ran.status == 3
    assert ran.has("INFRA ERROR", "p")


def answer_as_a_web_server(server: socket.socket) -> None:
    with server.accept()[0] as connection:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.recv(1 << 16)


def test_what_nobody_has_declared_is_told(project: Project) -> None:
    project.write(
        p_dot_c="#include <stdio.h>\n"
        'int main(void) { FILE *f = fopen("data/in.txt", "r"); if (!f) perror("data/in.txt");\n'
        "return !f; }\n"
    )
    project.put("data/in.txt", "in\n")
    project.sconstruct("env.MaelstromTest('p', env.Program('p', 'p.c'))\n")
    ran = project.scons("test", "--maelstrom")
    assert ran.status == 2
    assert ran.has("hint: `data/in.txt` is in the project", 'data=["#data/in.txt"]')


def children(pid: int) -> set[int]:
    """Return all descendants of a process."""
    listing = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, check=True, text=True)
    pairs = [tuple(map(int, line.split())) for line in listing.stdout.splitlines()[1:]]
    found = {pid}
    for _ in range(9):
        found |= {child for child, parent in pairs if parent in found}
    return found - {pid}


def test_an_interrupt_leaves_nothing(project: Project) -> None:
    project.write(
        slow_dot_c="#include <unistd.h>\n#include <stdio.h>\n"
        'int main(void) { puts("on"); sleep(3600); return 0; }\n'
    )
    project.sconstruct(
        "slow = env.Program('slow', 'slow.c')\n"
        "for n in range(30): env.MaelstromTest(f's{n}', slow, arguments=[str(n)])\n"
    )
    assert project.scons("slow").status == 0
    process = subprocess.Popen(
        project.command("test", "--maelstrom"),
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    deadline_s = time.monotonic() + WAIT_S
    ours: set[int] = set()
    while time.monotonic() < deadline_s:
        now = children(process.pid)
        ours |= now
        if any(b"/project/slow" in _command(pid) for pid in now):
            break
        time.sleep(0.1)
    ours |= children(process.pid)
    process.send_signal(signal.SIGINT)
    # Far less than the jobs would take.
    out, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 2
    assert b"Summary" in out
    assert b"Traceback" not in out
    deadline_s = time.monotonic() + WAIT_S
    while ours and time.monotonic() < deadline_s:
        ours = {pid for pid in ours if Path(f"/proc/{pid}/exe").is_symlink() and _runs(pid)}
        time.sleep(0.05)
    assert not ours, "processes were left behind"


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_outputs_come_back_from_each_case_and_large_input_goes_in(project: Project) -> None:
    script = "#!/bin/sh\nmkdir -p out; wc -c > out/$1; ls /dev > out/devices; exit $2\n"
    kept = "#!/bin/sh\necho > /tmp/x && ! echo > x\n"
    project.write(job_dot_sh=script, kept_dot_sh=kept, big_dot_txt="x" * 300_000)
    for name in ("job.sh", "kept.sh"):
        (project.root / name).chmod(0o755)
    project.sconstruct(
        "env.MaelstromTest('job', 'job.sh', programs=['sh', 'mkdir', 'wc', 'ls'],\n"
        "    stdin='big.txt', cases={'good': ['good', '0'], 'bad': ['bad', '1']}, \n"
        "    outputs=['out', '/tmp/none'], devices=['null'])\n"
        "env.MaelstromTest('kept', 'kept.sh', programs=['sh'], read_only=True)\n"
    )
    ran = project.scons("-k", "test", "--maelstrom")
    assert ran.status == 2, ran.out
    assert ran.has("2 passed, 1 failed")
    outputs = project.root / ".maelstrom/outputs/job"
    for case in ("good", "bad"):
        assert (outputs / case / "out" / case).read_text().split() == ["300000"]
    assert "null\n" in (outputs / "good/out/devices").read_text()
    assert "zero\n" not in (outputs / "good/out/devices").read_text()
