"""Jobs through real brokers, workers and slots: stand-alone, over Unix and loopback sockets."""

import os
import queue
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from maelstrom.client.engine import Submission
from maelstrom.client.session import Session
from maelstrom.errors import InfrastructureError, SandboxUnavailable
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import File, Manifest
from maelstrom.model.outcome import (
    Cancelled,
    ExecutionError,
    Exited,
    InfrastructureFault,
    Outcome,
    TimedOut,
)
from maelstrom.model.spec import JobSpec, RootFileSystem
from tests.support.cluster import WAIT_S, Crew, layer, static_program

ROOT = Path(__file__).parents[2]
MUST_SANDBOX = "MAELSTROM_MUST_SANDBOX"
PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    if (argc > 1) printf("said %s\\n", argv[1]), fflush(stdout);
    if (argc > 2) sleep(atoi(argv[2]));
    if (argc > 3) {
        FILE *file = fopen("/made", "w");
        for (int left = atoi(argv[3]); left > 0; left--) putchar('x'), putc('y', file);
        fclose(file);
    }
    return argc > 1 ? atoi(argv[1]) : 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("program")
    program = static_program(directory, PROGRAM)
    session = Session(broker=None, slots=1, store_root=directory / "store")
    session.start()
    run = Run(session, program)
    run.submit()
    run.outcome()
    session.close(timeout_s=5)
    if isinstance(session.failure, SandboxUnavailable) and not os.environ.get(MUST_SANDBOX):
        pytest.skip(str(session.failure))
    assert session.failure is None
    return program


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path)
    yield crew
    crew.close()


class Run:
    """A session with what it said."""

    def __init__(self, session: Session, program: Path) -> None:
        self.session = session
        self.outcomes: queue.Queue[tuple[int, Outcome]] = queue.Queue()
        self.statuses: queue.Queue[str] = queue.Queue()
        manifest, sources = layer({"bin/say": program})
        session.offer(sources)
        self.spec = JobSpec(program="/bin/say", layers=(manifest,))

    def submit(self, *arguments: str, **changes: object) -> int:
        spec = msgspec.structs.replace(self.spec, arguments=arguments, **changes)
        box: list[int] = []

        def told(outcome: Outcome) -> None:
            self.outcomes.put((box[0] if box else 0, outcome))

        box.append(
            self.session.submit(Submission(spec, on_outcome=told, on_status=self.statuses.put))
        )
        return box[0]

    def outcome(self, timeout_s: float = WAIT_S) -> Outcome:
        return self.outcomes.get(timeout=timeout_s)[1]


