"""What a job finds, what it can do, and that the next one in its slot sees nothing of it."""

import os
import shutil
import signal

import pytest

from maelstrom.model.outcome import (
    Cancelled,
    ExecutionError,
    Exited,
    LimitExceeded,
    Signaled,
    TimedOut,
)
from maelstrom.model.spec import (
    Bind,
    DevPts,
    Limits,
    MessageQueue,
    Network,
    RootFileSystem,
    Sys,
    Tmp,
)
from maelstrom.sandbox.launch import linux_version
from maelstrom.sandbox.steps import LINUX_TMPFS_UPPER
from tests.sandbox.conftest import (
    MIB,
    WAYS,
    Sandbox,
    answers,
    descendants,
    needs_identities,
    text,
)

# User 0 of a container is none to whom the kernel makes exceptions.
USERS = pytest.mark.parametrize("user", [1000, 0])


def test_a_program_ends_with_its_status_and_output(sandbox: Sandbox) -> None:
    outcome = sandbox.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert isinstance(outcome, Exited)
    assert outcome.status == 7
    assert outcome.effects.stdout.content == b"out\n"
    assert outcome.effects.stderr.content == b"err\n"
    assert 0 < outcome.effects.duration_s < 20
    assert outcome.effects.memory_peak_bytes > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT])
def test_a_signal_is_told(sandbox: Sandbox, number: signal.Signals) -> None:
    outcome = sandbox.run("/t", "raise", str(int(number)))
    assert isinstance(outcome, Signaled)
    assert outcome.signal == number


def test_abort_is_an_abort(sandbox: Sandbox) -> None:
    outcome = sandbox.run("/t", "abort")
    assert isinstance(outcome, Signaled)
    assert outcome.signal == signal.SIGABRT


def test_a_job_is_an_ordinary_user_in_a_world_of_its_own(sandbox: Sandbox) -> None:
    script = "id -u; id -g; hostname; echo $$; pwd; umask; cat /proc/1/comm; ls -A /tmp /dev/shm"
    outcome = sandbox.run("sh", "-c", script, working_directory="/work/deep")
    assert text(outcome) == (
        "1000\n1000\nmaelstrom\n2\n/work/deep\n0022\nmaelstrom-slot\n/dev/shm:\n\n/tmp:\n"
    )
    # Its number, parent, process group, session, terminal.
    shown = text(sandbox.run("cat", "/proc/self/stat")).split()
    assert [shown[0], *shown[3:7]] == ["2", "1", "2", "2", "0"]


@pytest.mark.parametrize(("user", "group"), [(0, 0), (1000, 1000), (4321, 99)])
def test_a_job_is_whom_it_asked_to_be_and_has_no_privilege(
    sandbox: Sandbox, user: int, group: int
) -> None:
    script = "id -u; id -g; while read k v; do case $k in Cap[IPEA]*|NoNew*|Seccomp:) echo $k $v;;"
    script += " esac; done < /proc/self/status"
    outcome = sandbox.run("sh", "-c", script, user=user, group=group)
    none = "0" * 16
    assert text(outcome).split("\n")[:-1] == [
        str(user),
        str(group),
        *(f"Cap{kind}: {none}" for kind in ("Inh", "Prm", "Eff")),
        f"CapAmb: {none}",
        "NoNewPrivs: 1",
        "Seccomp: 2",
    ]


@pytest.mark.parametrize("user", [0, 1000])
def test_what_is_forbidden_is_refused(sandbox: Sandbox, user: int) -> None:
    outcome = sandbox.run("/t", "forbidden", user=user)
    told = answers(outcome)
    assert told.pop("kill_init") == "ok", "sending it is allowed; it has no effect"
    assert told.pop("setuid") in ("EINVAL", "EPERM")
    assert set(told.values()) <= {"EPERM", "EACCES"}, told


def test_only_the_three_standard_descriptors_are_open(sandbox: Sandbox) -> None:
    assert text(sandbox.run("/t", "descriptors")) == "0 1 2 "


def test_signals_are_as_after_login(sandbox: Sandbox) -> None:
    assert text(sandbox.run("/t", "signals")) == ""


def test_the_environment_is_exactly_the_one_asked_for(sandbox: Sandbox) -> None:
    environment = (("PATH", "/bin"), ("NAME", "a b\udcff"), ("EMPTY", ""))
    outcome = sandbox.run("env", environment=environment)
    assert isinstance(outcome, Exited)
    lines = outcome.effects.stdout.content.split(b"\n")
    assert sorted(lines) == [b"", b"EMPTY=", b"NAME=a b\xff", b"PATH=/bin"]


