"""What a job may ask for beyond the usual: devices, files out, a terminal, identities, powers."""

import asyncio
import os
import signal
from typing import Any

import pytest

from maelstrom.model.outcome import ExecutionError, Exited, Outcome, Signaled
from maelstrom.model.spec import (
    Bind,
    JobSpec,
    Limits,
    Network,
    RootFileSystem,
    Terminal,
    Tmp,
)
from maelstrom.sandbox.ports import Terminal as TerminalPort
from maelstrom.sandbox.ports import Ties
from tests.sandbox.conftest import MIB, Sandbox, needs_identities, text


class Files:
    """Keeps what comes back, as lines."""

    def __init__(self) -> None:
        self.lines: dict[str, tuple[str, bytes]] = {}
        self._last = ""

    def found(self, path: bytes, kind: str, target: bytes) -> None:
        """Take an entry."""
        self._last = path.decode()
        self.lines[self._last] = (kind, target)

    def content(self, content: bytes) -> None:
        """Take content."""
        kind, before = self.lines[self._last]
        self.lines[self._last] = (kind, before + content)


def run_tied(sandbox: Sandbox, ties: Ties, *command: str, **fields: Any) -> Outcome:
    """Run one job with ties."""
    fields.setdefault("timeout_s", 20.0)
    spec = JobSpec(program=command[0], arguments=command[1:], **fields)
    job = f"tied {next(sandbox.numbers)}"
    return sandbox.runner.run(sandbox.pool.run(spec, ("tool", "shell"), job, ties))


# Devices


@pytest.mark.parametrize(
    ("devices", "names"),
    [
        (("null",), "mqueue null"),
        ((), "mqueue"),
        (("zero", "tty", "shm"), "mqueue shm tty zero"),
    ],
)
def test_dev_has_what_was_chosen(sandbox: Sandbox, devices: tuple[str, ...], names: str) -> None:
    links = "fd ptmx pts stderr stdin stdout"
    found = text(sandbox.run("sh", "-c", "ls /dev", devices=devices)).split()
    assert sorted(found) == sorted(f"{links} {names}".split())


def test_chosen_devices_work_and_dev_cannot_be_changed(sandbox: Sandbox) -> None:
    script = "echo x > /dev/null && echo works; echo > /dev/new; rm /dev/null; ls /dev/null"
    script += "; touch /dev/null && echo touched"
    outcome = sandbox.run("sh", "-c", script, devices=("null",), user=0, group=0)
    assert text(outcome) == "works\n/dev/null\n"


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="no /dev/fuse here")
def test_fuse_is_there_for_who_asks_for_it_and_for_nobody_else(sandbox: Sandbox) -> None:
    outcome = sandbox.run("sh", "-c", "ls /dev/fuse /dev/null", devices=("fuse",))
    assert text(outcome) == "/dev/fuse\n"
    assert "fuse" not in text(sandbox.run("ls", "/dev"))


def test_shared_memory_is_the_jobs_own(sandbox: Sandbox) -> None:
    for _ in range(2):
        outcome = sandbox.run("sh", "-c", "ls -A /dev/shm; echo x > /dev/shm/mine")
        assert text(outcome) == ""


# Standard input


def test_stdin_may_be_a_file_of_a_layer(sandbox: Sandbox) -> None:
    assert text(sandbox.run("cat", stdin_file="/etc/passwd")).startswith("tester:")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nowhere", "cannot open `/nowhere` for stdin: No such file or directory"),
        ("/etc", "`/etc` cannot be stdin: it is not a regular file"),
        ("/proc/1/environ", "cannot open `/proc/1/environ` for stdin: Invalid cross-device link"),
        ("/given/given", "cannot open `/given/given` for stdin: Invalid cross-device link"),
    ],
)
def test_stdin_is_no_other_file(sandbox: Sandbox, shared: str, path: str, words: str) -> None:
    outcome = sandbox.run("cat", stdin_file=path, mounts=(Bind("/given", shared),))
    assert isinstance(outcome, ExecutionError)
    assert outcome.message == words