def gone(pids: list[int], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not any(is_alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def family(pid: int) -> list[int]:
    """Return all descendants of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *family(child)]
    return found


@pytest.mark.parametrize("way", ["alone", "unix", "tcp"])
def test_a_job_comes_back_whatever_the_way(
    way: str, crew: Crew, program: Path, tmp_path: Path
) -> None:
    broker = None if way == "alone" else crew.start(way)
    session = Session(broker=broker, slots=2, store_root=tmp_path / "store")
    session.start()
    run = Run(session, program)
    run.submit("7")
    outcome = run.outcome()
    assert isinstance(outcome, Exited), outcome
    assert (outcome.status, outcome.effects.stdout.text()) == (7, "said 7\n")
    assert outcome.effects.worker
    assert run.statuses.get(timeout=1) == ""
    assert run.statuses.get(timeout=1) == outcome.effects.worker
    for number in range(100):
        run.submit(str(number))
    statuses = [run.outcome() for _ in range(100)]
    assert sorted(o.status for o in statuses if isinstance(o, Exited)) == list(range(100))
    session.close(timeout_s=5)
    session.close(timeout_s=5)
    assert session.failure is None
    run.submit("1")
    assert run.outcome() == InfrastructureFault("the session is closed")


@pytest.mark.parametrize("way", ["alone", "unix", "tcp"])
def test_large_outputs_come_back_whatever_the_way(
    way: str, crew: Crew, program: Path, tmp_path: Path
) -> None:
    broker = None if way == "alone" else crew.start(way)
    session = Session(broker=broker, slots=1, store_root=tmp_path / "store")
    session.start()
    run = Run(session, program)
    size = 900_000
    run.submit("0", "0", str(size), root=RootFileSystem.WRITABLE, outputs=("/made",))
    outcome = run.outcome()
    assert isinstance(outcome, Exited), outcome
    assert outcome.effects.stdout.content == b"said 0\n" + b"x" * size
    [made] = outcome.effects.files
    assert made.blob == Digest.of(b"y" * size)
    assert session.output(made.blob).read_bytes() == b"y" * size
    session.close(timeout_s=5)
    assert session.failure is None


def test_trouble_of_a_job_is_its_own(crew: Crew, program: Path, tmp_path: Path) -> None:
    session = Session(broker=None, slots=2, store_root=tmp_path / "store")
    session.start()
    run = Run(session, program)
    lost = Manifest([("x", File(Digest.of(b"never offered")))])
    session.offer({lost.digest: lost.encoded})
    run.submit(layers=(lost.digest,))
    fault = run.outcome()
    assert isinstance(fault, InfrastructureFault)
    assert "was never offered" in fault.message
    changed = tmp_path / "changed"
    changed.write_bytes(b"now")
    wrong = Manifest([("x", File(Digest.of(b"was")))])
    session.offer({wrong.digest: wrong.encoded, Digest.of(b"was"): str(changed)})
    run.submit(layers=(wrong.digest,))
    fault = run.outcome()
    assert isinstance(fault, InfrastructureFault)
    assert "was offered as" in fault.message
    broken = b"no manifest"
    session.offer({Digest.of(broken): broken})
    run.submit(layers=(Digest.of(broken),))
    assert isinstance(run.outcome(), ExecutionError)
    run.submit(resources=(("slots", 64),))
    error = run.outcome()
    assert error == ExecutionError(
        "no worker accepts a job that needs 64 slots", "the largest worker has 2 slots"
    )
    run.submit("\udcff")
    assert run.outcome() == ExecutionError("'\\udcff' in a job's spec is not UTF-8")
    run.submit(stdin=bytes(65 << 20))
    assert "the limit is" in str(run.outcome())
    run.submit("0", "600", timeout_s=0.2, grace_s=0.1)
    assert isinstance(run.outcome(), TimedOut)
    run.submit("0")
    assert isinstance(run.outcome(), Exited)
    session.close(timeout_s=5)
    assert session.failure is None


def test_jobs_are_taken_back(crew: Crew, program: Path, tmp_path: Path) -> None:
    session = Session(broker=None, slots=1, store_root=tmp_path / "store")
    session.start()
    run = Run(session, program)
    for _ in range(20):
        run.submit("0", "600")
    while run.statuses.get(timeout=WAIT_S) == "":
        pass
    session.cancel_all(running=False)
    assert [run.outcome() for _ in range(19)] == [Cancelled()] * 19
    session.cancel_all(running=True)
    assert run.outcome() == Cancelled()
    run.submit("3")
    outcome = run.outcome()
    assert isinstance(outcome, Exited), "the slot is free again"
    session.close(timeout_s=5)


@pytest.mark.parametrize("who", ["worker", "broker"])
def test_a_killed_daemon_ends_the_run_with_its_name(
    who: str, crew: Crew, program: Path, tmp_path: Path
) -> None:
    session = Session(broker=None, slots=1, store_root=tmp_path / "store")
    session.start()
    run = Run(session, program)
    run.submit("0", "600")
    run.submit("0", "600")
    while run.statuses.get(timeout=WAIT_S) == "":
        pass
    pids = [child.process.pid for child in session._children]
    pids += [pid for child in list(pids) for pid in family(child)]
    victim = next(child for child in session._children if child.name == who)
    victim.process.send_signal(signal.SIGKILL)
    fault = InfrastructureFault(f"the {who} was killed by SIGKILL")
    assert [run.outcome(), run.outcome()] == [fault, fault]
    assert isinstance(session.failure, InfrastructureError)
    session.close(timeout_s=5)
    assert gone(pids, within_s=WAIT_S)


CLIENT = """
import sys, time
from pathlib import Path
from maelstrom.client.engine import Submission
from maelstrom.client.session import Session
from maelstrom.model.spec import JobSpec, RootFileSystem
from tests.support.cluster import layer
session = Session(broker=None, slots=2, store_root=Path(sys.argv[2]))
session.start()
manifest, sources = layer({"bin/say": Path(sys.argv[1])})
session.offer(sources)
spec = JobSpec(program="/bin/say", layers=(manifest,), arguments=("0", "600"))
told = {"on_outcome": print, "on_status": lambda worker: print(worker, flush=True)}
session.submit(Submission(spec, **told))
time.sleep(60)
"""


def test_when_a_client_is_killed_all_it_started_is_gone(program: Path, tmp_path: Path) -> None:
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, program, tmp_path / "store"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert client.stdout is not None
    with client, client.stdout:
        while client.stdout.readline().strip() == "":
            assert client.poll() is None
        pids = family(client.pid)
        assert len(pids) >= 5, "broker, worker, zygote, slot, job"
        client.kill()
        assert gone(pids, within_s=WAIT_S)


def test_a_killed_slot_is_replaced_and_its_job_run_again(
    crew: Crew, program: Path, tmp_path: Path
) -> None:
    session = Session(broker=None, slots=1, store_root=tmp_path / "store")
    session.start()
    run = Run(session, program)
    run.submit("5", "1")
    while run.statuses.get(timeout=WAIT_S) == "":
        pass
    time.sleep(0.2)
    worker = next(child for child in session._children if child.name == "worker")
    zygote = family(worker.process.pid)[0]
    slot = int(Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()[0])
    os.kill(slot, signal.SIGKILL)
    outcome = run.outcome()
    assert isinstance(outcome, Exited), outcome
    assert outcome.status == 5
    session.close(timeout_s=5)


def test_a_lost_worker_is_replaced_by_another(crew: Crew, program: Path, tmp_path: Path) -> None:
    broker = crew.start("unix")
    session = Session(broker=broker, store_root=tmp_path / "unused")
    session.start()
    run = Run(session, program)
    for _ in range(3):
        run.submit("0", "1")
    while run.statuses.get(timeout=WAIT_S) == "":
        pass
    crew.workers[0].kill()
    crew.add_worker()
    assert all(isinstance(run.outcome(), Exited) for _ in range(3))
    session.close(timeout_s=5)


def test_a_broker_whose_client_leaves_without_a_word_ends(tmp_path: Path) -> None:
    pairs = [socket.socketpair() for _ in range(3)]
    theirs = [pair[1].fileno() for pair in pairs]
    command = [sys.executable, "-m", "maelstrom.cli.broker", "--connection-fd"]
    arguments = [",".join(map(str, theirs)), str(tmp_path / "store"), str(1 << 30)]
    broker = subprocess.Popen([*command, *arguments], cwd=ROOT, pass_fds=theirs)
    for pair in pairs:
        pair[1].close()
    for pair in pairs[:2]:  # The client's; the worker stays.
        pair[0].close()
    try:
        assert broker.wait(timeout=WAIT_S) == 0
    finally:
        broker.kill()
        broker.wait()
        pairs[2][0].close()


def test_a_broker_that_does_not_come_fails_every_job(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maelstrom.client.session.REACH_S_MAX", 0.1)
    session = Session(broker=f"unix:{tmp_path}/none", store_root=tmp_path / "unused")
    session.start()
    run = Run(session, program)
    run.submit("0")
    outcome = run.outcome()
    assert isinstance(outcome, InfrastructureFault)
    assert "cannot reach the broker" in outcome.message
    assert "maelstrom-broker" in outcome.hint
    session.close(timeout_s=5)
    assert session.failure is not None
    assert session.failure.exit_status == 3


def test_a_host_that_forbids_containers_is_told_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "python"
    fake.write_text(
        "#!/bin/sh\n"
        "case $4 in *worker) ;; *) exec sleep 600 ;; esac\n"
        "echo 'maelstrom-worker: no user namespaces\nhint: set a switch' >&2\n"
        "exit 4\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    session = Session(broker=None, slots=1, store_root=tmp_path / "store")
    session.start()
    told: queue.Queue[Outcome] = queue.Queue()
    session.submit(Submission(JobSpec(program="true"), on_outcome=told.put))
    assert told.get(timeout=WAIT_S) == InfrastructureFault("no user namespaces", "set a switch")
    assert isinstance(session.failure, SandboxUnavailable)
    assert session.failure.exit_status == 4
    session.close(timeout_s=0.1)


def test_an_outcome_that_cannot_be_taken_keeps_nobody_waiting(
    program: Path, tmp_path: Path
) -> None:
    session = Session(broker=None, slots=1, store_root=tmp_path / "store")
    session.start()
    run = Run(session, program)
    session.submit(Submission(run.spec, on_outcome=lambda _: {}["no such thing"]))
    run.submit("0")
    assert isinstance(run.outcome(), Exited)
    session.close(timeout_s=5)
    assert session.failure is not None
    assert "could not be taken" in session.failure.message
