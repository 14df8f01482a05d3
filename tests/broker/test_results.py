"""What has passed need not run again, for anybody."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from maelstrom.broker import results
from maelstrom.broker.ledger import Ledger
from maelstrom.broker.misses import FIRST
from maelstrom.broker.results import Results
from maelstrom.model.outcome import (
    Effects,
    ExecutionError,
    Exited,
    Outcome,
    TimedOut,
    effects_of,
)
from maelstrom.model.spec import Bind, JobSpec, Network, Sys, Tmp
from maelstrom.worker.daemon import is_lasting
from tests.support.grid import Grid


def test_what_is_kept_is_found_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULT_BYTES_MAX", 10)
    ledger = Ledger()
    kept = Results(ledger, [(results.key_of(b"old"), b"o")])
    assert kept.find(b"old") == b"o"
    assert kept.find(b"new") == ""
    kept.keep(b"new", b"n")
    kept.keep(b"new", b"m")
    kept.keep(b"large", b"x" * 11)
    assert kept.find(b"new") == b"m"
    assert kept.find(b"large") == ""
    assert (kept.hits, kept.misses) == (2, 2)
    assert ledger.take().results == {results.key_of(b"new"): b"m"}


def test_what_was_used_longest_ago_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS_BYTES_MAX", 3 * 300)
    ledger = Ledger()
    kept = Results(ledger)
    for name in (b"a", b"b", b"c"):
        kept.keep(name, b"x" * 100)
    assert kept.find(b"a")
    kept.keep(b"d", b"x" * 100)
    assert [bool(kept.find(name)) for name in (b"a", b"b", b"c", b"d")] == [
        True,
        False,
        True,
        True,
    ]
    assert ledger.take().results[results.key_of(b"b")] is None


GOOD = Exited(0, Effects())
LASTING: dict[str, tuple[dict[str, object], Outcome, bool]] = {
    "a pass": ({}, GOOD, True),
    "a pass with what is its own": (
        {"network": Network.LOOPBACK, "mounts": (Tmp("/t"),)},
        GOOD,
        True,
    ),
    "a failure": ({}, Exited(1, Effects()), False),
    "no end": ({}, TimedOut(Effects()), False),
    "no begin": ({}, ExecutionError("no such program"), False),
    "the host's network": ({"network": Network.LOCAL}, GOOD, False),
    "a file of the host": ({"mounts": (Bind("/a", "/b"),)}, GOOD, False),
    "the host's devices": ({"mounts": (Sys(),)}, GOOD, False),
}


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts(name: str) -> None:
    changes, outcome, expected = LASTING[name]
    spec = JobSpec(program="p", **changes)  # type: ignore[arg-type]  # A table of fields.
    assert is_lasting(spec, outcome) is expected


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    grid = Grid(tmp_path)
    await grid.start_broker_process()
    yield grid
    await grid.close()


def _missed(grid: Grid) -> dict[str, str]:
    return {name: effects_of(outcome).missed for name, outcome in grid.outcomes.items()}


async def test_an_equal_job_of_another_client_is_answered_by_the_broker(grid: Grid) -> None:
    address = f"plain:127.0.0.1:{grid.port}"
    worker = grid.add_worker(address)
    ann, bob = grid.add_session(address), grid.add_session(address)
    grid.submit(ann, "kept", 0.0, may_be_cached=True)
    grid.submit(ann, "not kept", 0.0)
    await grid.done()
    assert not any(outcome.effects.is_cached for outcome in grid.outcomes.values())  # type: ignore[union-attr]  # All have exited.
    assert _missed(grid) == {"kept": FIRST, "not kept": ""}
    for name in ("kept", "not kept"):
        grid.submit(bob, name, 0.0, may_be_cached=True)
    await grid.done()
    assert grid.runs == {"kept": 1, "not kept": 2}
    assert _missed(grid) == {"kept": "", "not kept": FIRST}
    # They outlive the broker, and need no worker.
    worker.stop()
    await grid.welcomed(ann, bob)
    grid.end_broker_process(signal.SIGTERM)
    await grid.start_broker_process()
    grid.submit(bob, "kept", 0.0, may_be_cached=True)
    grid.submit(ann, "not kept", 0.0, may_be_cached=True)
    await grid.done()
    cached = [outcome.effects.is_cached for outcome in grid.outcomes.values()]  # type: ignore[union-attr]  # As above.
    assert cached == [True, True]
    assert grid.runs == {"kept": 1, "not kept": 2}
