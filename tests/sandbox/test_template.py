"""Jobs that are forks of a program that was started ahead: as fresh as any other."""

import os
import signal
from pathlib import Path

import pytest

from maelstrom.frameworks.told import script
from maelstrom.model.outcome import (
    ExecutionError,
    Exited,
    LimitExceeded,
    Outcome,
    Signaled,
    TimedOut,
)
from maelstrom.model.spec import Bind, Limits, Network
from maelstrom.sandbox.from_template import FAILURES_MAX
from maelstrom.sandbox.launch import linux_version
from maelstrom.sandbox.stage import SLOT_FILES_MIN
from maelstrom.sandbox.template import REQUEST_BYTES_MAX
from tests.sandbox.conftest import PYTHON, Sandbox, files_on_their_way, text

SCRIPT = """
import os, resource, signal, subprocess, sys, time
LOADED = time.monotonic_ns()

def prepare():
    print("never seen")

def main():
    exec(sys.argv[1])
    return 0
"""
BROKEN = SCRIPT.replace('print("never seen")', 'raise RuntimeError("no")')
# It tells of a fork when that has long begun.
SLOW = SCRIPT.replace(
    'print("never seen")',
    """
    fork = os.fork
    def slow():
        pid = fork()
        if pid: time.sleep(0.5)
        return pid
    os.fork = slow
""",
)
ENVIRONMENT = (("LANG", "C.UTF-8"), ("NAME", "value"))
CLONE, SET_SCHEDULING = (220, 274) if os.uname().machine == "aarch64" else (56, 314)
HOST = tuple(Bind(path, path) for path in (*PYTHON, "/etc"))