def test_arguments_may_be_any_bytes(sandbox: Sandbox) -> None:
    outcome = sandbox.run("sh", "-c", 'printf "%s|" "$@"', "x", "", "a\nb", "\udcfe", "ü")
    assert isinstance(outcome, Exited)
    assert outcome.effects.stdout.content == b"|a\nb|\xfe|" + "ü|".encode()


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_stdin_is_what_was_given(sandbox: Sandbox, size: int) -> None:
    outcome = sandbox.run("cat", stdin=b"x" * size, limits=Limits(output_bytes_max=4_000_000))
    assert isinstance(outcome, Exited)
    assert outcome.effects.stdout.content == b"x" * size


@pytest.mark.parametrize("network", [Network.DISABLED, Network.LOOPBACK])
def test_the_network_is_off_or_loops_back(sandbox: Sandbox, network: Network) -> None:
    told = answers(sandbox.run("/t", "loopback", "5000", network=network))
    is_up = network is Network.LOOPBACK
    assert told == {"bind": "ok", "connect": "ok" if is_up else "ENETUNREACH"}


def test_a_local_network_is_the_hosts(sandbox: Sandbox, listener: int) -> None:
    assert answers(sandbox.run("/t", "connect", str(listener))) == {"connect": "ENETUNREACH"}
    outcome = sandbox.run("/t", "connect", str(listener), network=Network.LOCAL)
    assert answers(outcome) == {"connect": "ok"}
    assert answers(sandbox.run("/t", "connect", str(listener))) == {"connect": "ENETUNREACH"}


def test_a_job_may_write_and_the_next_sees_nothing(sandbox: Sandbox) -> None:
    look = "ls -A / /tmp /dev/shm /work; stat -c %a /"
    before = text(sandbox.run("sh", "-c", look, working_directory="/work"))
    for way in ("leave-files", "chmod-root", "attribute"):
        assert isinstance(sandbox.run("/t", way, working_directory="/work"), Exited)
    assert text(sandbox.run("sh", "-c", look, working_directory="/work")) == before
    assert "left" not in before


def test_an_untouched_root_is_used_again(sandbox: Sandbox) -> None:
    def root() -> str:
        return text(sandbox.run("stat", "-f", "-c", "%i", "/tmp"))

    sandbox.run("/t", "leave-files")
    first = root()
    assert root() == first
    sandbox.run("/t", "leave-files")
    assert root() != first


def test_the_little_left_in_scratch_is_removed_and_the_root_kept(sandbox: Sandbox) -> None:
    def look() -> str:
        return text(sandbox.run("sh", "-c", "stat -f -c %i /tmp; stat -c %a%Y /tmp; ls -A /tmp"))

    before = look()
    script = "mkdir -p /tmp/a/b; touch /tmp/a/b/c /dev/shm/d; chmod 0 /tmp/a"
    assert text(sandbox.run("sh", "-c", script)) == ""
    assert look() == before
    script = "i=0; while [ $i -lt 40 ]; do touch /tmp/$i; i=$((i+1)); done"
    assert text(sandbox.run("sh", "-c", script)) == ""
    after = look()
    assert after.split()[0] != before.split()[0]
    assert len(after.split()) == 2


def test_each_of_many_jobs_that_write_has_a_root_of_its_own(sandbox: Sandbox) -> None:
    def write() -> str:
        return text(sandbox.run("sh", "-c", "ls -A /; touch /left; stat -f -c %i /tmp"))

    seen = [write().split() for _ in range(5)]
    assert len({found[-1] for found in seen}) == 5
    assert all(found[:-1] == seen[0][:-1] for found in seen)
    assert "left" not in seen[0]


def test_layers_of_another_job_are_not_seen(sandbox: Sandbox) -> None:
    sandbox.run("/t", "true", layers=("tool", "shell"))
    outcome = sandbox.run("ls", "-A", "/", layers=("shell", "small3", "small2"))
    expected = ["bin", "dev", "etc", "file2", "file3", "lib", "proc", "same", "tmp"]
    # Where the loader is depends on the machine.
    assert [name for name in text(outcome).split() if name != "lib64"] == expected
    assert text(sandbox.run("cat", "/same", layers=("shell", "small3", "small2"))) == "2\n"


def test_many_layers_make_one_root(sandbox: Sandbox) -> None:
    layers = ("shell", "tool", *(f"small{number}" for number in range(12)))
    for _ in range(3):
        script = "cat /file0 /file11 /same; echo x > /same; touch /new; cat /same"
        assert text(sandbox.run("sh", "-c", script, layers=layers)) == "0\n11\n11\nx\n"
    assert text(sandbox.run("cat", "/same", layers=layers[::-1])) == "0\n"