# Files out


def test_declared_outputs_come_back_as_far_as_they_are_there(sandbox: Sandbox) -> None:
    script = (
        "cd /work; echo log > log; mkdir -p out/deep; echo one > out/deep/one; chmod 700 out/deep;"
        "echo '#!' > out/run; chmod +x out/run; touch /tmp/empty; exit 3"
    )
    files = Files()
    outcome = run_tied(
        sandbox,
        Ties(files),
        *("sh", "-c", script),
        working_directory="/work",
        outputs=("/work/log", "/work/out", "/tmp/empty", "/work/missing", "/no/where"),
    )
    assert isinstance(outcome, Exited)
    assert outcome.status == 3
    assert files.lines == {
        "work/log": ("file", b"log\n"),
        "work/out": ("directory", b""),
        "work/out/deep": ("directory", b""),
        "work/out/deep/one": ("file", b"one\n"),
        "work/out/run": ("program", b"#!\n"),
        "tmp/empty": ("file", b""),
    }


def test_outputs_lead_nowhere_else(sandbox: Sandbox) -> None:
    files = Files()
    script = "cd /tmp; ln -s /proc/1 directory; ln -s /proc/1/environ link; mkfifo fifo"
    outcome = run_tied(
        sandbox,
        Ties(files),
        *("sh", "-c", script),
        outputs=("/tmp/link", "/tmp/directory/environ", "/tmp/fifo"),
    )
    assert isinstance(outcome, Exited)
    assert files.lines == {"tmp/link": ("link", b"/proc/1/environ")}


def test_what_comes_back_is_bound(sandbox: Sandbox) -> None:
    outcome = run_tied(
        sandbox,
        Ties(Files()),
        *("truncate", "-s", "1T", "/tmp/sparse"),
        outputs=("/tmp/sparse",),
        limits=Limits(write_bytes_max=MIB),
    )
    assert isinstance(outcome, ExecutionError)
    assert "more to bring back" in outcome.message


def test_files_that_nobody_wants_are_lost(sandbox: Sandbox) -> None:
    outcome = sandbox.run("sh", "-c", "echo x > /tmp/x; echo done", outputs=("/tmp/x",))
    assert text(outcome) == "done\n"


def test_a_captured_root_comes_back_as_a_layer(sandbox: Sandbox) -> None:
    files = Files()
    script = (
        "rm /etc/passwd; mkdir /made; echo new > /made/new; echo t > /tmp/t;"
        "rm -r /etc; mkdir /etc; echo y > /etc/y"
    )
    outcome = run_tied(
        sandbox,
        Ties(files),
        *("sh", "-c", script),
        root=RootFileSystem.CAPTURED,
        mounts=(Tmp("/scratch/deep"),),
        working_directory="/made",
    )
    assert isinstance(outcome, Exited)
    assert files.lines == {
        "etc": ("opaque", b""),
        "etc/y": ("file", b"y\n"),
        "made/new": ("file", b"new\n"),
    }


def test_a_deleted_file_comes_back_as_a_whiteout(sandbox: Sandbox) -> None:
    files = Files()
    outcome = run_tied(sandbox, Ties(files), "rm", "/etc/passwd", root=RootFileSystem.CAPTURED)
    assert isinstance(outcome, Exited)
    assert files.lines == {"etc": ("directory", b""), "etc/passwd": ("whiteout", b"")}


# Limits of the kernel's