class Forks:
    """Runs Python text in forks of a template, or by itself."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def run(self, code: str, source: str = SCRIPT, **fields: object) -> Outcome:
        template = ("-c", script("start.py"), source)
        fields = {
            "environment": ENVIRONMENT,
            "working_directory": "/work",
            "mounts": HOST,
            "template_arguments": len(template),
            **fields,
        }
        fields = {"layers": (), **fields}
        return self.sandbox.run("/usr/bin/python3", *template, code, **fields)

    def text(self, code: str, **fields: object) -> str:
        outcome = self.run(code, **fields)
        assert isinstance(outcome, Exited), outcome
        assert outcome.status == 0, outcome.effects.stderr.text()
        return text(outcome)

    def loaded(self, **fields: object) -> str:
        """When the script was loaded: the same for all forks of one template."""
        return self.text("print(LOADED)", **fields)

    def are_of_one(self, **fields: object) -> bool:
        """Whether two jobs are forks of one template."""
        return self.loaded(**fields) == self.loaded(**fields)


@pytest.fixture
def forks(sandbox: Sandbox) -> Forks:
    """Return a way to run forks, in the slot of other tests."""
    return Forks(sandbox)


def test_jobs_are_forks_of_one_process(forks: Forks) -> None:
    first = forks.loaded()
    assert forks.loaded() == first
    alone = forks.text("print(LOADED)", template_arguments=0)
    assert alone != first
    assert forks.loaded() not in (first, alone), "a job of another kind ends a template"


def test_jobs_in_different_worlds_have_one_template_that_sees_neither(forks: Forks) -> None:
    source = SCRIPT.replace("LOADED = ", "SEEN = os.listdir('/'); LOADED = ")
    code = "print(LOADED, [[f'file{n}' in seen for n in (2, 3)] for seen in (SEEN, os.listdir())])"
    told = [
        forks.text(code, source=source, layers=layers, working_directory="/").split(None, 1)
        for layers in (("small2",), ("small3",), ("small2", "small3"), ("small2",))
    ]
    assert len({loaded for loaded, _ in told}) == 1
    assert [seen for _, seen in told] == [
        "[[False, False], [True, False]]\n",
        "[[False, False], [False, True]]\n",
        "[[False, False], [True, True]]\n",
        "[[False, False], [True, False]]\n",
    ]


def test_the_suites_run_in_forks(sandbox: Sandbox) -> None:
    who = ("/bin/sh", "-c", "echo $$ $PPID")
    assert text(sandbox.run_so("spawned", *who)) == "2 1\n"
    assert text(sandbox.run_so("from a template", *who)) == "3 2\n"


@pytest.mark.parametrize("count", [3, 0])
def test_a_fork_is_as_a_process_of_its_own(forks: Forks, count: int) -> None:
    code = (
        "print(os.getcwd(), sys.argv, sorted(os.environ.items())"
        ", sorted(os.listdir('/proc/self/fd')), os.getsid(0) == os.getpid() == os.getpgrp()"
        ", sys.stdin.read()"
        ", signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, os.stat('/proc/self/fd').st_uid"
        ", open('/proc/self/oom_score_adj').read())"
    )
    told = forks.text(code, template_arguments=count, stdin=b"given")
    assert "'-c', " in told
    assert told.replace(repr(code), "CODE") == (
        "/work ['-c', CODE] [('LANG', 'C.UTF-8'), ('NAME', 'value')] ['0', '1', '2', '3']"
        " True given True 1000 900\n\n"
    )


def test_all_forks_have_the_same_pid(forks: Forks) -> None:
    assert forks.text("print(os.getpid())") == forks.text("print(os.getpid())") == "3\n"


def test_the_end_of_a_fork_is_told(forks: Forks) -> None:
    outcome = forks.run("print('out'); print('err', file=sys.stderr); sys.exit(7)")
    assert isinstance(outcome, Exited)
    assert outcome.status == 7
    assert outcome.effects.stdout.content == b"out\n"
    assert outcome.effects.stderr.content == b"err\n"
    assert outcome.effects.cpu_user_s + outcome.effects.cpu_system_s > 0
    outcome = forks.run("os.kill(os.getpid(), signal.SIGSEGV)")
    assert isinstance(outcome, Signaled)
    assert outcome.signal == signal.SIGSEGV


def test_a_fork_may_write_and_the_next_sees_nothing(forks: Forks) -> None:
    look = "print(sorted(os.listdir('/')), os.listdir('/tmp'), os.listdir('/work'))"
    before = forks.text(look)
    first = forks.loaded()
    for place in ("/left", "/work/left", "/tmp/left", "/etc/left-for-none"):
        code = f"try: open({place!r}, 'w')\nexcept OSError: print('read-only')"
        assert forks.text(code) in ("", "read-only\n")
    assert forks.text(look) == before
    assert forks.loaded() == first, "what is written does not end a template"


@pytest.mark.parametrize(
    "code",
    [
        "subprocess.Popen(['/usr/bin/sleep', '100'], start_new_session=True)",
        "os.kill(os.getppid(), signal.SIGKILL)",
        "os.kill(-1, signal.SIGKILL)",
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (64, 64))",
        "os.sched_setaffinity(os.getppid(), {min(os.sched_getaffinity(0))})",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "os.sched_setscheduler(os.getppid(), os.SCHED_BATCH, os.sched_param(0))",
        "import ctypes; assert ctypes.CDLL(None).shmget(77, 4096, 0o1600) >= 0",
        "import ctypes; assert ctypes.CDLL(None).msgget(77, 0o1600) >= 0",
        "import ctypes; assert ctypes.CDLL(None).semget(77, 1, 0o1600) >= 0",
        "import ctypes; assert ctypes.CDLL(None).mq_open(b'/left', os.O_CREAT, 0o600, None) >= 0",
        # The limit of locks, that Python does not name.
        "resource.prlimit(os.getppid(), 10, (64, 64))",
        # A brother that has ended, whom nobody waits for.
        f"import ctypes; ctypes.CDLL(None).syscall({CLONE}, 0x8011, 0, 0, 0, 0) or os._exit(0)",
        pytest.param(
            f"import ctypes; wanted = bytes([56]) + bytes(23) + (90_000_000).to_bytes(32, 'little')"
            f"; assert ctypes.CDLL(None).syscall({SET_SCHEDULING}, os.getppid(), wanted, 0) == 0",
            marks=pytest.mark.skipif(linux_version() < (6, 12), reason="no slices of one's own"),
        ),
    ],
)
def test_who_touches_the_template_ends_it(forks: Forks, code: str) -> None:
    first = forks.loaded()
    outcome = forks.run(code)
    assert isinstance(outcome, Exited | Signaled), outcome
    state = (
        "print(resource.getrlimit(resource.RLIMIT_NOFILE), sorted(os.sched_getaffinity(0)),"
        " os.getpriority(os.PRIO_PROCESS, 0), len(open('/proc/sysvipc/shm').readlines()),"
        " {int(p) for p in os.listdir('/proc') if p.isdecimal()} - {1, os.getpid(), os.getppid()})"
    )
    assert forks.text(state) == forks.text(state, template_arguments=0)
    assert forks.loaded() != first


def test_a_fork_sees_the_mounts_of_its_own_root_alone(forks: Forks) -> None:
    look = "print(*sorted(line.split()[4] for line in open('/proc/self/mountinfo')))"
    alone = forks.text(look, template_arguments=0)
    for _ in range(3):
        assert forks.text("open('/left', 'w')") == ""
        assert forks.text(look) == alone


@pytest.mark.parametrize("name", ["oom_score_adj", "coredump_filter"])
def test_user_0_cannot_change_what_forks_inherit(forks: Forks, name: str) -> None:
    user_0 = {"user": 0, "group": 0}
    look = f"print(open('/proc/self/{name}').read())"
    before = forks.text(look, **user_0)
    change = f"open(f'/proc/{{os.getppid()}}/{name}', 'w').write('7')"
    assert forks.text(f"{change}; {look}", **user_0) == before
    assert forks.text(look, **user_0) == before


def test_a_template_that_was_stopped_goes_on(forks: Forks) -> None:
    first = forks.loaded()
    assert forks.text("os.kill(os.getppid(), signal.SIGSTOP)") == ""
    assert forks.loaded() == first


def test_no_signal_to_a_template_is_felt_by_later_forks(forks: Forks) -> None:
    look = (
        "print([signal.getsignal(n) for n in range(1, 32)], signal.pthread_sigmask(0, []),"
        " open('/proc/self/wchan').read(), [line for line in open('/proc/self/status')"
        " if line.startswith(('Sig', 'Shd', 'State')) and not line.startswith('SigQ')])"
    )
    before = forks.text(look)
    for name in ("HUP", "INT", "QUIT", "USR1", "ALRM", "TERM", "CHLD", "STOP", "TSTP", "PIPE"):
        kill = f"\ntry: os.kill(os.getppid(), signal.SIG{name})\nexcept PermissionError: pass"
        outcome = forks.run(f"{kill}\nprint('done')")
        assert isinstance(outcome, Exited), name
        assert text(outcome) == "done\n"
        assert forks.text(look) == before, name


ENDS_IT = "print('done', flush=True)\ntry: os.kill(os.getppid(), 9)\nexcept OSError: pass"


def test_a_fork_that_ends_its_template_at_once_is_told_once(forks: Forks) -> None:
    assert forks.text(ENDS_IT, source=SLOW) == "done\n"
    assert forks.are_of_one(source=SLOW), "what one job does, others do not pay for"


def test_a_template_that_no_job_leaves_alive_is_done_without(forks: Forks) -> None:
    source = SLOW + "# of its own"
    for _ in range(FAILURES_MAX):
        assert forks.text(ENDS_IT, source=source) == "done\n"
    assert not forks.are_of_one(source=source)


def test_what_does_not_fit_into_a_request_starts_by_itself_alone(forks: Forks) -> None:
    code = "print(LOADED)" + "#" * (REQUEST_BYTES_MAX + 1)
    assert forks.text(code) != forks.loaded()
    assert forks.are_of_one()


def test_a_shortage_costs_a_template_only_while_it_lasts(layers_root: Path, shared: str) -> None:
    made = Sandbox(layers_root, slots=2)
    made.start()
    # So few that nobody else is short of them: they are counted for all that a user has.
    few = Limits(open_files_max=SLOT_FILES_MIN)
    try:
        forks = Forks(made)
        assert forks.are_of_one(limits=few)
        with files_on_their_way(made, shared, SLOT_FILES_MIN):
            for _ in range(FAILURES_MAX):
                assert not forks.are_of_one(limits=few), "there is enough of everything"
        assert forks.are_of_one(limits=few)
    finally:
        made.close()


def test_a_fork_that_has_its_template_trace_it_ends_when_it_ends(forks: Forks) -> None:
    code = (
        "import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0); me = os.getpid()\n"
        "if os.fork() == 0: time.sleep(0.1); os.kill(me, signal.SIGKILL); os._exit(0)\n"
        "os.kill(me, signal.SIGUSR1); print('never')"
    )
    outcome = forks.run(code)
    assert isinstance(outcome, Signaled)
    assert outcome.signal == signal.SIGKILL


@pytest.mark.parametrize(
    "shared",
    [
        "KEPT = open('/tmp/log', 'w')",
        "import mmap; KEPT = mmap.mmap(-1, 4096)",
        "import threading; threading.Thread(target=time.sleep, args=(30,), daemon=True).start()",
        "KEPT = subprocess.Popen(['/usr/bin/sleep', '30'])",
        "import ctypes; ctypes.CDLL(None).shmget(77, 4096, 0o1600)",
    ],
)
def test_a_template_with_something_to_share_is_done_without(forks: Forks, shared: str) -> None:
    source = SCRIPT.replace("LOADED = ", f"{shared}; LOADED = ")
    first = forks.text("print(LOADED)", source=source)
    assert forks.text("print(LOADED)", source=source) != first


@pytest.mark.parametrize(
    ("way", "refusal"),
    [
        *[("mode", "EROFS"), ("times", "EROFS"), ("attribute", "EROFS"), ("link", "EXDEV")],
        ("content", "ETXTBSY"),
    ],
)
def test_a_fork_cannot_change_what_its_template_was_started_from(
    sandbox: Sandbox, way: str, refusal: str
) -> None:
    def run(*command: str, **fields: object) -> Outcome:
        fields |= {"layers": ("fork",), "template_arguments": 1, "template_layers": 1}
        return sandbox.run("/fork", "template", *command, **fields)

    before = text(run("look"))
    assert text(run(way)) == f"{refusal}\n"
    assert text(run("look")) == before


def test_a_template_is_closed_to_its_forks(forks: Forks) -> None:
    code = (
        "for name in ('mem', 'environ', 'fd', 'root', 'cwd', 'maps'):\n"
        "    try: print(os.listdir(f'/proc/{os.getppid()}/fd') if name == 'fd' else"
        " open(f'/proc/{os.getppid()}/{name}').read(1))\n"
        "    except OSError as error: print(error.errno)\n"
    )
    assert set(forks.text(code).split()) == {"13"}


def test_time_and_memory_of_a_fork_are_limited(forks: Forks) -> None:
    outcome = forks.run("time.sleep(100)", timeout_s=0.3, grace_s=0.1)
    assert isinstance(outcome, TimedOut)
    assert outcome.effects.duration_s < 20
    code = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); print('on', flush=True)\n"
    code += "time.sleep(9)"
    outcome = forks.run(code, timeout_s=1.0, grace_s=15.0)
    assert isinstance(outcome, TimedOut)
    assert text(outcome) == "on\n"
    limits = Limits(memory_bytes_max=100 << 20)
    outcome = forks.run("x = b'x' * (300 << 20); time.sleep(9)", limits=limits)
    assert isinstance(outcome, LimitExceeded)
    assert forks.text("print('well')") == "well\n"


def test_a_template_is_none_of_the_processes_of_its_forks(forks: Forks) -> None:
    code = (
        "count = 1\n"
        "try:\n"
        "    while os.fork(): count += 1\n"
        "    time.sleep(60)\n"
        "except BlockingIOError: print(count)\n"
    )
    limits = Limits(processes_max=8)
    assert forks.text(code, limits=limits) == "8\n"
    assert forks.text(code, limits=limits, template_arguments=0) == "8\n"


def test_a_network_that_was_used_is_replaced(forks: Forks) -> None:
    code = (
        "import socket; s = socket.create_server(('127.0.0.1', 5000));"
        "c = socket.create_connection(('127.0.0.1', 5000)); print('on')"
    )
    for _ in range(2):
        assert forks.text(code, network=Network.LOOPBACK) == "on\n"


def test_a_template_that_does_not_start_is_done_without(forks: Forks) -> None:
    for _ in range(2):
        assert forks.text("print('ran')", source=BROKEN) == "ran\n"


def test_a_program_that_is_not_there_is_told_as_ever(forks: Forks) -> None:
    outcome = forks.sandbox.run("/none", "a", "b", template_arguments=1)
    assert isinstance(outcome, ExecutionError)
    assert outcome.message == "program `/none` is not in the container"