def test_no_layers_at_all_is_a_root_too(sandbox: Sandbox) -> None:
    outcome = sandbox.run("/t", "true", layers=())
    assert isinstance(outcome, ExecutionError)
    assert outcome.message == "program `/t` is not in the container"


def test_ipc_objects_do_not_stay(sandbox: Sandbox) -> None:
    assert sandbox.run("/t", "leave-ipc").status == 0  # type: ignore[union-attr]
    assert answers(sandbox.run("/t", "find-ipc")) == {"shm": "ENOENT", "msg": "ENOENT"}


def test_an_ipc_namespace_stays_until_it_is_used(sandbox: Sandbox) -> None:
    for command, mounts, changes in (
        (("/t", "true"), (), False),
        (("/t", "leave-ipc"), (), True),
        (("/t", "use-queue"), (), True),
        (("/t", "true"), (MessageQueue(),), True),
    ):
        before = text(sandbox.run("/t", "say-ipc"))
        assert text(sandbox.run(*command, mounts=mounts)) == ""
        assert (text(sandbox.run("/t", "say-ipc")) != before) == changes, command


def test_sockets_do_not_stay(sandbox: Sandbox) -> None:
    for _ in range(2):
        assert answers(sandbox.run("/t", "bind-abstract")) == {"bind": "ok"}
        told = answers(sandbox.run("/t", "loopback", "5000", network=Network.LOOPBACK))
        assert told == {"bind": "ok", "connect": "ok"}


def test_daemons_end_with_their_job_and_do_not_delay_it(sandbox: Sandbox) -> None:
    # It holds the job's output open, too: whoever waits for its end waits until the time is up.
    assert isinstance(sandbox.run("/t", "leave-daemon"), Exited)
    outcome = sandbox.run("sh", "-c", "echo /proc/[0-9]*")
    assert text(outcome) == "/proc/1 /proc/2\n"


@pytest.mark.parametrize("way", WAYS)
def test_an_orphan_is_gone_when_it_has_ended(
    sandbox: Sandbox, must_sandbox: bool, way: str
) -> None:
    if way == "with identities":
        needs_identities(must_sandbox)
    # As whoever stops a daemon waits for its end.
    script = "p=$(sleep 100 > /dev/null & echo $!); kill $p; while kill -0 $p; do sleep 0.01; done"
    outcome = sandbox.run_so(way, "/bin/sh", "-c", script, layers=("shell",))
    assert isinstance(outcome, Exited), outcome


def test_what_an_orphan_used_is_counted(sandbox: Sandbox) -> None:
    script = "p=$(ulimit -t 1; while :; do :; done > /dev/null & echo $!)"
    script += "; while kill -0 $p; do sleep 0.01; done"
    outcome = sandbox.run("sh", "-c", script)
    assert isinstance(outcome, Exited), outcome
    assert outcome.effects.cpu_user_s + outcome.effects.cpu_system_s > 0.9


@pytest.mark.parametrize("way", ["zombies", "kill-parent"])
def test_rude_jobs_end_well(sandbox: Sandbox, way: str) -> None:
    outcome = sandbox.run("/t", way)
    assert isinstance(outcome, Exited)
    assert outcome.status == 0
    assert text(sandbox.run("sh", "-c", "echo $$")) == "2\n"


def test_a_job_that_kills_all_it_can_kills_itself_only(sandbox: Sandbox) -> None:
    # The kernel spares who calls kill(-1).
    outcome = sandbox.run("sh", "-c", "sleep 100 & /t kill-all; echo on")
    assert isinstance(outcome, Signaled)
    assert outcome.signal == signal.SIGKILL


def test_output_closed_early_does_not_end_the_job(sandbox: Sandbox) -> None:
    outcome = sandbox.run("/t", "close-output")
    assert isinstance(outcome, Exited)
    assert outcome.status == 7


def test_endless_output_is_cut_and_costs_little(sandbox: Sandbox) -> None:
    limits = Limits(output_bytes_max=1001)
    outcome = sandbox.run("/t", "flood", timeout_s=0.5, grace_s=0.0, limits=limits)
    assert isinstance(outcome, TimedOut)
    output = outcome.effects.stdout
    assert (len(output.head), len(output.tail)) == (500, 501)
    assert output.dropped_bytes > MIB