@pytest.mark.parametrize(
    ("name", "value", "flag", "shown"),
    [
        ("address_space", 64 * MIB, "-v", "65536"),
        ("cpu_s", 7, "-t", "7"),
        ("data", 32 * MIB, "-d", "32768"),
        ("file_size", 4096, "-f", "8"),
        ("locked_memory", 4096, "-l", "4"),
        ("stack", 512 * 1024, "-s", "512"),
    ],
)
def test_kernel_limits_are_set(
    sandbox: Sandbox, name: str, value: int, flag: str, shown: str
) -> None:
    script = f"ulimit -S {flag}; ulimit -H {flag}"
    for _ in range(2):
        limited = Limits(kernel=((name, value),))
        assert text(sandbox.run("sh", "-c", script, limits=limited)) == f"{shown}\n{shown}\n"
        assert shown not in text(sandbox.run("sh", "-c", script)).split()


@pytest.mark.parametrize(
    ("name", "words"),
    [("message_queues", "Max msgqueue size"), ("pending_signals", "Max pending signals")],
)
def test_kernel_limits_that_no_shell_tells_are_set(sandbox: Sandbox, name: str, words: str) -> None:
    limited = Limits(kernel=((name, 77),))
    lines = text(sandbox.run("cat", "/proc/self/limits", limits=limited)).splitlines()
    (line,) = (line for line in lines if line.startswith(words))
    assert line.removeprefix(words).split()[:2] == ["77", "77"]


def test_a_limit_is_felt_and_told_as_the_kernel_does(sandbox: Sandbox) -> None:
    limits = Limits(kernel=(("file_size", 4096),))
    outcome = sandbox.run("sh", "-c", "exec cat /bin/cat > /tmp/copy", limits=limits)
    assert isinstance(outcome, Signaled)
    assert outcome.signal == signal.SIGXFSZ


# Clocks


def test_the_machine_may_seem_to_have_just_been_started(sandbox: Sandbox) -> None:
    outcome = sandbox.run("cat", "/proc/uptime", uptime_s=0)
    assert float(text(outcome).split()[0]) < 120
    outcome = sandbox.run("cat", "/proc/uptime", uptime_s=1_000_000)
    assert 1_000_000 <= float(text(outcome).split()[0]) < 1_000_120


# Powers


def test_a_job_with_powers_is_root_of_its_container_alone(sandbox: Sandbox) -> None:
    script = (
        "id -u; while read k v; do case $k in CapEff:|NoNew*) echo $k $v;; esac; done"
        "< /proc/self/status; mount -t tmpfs none /etc && echo mounted; ls -A /etc;"
        "hostname other && hostname; ls /proc/1/root 2>/dev/null; echo $?;"
        "mount -o remount,rw /dev 2>/dev/null; echo > /dev/new; echo $?"
    )
    outcome = sandbox.run("sh", "-c", script, user=0, group=0, has_powers=True)
    lines = text(outcome).split("\n")
    assert lines[0] == "0"
    assert lines[1].startswith("CapEff: 000001ffffff")
    assert lines[2:] == ["NoNewPrivs: 1", "mounted", "other", "2", "2", ""]
    assert text(sandbox.run("hostname")) == "maelstrom\n"


def test_a_job_with_powers_has_a_loopback_of_its_own(sandbox: Sandbox) -> None:
    fields = {"user": 0, "group": 0, "has_powers": True}
    for network, is_up in ((Network.DISABLED, "ENETUNREACH"), (Network.LOOPBACK, "ok")):
        outcome = sandbox.run("/t", "loopback", "5000", network=network, **fields)
        assert f"connect={is_up}" in text(outcome)


# Identities


@pytest.fixture
def identities(must_sandbox: bool) -> None:
    needs_identities(must_sandbox)


@pytest.mark.usefixtures("identities")
def test_a_job_with_identities_may_be_anybody_with_any_groups(sandbox: Sandbox) -> None:
    fields = {"has_identities": True, "user": 4321, "group": 99, "groups": (7, 1000)}
    script = "id; stat -c %u:%g /etc /tmp; touch /etc/x 2>/dev/null; echo $?"
    outcome = sandbox.run("sh", "-c", script, **fields)
    assert text(outcome) == "uid=4321 gid=99 groups=99,7,1000\n0:0\n0:0\n1\n"


