"""A worker that is asked to end: real processes, real slots, real signals, and a real Ctrl-C."""

import os
import pty
import queue
import signal
import subprocess
import sys
from pathlib import Path

from maelstrom.client.engine import Submission
from maelstrom.client.session import Session
from maelstrom.model.outcome import Exited, Outcome, effects_of
from maelstrom.model.spec import JobSpec
from tests.support.cluster import ROOT, Crew, layer

ON_TERMINAL = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("maelstrom.cli.worker", run_name="__main__")
"""
WAIT_S = 120


class Run:
    """Jobs, each told with its number; where they run is told, too."""

    def __init__(self, address: str, program: Path, store: Path) -> None:
        self.session = Session(broker=address, store_root=store)
        self.session.start()
        self._layer, sources = layer({"bin/wait": program})
        self.session.offer(sources)
        self.outcomes: queue.Queue[tuple[int, Outcome]] = queue.Queue()
        self.begun: queue.Queue[int] = queue.Queue()

    def submit(self, number: int, wait_ms: int) -> None:
        spec = JobSpec(program="/bin/wait", arguments=(str(wait_ms),), layers=(self._layer,))
        self.session.submit(
            Submission(
                spec,
                on_outcome=lambda outcome: self.outcomes.put((number, outcome)),
                on_status=lambda worker: self.begun.put(number) if worker else None,
            )
        )


def test_a_worker_ends_what_runs_and_gives_back_the_rest(
    crew: Crew, program: Path, tmp_path: Path
) -> None:
    run = Run(crew.start("tcp"), program, tmp_path / "client")
    [first] = crew.workers
    run.submit(0, 1500)
    assert run.begun.get(timeout=WAIT_S) == 0
    # These two are ahead of its only slot.
    run.submit(1, 10)
    run.submit(2, 10)
    first.terminate()
    assert first.wait(WAIT_S) == 0
    number, outcome = run.outcomes.get(timeout=WAIT_S)
    assert (number, type(outcome)) == (0, Exited)
    assert effects_of(outcome).duration_s >= 1.4, "it ran to its end"
    assert run.outcomes.empty(), "nothing was begun after the signal"
    crew.add_worker()
    assert sorted(run.outcomes.get(timeout=WAIT_S)[0] for _ in range(2)) == [1, 2]
    run.session.close(timeout_s=5)


def test_ctrl_c_in_a_terminal_lets_what_runs_end(crew: Crew, program: Path, tmp_path: Path) -> None:
    run = Run(crew.start("tcp", workers=0), program, tmp_path / "client")
    terminal, theirs = pty.openpty()
    words = ["--broker", crew.address, "--slots", "1", "--store", str(tmp_path / "worker")]
    worker = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, *words],
        cwd=ROOT,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    os.close(theirs)
    run.submit(0, 1200)
    assert run.begun.get(timeout=WAIT_S) == 0
    os.write(terminal, b"\x03")
    number, outcome = run.outcomes.get(timeout=WAIT_S)
    assert (number, type(outcome)) == (0, Exited)
    _, told = worker.communicate(timeout=WAIT_S)
    assert worker.returncode == 0
    assert "draining running=1" in told
    os.close(terminal)
    run.session.close(timeout_s=5)


def test_a_second_signal_ends_a_worker_at_once(crew: Crew, program: Path, tmp_path: Path) -> None:
    run = Run(crew.start("tcp"), program, tmp_path / "client")
    [worker] = crew.workers
    run.submit(0, 60_000)
    assert run.begun.get(timeout=WAIT_S) == 0
    worker.terminate()
    assert worker.stderr is not None
    while "draining" not in worker.stderr.readline():
        assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(WAIT_S) == 0
    run.session.close(timeout_s=5)