def test_head_and_tail_are_the_first_and_the_last(sandbox: Sandbox) -> None:
    script = "i=1000; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done"
    outcome = sandbox.run("sh", "-c", script, limits=Limits(output_bytes_max=20))
    assert isinstance(outcome, Exited)
    output = outcome.effects.stdout
    assert output.head == b"1000\n1001\n"
    assert output.tail == b"1998\n1999\n"
    assert output.dropped_bytes == 5 * 1000 - 20


@pytest.mark.parametrize(
    ("way", "said"), [("ignore-term", b"ignoring\n"), ("obey-term", b"softly\n"), ("stop", b"")]
)
def test_time_that_is_up_ends_a_job(sandbox: Sandbox, way: str, said: bytes) -> None:
    # Time enough to be ready for the signal, on a busy machine too.
    outcome = sandbox.run("/t", way, timeout_s=0.6, grace_s=0.2)
    assert isinstance(outcome, TimedOut)
    assert outcome.effects.stdout.content == said
    assert 0.6 <= outcome.effects.duration_s < 10


@USERS
def test_a_fork_bomb_ends_with_its_time(sandbox: Sandbox, user: int) -> None:
    outcome = sandbox.run("/t", "fork-bomb", timeout_s=0.5, grace_s=0.1, user=user)
    assert isinstance(outcome, TimedOut)
    after = sandbox.run("sh", "-c", "echo /proc/[0-9]*", user=user)
    assert text(after) == "/proc/1 /proc/2\n"


@USERS
def test_processes_are_limited(sandbox: Sandbox, user: int) -> None:
    outcome = sandbox.run("/t", "processes", limits=Limits(processes_max=20), user=user)
    assert text(outcome) == "EAGAIN 19\n"
    assert text(sandbox.run("/t", "processes", user=user)) == "EAGAIN 199\n"


@USERS
@pytest.mark.parametrize("most", [10, 100])
def test_open_files_are_limited(sandbox: Sandbox, most: int, user: int) -> None:
    outcome = sandbox.run("/t", "open-files", limits=Limits(open_files_max=most), user=user)
    assert text(outcome) == f"EMFILE {most - 3}\n"


@USERS
def test_too_much_memory_ends_a_job(sandbox: Sandbox, user: int) -> None:
    outcome = sandbox.run("/t", "eat", limits=Limits(memory_bytes_max=64 * MIB), user=user)
    assert isinstance(outcome, LimitExceeded)
    assert outcome.limit == "memory"
    assert 64 * MIB <= outcome.effects.memory_peak_bytes < 512 * MIB


IN_MEMORY = pytest.mark.skipif(
    linux_version() < LINUX_TMPFS_UPPER, reason="on this kernel the root's writes go to disk"
)


@pytest.mark.parametrize(
    "path",
    [pytest.param("/full", marks=IN_MEMORY), "/tmp/full", "/dev/shm/full", "/mnt/full"],
)
@USERS
def test_a_full_file_system_is_the_jobs_own_problem(sandbox: Sandbox, path: str, user: int) -> None:
    limits = Limits(write_bytes_max=2 * MIB)
    outcome = sandbox.run("/t", "fill", path, limits=limits, mounts=(Tmp("/mnt"),), user=user)
    word, total = text(outcome).split()
    assert word == "ENOSPC"
    assert MIB < int(total) <= 2 * MIB


def test_what_a_job_changes_in_the_slot_costs_the_slot(sandbox: Sandbox) -> None:
    first = _slot_process(sandbox)
    # From within a job it is refused.
    assert answers(sandbox.run("/t", "tamper")) == {"limit": "EPERM", "priority": "EPERM"}
    assert _slot_process(sandbox) == first
    for pid, name in descendants(os.getpid()).items():
        if name == "maelstrom-slot":
            usual = os.getpriority(os.PRIO_PROCESS, pid)
            os.setpriority(os.PRIO_PROCESS, pid, usual + 1)
    sandbox.run("/t", "true")
    assert text(sandbox.run("/t", "open-files")) == "EMFILE 4093\n"
    assert _slot_process(sandbox) != first


def _slot_process(sandbox: Sandbox) -> str:
    """Return something that differs from slot to slot."""
    return text(sandbox.run("stat", "-L", "-c", "%i", "/proc/self/ns/user"))


def test_a_read_only_root_takes_no_writes_but_tmp_does(sandbox: Sandbox) -> None:
    outcome = sandbox.run(
        "sh",
        "-c",
        "touch /x /etc/x /work/x; touch /tmp/y /dev/shm/y /data/y && ls /tmp",
        root=RootFileSystem.READ_ONLY,
        working_directory="/work",
        mounts=(Tmp("/data"),),
    )
    assert text(outcome) == "y\n"
    assert outcome.effects.stderr.text().count("Read-only file system") == 3  # type: ignore[union-attr]


