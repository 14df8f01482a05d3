"""Plain processes: outcomes, limits, and that nothing is left behind."""

import queue
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.client.engine import Submission
from maelstrom.client.plain import Capture, PlainEngine
from maelstrom.model.outcome import (
    Cancelled,
    ExecutionError,
    Exited,
    Outcome,
    Output,
    Signaled,
    TimedOut,
)
from maelstrom.model.spec import JobSpec, Limits


@pytest.fixture
def engine() -> Iterator[PlainEngine]:
    """Return an engine of two slots."""
    engine = PlainEngine(slots=2)
    yield engine
    engine.close()


def shell(text: str, *, timeout_s: float = 0.0, stdin: bytes = b"") -> JobSpec:
    return JobSpec(
        "/bin/sh",
        ("-c", text),
        environment=(("A", "b"), ("PATH", "/usr/bin:/bin")),
        timeout_s=timeout_s,
        grace_s=0.2,
        stdin=stdin,
        limits=Limits(output_bytes_max=1000),
    )


def run(engine: PlainEngine, spec: JobSpec) -> Outcome:
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    engine.submit(Submission(spec, on_outcome=outcomes.put))
    return outcomes.get(timeout=20)


def test_output_status_and_environment(engine: PlainEngine) -> None:
    outcome = run(engine, shell('echo "$A $PWD"; echo oops >&2; exit 3'))
    assert isinstance(outcome, Exited)
    assert outcome.status == 3
    assert outcome.effects.stdout.content == b"b /\n"
    assert outcome.effects.stderr.content == b"oops\n"
    assert outcome.effects.duration_s > 0
    assert outcome.effects.memory_peak_bytes > 0


def test_input_is_given(engine: PlainEngine) -> None:
    outcome = run(engine, shell("cat", stdin=b"hello"))
    assert isinstance(outcome, Exited)
    assert outcome.effects.stdout.content == b"hello"


def test_a_signal(engine: PlainEngine) -> None:
    outcome = run(engine, shell("kill -SEGV $$"))
    assert isinstance(outcome, Signaled)
    assert outcome.signal == 11


def test_a_timeout_ends_even_who_does_not_listen(engine: PlainEngine) -> None:
    outcome = run(engine, shell("trap '' TERM; echo start; sleep 30; sleep 30", timeout_s=0.2))
    assert isinstance(outcome, TimedOut)
    assert outcome.effects.stdout.content == b"start\n"


def test_children_that_are_left_are_killed(engine: PlainEngine, tmp_path: Path) -> None:
    outcome = run(engine, shell("sleep 27.182 & echo done"))
    assert isinstance(outcome, Exited)
    assert outcome.effects.stdout.content == b"done\n"
    left = subprocess.run(["pgrep", "-f", "sleep 27.182"], check=False, capture_output=True)
    assert left.returncode == 1


def test_output_without_end_is_cut_in_the_middle(engine: PlainEngine) -> None:
    outcome = run(engine, shell("head -c 300000 /dev/zero; echo end"))
    assert isinstance(outcome, Exited)
    stdout = outcome.effects.stdout
    assert (len(stdout.content), stdout.dropped_bytes) == (1000, 299004)
    assert stdout.tail.endswith(b"end\n")


@pytest.mark.parametrize("size_bytes_max", [0, 1, 2, 5, 100])
def test_a_capture_keeps_both_ends(size_bytes_max: int) -> None:
    content = bytes(range(40))
    for step in (1, 3, 40):
        capture = Capture(size_bytes_max)
        for start in range(0, len(content), step):
            capture.add(content[start : start + step])
        kept = capture.output()
        head = (size_bytes_max + 1) // 2
        if size_bytes_max >= len(content):
            assert kept.content == content
        else:
            tail = content[len(content) - size_bytes_max // 2 :]
            assert kept == Output(content[:head], tail, len(content) - size_bytes_max)


def test_what_cannot_start_says_why(engine: PlainEngine) -> None:
    assert run(engine, JobSpec("/nope")) == ExecutionError(
        "cannot start `/nope`: No such file or directory"
    )
    outcome = run(engine, JobSpec("/bin/true", working_directory="/nope"))
    assert isinstance(outcome, ExecutionError)
    assert "working directory" in outcome.message


def test_at_most_as_many_as_there_are_slots_and_the_urgent_first() -> None:
    engine = PlainEngine(slots=1)
    outcomes: queue.SimpleQueue[str] = queue.SimpleQueue()
    engine.submit(Submission(shell("sleep 0.3"), on_outcome=lambda _: outcomes.put("first")))
    time.sleep(0.1)
    order = [("short", 0, 0.1), ("long", 0, 9.0), ("not known", 0, 0.0), ("urgent", 1, 0.1)]
    for name, priority, estimate_s in order:
        engine.submit(
            Submission(
                shell("true"),
                priority=priority,
                estimate_s=estimate_s,
                on_outcome=lambda _, name=name: outcomes.put(name),  # type: ignore[misc]
            )
        )
    expected = ["first", "urgent", "not known", "long", "short"]
    assert [outcomes.get(timeout=9) for _ in range(5)] == expected
    engine.close()


@pytest.mark.parametrize("running", [True, False])
def test_cancelling_spares_what_runs_unless_told(running: bool) -> None:
    engine = PlainEngine(slots=1)
    outcomes: queue.SimpleQueue[tuple[str, Outcome]] = queue.SimpleQueue()
    engine.submit(Submission(shell("sleep 0.4"), on_outcome=lambda o: outcomes.put(("runs", o))))
    engine.submit(Submission(shell("sleep 60"), on_outcome=lambda o: outcomes.put(("waits", o))))
    time.sleep(0.15)
    engine.cancel_all(running=running)
    told = dict(outcomes.get(timeout=9) for _ in range(2))
    assert told["waits"] == Cancelled()
    assert isinstance(told["runs"], Cancelled if running else Exited)
    engine.close()