@pytest.mark.usefixtures("identities")
def test_root_with_powers_and_identities_may_give_files_away(sandbox: Sandbox) -> None:
    fields = {"has_identities": True, "user": 0, "group": 0, "has_powers": True}
    script = "touch /tmp/x; chmod 600 /tmp/x; chown 33:44 /tmp/x && stat -c %u:%g /tmp/x"
    assert text(sandbox.run("sh", "-c", script, **fields)) == "33:44\n"


# Terminals


def run_on_terminal(sandbox: Sandbox, *command: str, talk: list[tuple[bytes, bytes]]) -> Outcome:
    """Run a job on a terminal; of each pair type the second when the first is shown."""
    shown = bytearray()

    def show(content: bytes) -> None:
        shown.extend(content)
        while talk and talk[0][0] in shown:
            wanted, typed = talk.pop(0)
            del shown[: shown.index(wanted) + len(wanted)]
            port.type(typed)

    port = TerminalPort(show)
    return run_tied(sandbox, Ties(terminal=port), *command, terminal=Terminal(30, 90))


def test_a_terminal_is_one(sandbox: Sandbox) -> None:
    script = "test -t 0 && test -t 2 && echo yes; ls -l /proc/self/fd/0; stty size; read x; echo $x"
    talk = [(b"30 90\r\n", b"typed\n")]
    shown = text(run_on_terminal(sandbox, "sh", "-c", script, talk=talk))
    assert shown.startswith("yes\r\n")
    assert " -> /dev/pts/0\r\n" in shown
    assert shown.endswith("typed\r\ntyped\r\n")


def test_an_interrupt_is_for_the_foreground(sandbox: Sandbox) -> None:
    talk = [(b"ready", b"\x03")]
    outcome = run_on_terminal(sandbox, "sh", "-c", "echo ready; exec sleep 20", talk=talk)
    assert isinstance(outcome, Signaled)
    assert outcome.signal == 2


def test_a_shell_has_job_control(sandbox: Sandbox) -> None:
    talk = [
        (b"$ ", b"sh -c 'echo u''p; exec sleep 20'\n"),
        (b"up\r\n", b"\x1a"),
        (b"Stopped", b"kill %1; exit 5\n"),
        (b"stopped", b"exit 5\n"),
    ]
    outcome = run_on_terminal(sandbox, "sh", "-i", talk=talk)
    assert isinstance(outcome, Exited), outcome
    assert outcome.status == 5


def test_a_program_hears_of_a_new_size(sandbox: Sandbox) -> None:
    port = TerminalPort(lambda content: port.resize(50, 132) if b"ready" in content else None)
    script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done"
    fields = {"terminal": Terminal()}
    outcome = run_tied(sandbox, Ties(terminal=port), "sh", "-c", script, **fields)
    assert text(outcome) == "ready\r\n50 132\r\n"


def test_a_one_shot_slot_has_a_spare_ready(sandbox: Sandbox) -> None:
    fields = {"user": 0, "group": 0, "has_powers": True}
    assert isinstance(sandbox.run("id", **fields), Exited)
    sandbox.runner.run(asyncio.sleep(0))
    assert text(sandbox.run("sh", "-c", "id -u", **fields)) == "0\n"


def test_without_a_job_at_it_nothing_is_typed() -> None:
    port = TerminalPort(lambda content: None)
    port.type(b"x")
    port.resize(1, 1)


def test_a_spare_slot_serves_jobs_of_other_roots(sandbox: Sandbox) -> None:
    fields = {"user": 0, "group": 0, "has_powers": True}
    for directory, devices in (("/one", ("null",)), ("/two", ("null", "shm")), ("/one", ("null",))):
        script = "pwd; cd /dev; echo *"
        outcome = sandbox.run(
            "sh", "-c", script, working_directory=directory, devices=devices, **fields
        )
        seen = text(outcome).split()
        assert seen[0] == directory
        assert set(devices) <= set(seen)
        assert ("shm" in seen) == ("shm" in devices)