def test_special_mounts_are_there(sandbox: Sandbox) -> None:
    mounts = (Sys(), DevPts(), MessageQueue(), Tmp("/data/deep/tmp", size_bytes=MIB))
    script = "ls /sys/class/net; echo /dev/pts/*; stat -f -c %T /dev/mqueue;"
    script += " stat -f -c %b*%S /data/deep/tmp"
    outcome = sandbox.run("sh", "-c", script, mounts=mounts)
    assert text(outcome).split() == ["lo", "/dev/pts/ptmx", "mqueue", "256*4096"]


def test_cancelled_is_told(sandbox: Sandbox) -> None:
    import asyncio

    from maelstrom.model.spec import JobSpec

    async def cancel() -> object:
        spec = JobSpec(program="/t", arguments=("sleep", "30"))
        running = asyncio.create_task(sandbox.pool.run(spec, ("tool",), "doomed"))
        await asyncio.sleep(0.1)
        sandbox.pool.kill("doomed")
        return await running

    assert sandbox.runner.run(cancel()) == Cancelled()
    assert text(sandbox.run("sh", "-c", "echo /proc/[0-9]*")) == "/proc/1 /proc/2\n"


def test_output_of_jobs_is_not_mixed(sandbox: Sandbox) -> None:
    for number in range(20):
        assert text(sandbox.run("sh", "-c", f"echo {number}")) == f"{number}\n"


def test_binds_show_the_host_and_read_only_is_locked(sandbox: Sandbox, shared: str) -> None:
    mounts = (Bind("/ro", shared), Bind("/rw", shared, is_read_only=False))
    script = "cat /ro/given; touch /ro/x; echo made > /rw/made; /t nested /ro; /t nested /proc/sys"
    outcome = sandbox.run("sh", "-c", script, mounts=mounts)
    out = text(outcome)
    assert out.startswith("given\n")
    assert "unshare=ok" in out
    assert out.count("remount=EPERM") == 2
    assert out.count("umount=EINVAL") == 2
    assert "write=ok" not in out
    assert "Read-only" in outcome.effects.stderr.text()  # type: ignore[union-attr]
    with open(os.path.join(shared, "made")) as made:
        assert made.read() == "made\n"


@pytest.mark.parametrize("name", ["given", "inner"])
def test_a_bind_that_the_host_has_replaced_is_the_new_one(
    sandbox: Sandbox, shared: str, name: str
) -> None:
    os.mkdir(f"{shared}/inner")
    place, other = f"{shared}/{name}", f"{shared}/other"
    mounts = (Bind("/bound", place),)
    first = text(sandbox.run("ls", "-di", "/bound", mounts=mounts))
    assert text(sandbox.run("ls", "-di", "/bound", mounts=mounts)) == first
    # The old one stays, so that the new one has another number.
    os.rename(place, other)
    shutil.copytree(other, place) if os.path.isdir(other) else shutil.copy(other, place)
    assert text(sandbox.run("ls", "-di", "/bound", mounts=mounts)) != first


def test_a_file_can_be_bound(sandbox: Sandbox, shared: str) -> None:
    mounts = (Bind("/etc/new/given", f"{shared}/given"), Bind("/etc/passwd", f"{shared}/given"))
    outcome = sandbox.run("cat", "/etc/new/given", "/etc/passwd", mounts=mounts)
    assert text(outcome) == "given\ngiven\n"


def test_an_emptied_tmp_is_as_good_as_new(sandbox: Sandbox) -> None:
    def root() -> str:
        return text(sandbox.run("stat", "-f", "-c", "%i", "/tmp"))

    first = root()
    sandbox.run("sh", "-c", "touch /tmp/x /dev/shm/y; mkdir /tmp/d; rm -r /tmp/* /dev/shm/*")
    assert root() == first
    sandbox.run("sh", "-c", "chmod 700 /tmp")
    assert root() != first


def test_a_layer_made_anew_under_its_name_is_noticed(sandbox: Sandbox) -> None:
    layer = sandbox.layers_root / "again"
    for content in ("first", "second"):
        layer.mkdir()
        (layer / "file").write_text(content)
        for layers in (("shell", "again"), ("again", "shell", *(f"small{n}" for n in range(8)))):
            assert text(sandbox.run("cat", "/file", layers=layers)) == content
        (layer / "file").unlink()
        layer.rmdir()
