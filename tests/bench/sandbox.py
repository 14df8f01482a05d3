"""What a slot adds to a bare process: the same static program, in turn, in one run.

A bare process, `bwrap` and `crun` have their output go to /dev/null; the slots' jobs go through two
pipes, the event loop and an outcome, as they do in a worker. Three kinds of job: one that writes
nothing, so that its root is used again; one that makes a file in its root, so that each gets a
fresh one; and one whose root nobody could foresee. A bare process that makes a file does so in
memory, as the slots' do.
"""

import asyncio
import contextlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from maelstrom.model.outcome import Exited
from maelstrom.model.spec import JobSpec
from maelstrom.sandbox.pool import SlotPool, service_user
from tests.bench._peers import NUMBER, Way, crun, peers, processes

ROUNDS = 15
JOBS = 100
LAYERS = 5
SETTLE_S = 0.1
MEMORY = "/dev/shm"
PROGRAMS = {
    "true": "int main(void) { return 0; }",
    "write": "#include <fcntl.h>\n"
    "int main(int count, char **words)"
    ' { return open(count > 1 ? words[1] : "/out", O_CREAT | O_WRONLY, 0644) < 0; }',
}
BARE, BARE_WRITING = "bare posix_spawn and wait", "the same, which makes a file"

# What was promised of jobs per second, with as many at once as there are cores.
AGAINST = (
    ("bwrap", "slot, fresh root", ">= 3.2"),
    ("bwrap", "slot, root kept", ">= 6.5"),
    ("crun", "slot, fresh root", ">= 6.5"),
)

BASE_LAYERS = tuple(f"layer{number}" for number in range(LAYERS))


def run() -> list[dict[str, Any]]:
    """Measure, and return the rows."""
    with made_layers() as layers, tempfile.TemporaryDirectory(dir=MEMORY) as written:
        alone, together = asyncio.run(_measure(layers, written))
    return [*_rows_alone(alone), *_rows_together(together)]


@contextlib.contextmanager
def made_layers() -> Iterator[Path]:
    """Make the layers for a while."""
    with tempfile.TemporaryDirectory(prefix="maelstrom-bench-") as directory:
        Path(directory).chmod(0o755)
        layers = Path(directory, "layers")
        for number in range(LAYERS):
            (layers / f"layer{number}" / f"directory{number}").mkdir(parents=True)
        for name in ("dev", "proc", "tmp"):
            (layers / "layer0" / name).mkdir()
        for name, text in PROGRAMS.items():
            source = Path(directory, f"{name}.c")
            source.write_text(text + "\n")
            subprocess.run(
                ["gcc", "-O1", "-static", "-o", layers / "layer0" / name, source], check=True
            )
        yield layers


def _rows_alone(medians: dict[str, float]) -> list[dict[str, Any]]:
    rows = [row(what, medians[what], None, "", "") for what in (BARE, BARE_WRITING)]
    targets = {"slot, fresh root": "<= 2.2", "slot, root kept": "<= 1.4"}
    for what, seconds in medians.items():
        if what not in (BARE, BARE_WRITING):
            peer = BARE_WRITING if what == "slot, fresh root" else BARE
            rows.append(row(what, seconds, seconds / medians[peer], peer, targets.get(what, "")))
    if "bwrap" in medians:
        ratio = medians["bwrap"] / medians["slot, fresh root"]
        rows.append(row("bwrap against a fresh root", medians["bwrap"], ratio, "a slot", ">= 3"))
    return rows


def _rows_together(medians: dict[str, float]) -> list[dict[str, Any]]:
    at_once = f"{os.cpu_count()} at once"
    rows = [row(f"{what}, {at_once}", seconds, None, "", "") for what, seconds in medians.items()]
    for peer, what, target in AGAINST:
        if peer in medians:
            ratio = medians[peer] / medians[what]
            words = f"{peer} against {what}, {at_once}"
            rows.append(row(words, medians[peer], ratio, "a slot", target))
    return rows


def row(what: str, seconds: float, ratio: float | None, peer: str, target: str) -> dict[str, Any]:
    """Return a row of the table."""
    row = {"what": what, "unit": "ms", "median": seconds * 1000, "peer": peer, "ratio": ratio}
    return {**row, "target": target} if target else row


async def _measure(layers: Path, written: str) -> tuple[dict[str, float], dict[str, float]]:
    cores = os.cpu_count() or 1
    pool = SlotPool(slots=cores, layers_root=str(layers), service_user=service_user())
    await pool.start()
    root = layers / "layer0"
    ways: dict[str, Way] = {
        BARE: processes([str(root / "true")]),
        BARE_WRITING: processes([str(root / "write"), f"{written}/{NUMBER}"]),
        "slot, root kept": jobs_of(pool, JobSpec(program="/true")),
        "slot, fresh root": jobs_of(pool, JobSpec(program="/write")),
        # Two kinds of root in turn, so that neither is there when it is wanted.
        "slot, fresh root, unforeseen": jobs_of(
            pool,
            JobSpec(program="/true", working_directory="/work0"),
            JobSpec(program="/true", working_directory="/work1"),
        ),
        **peers(root),
    }
    try:
        with crun(root) as other:
            ways |= other
            return await rounds(ways, 1), await rounds(ways, cores)
    finally:
        await pool.close()


def jobs_of(pool: SlotPool, *specs: JobSpec, layers: Sequence[str] = BASE_LAYERS) -> Way:
    """Run such jobs, each kind in its turn."""

    async def lane(lane_number: int, jobs: int) -> None:
        for number in range(jobs):
            spec = specs[number % len(specs)]
            outcome = await pool.run(spec, layers, f"job {lane_number}")
            assert isinstance(outcome, Exited), outcome
            assert outcome.status == 0

    async def way(jobs: int, at_once: int) -> None:
        await asyncio.gather(*(lane(number, jobs // at_once) for number in range(at_once)))

    return way


async def rounds(ways: dict[str, Way], at_once: int, jobs: int = JOBS) -> dict[str, float]:
    """Go each way once a round; returns the medians of the time for one job."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    jobs *= at_once
    for round_number in range(ROUNDS + 1):
        for name, way in ways.items():
            # The kernel still cleans up after the last way, most of all after network namespaces.
            await asyncio.sleep(SETTLE_S)
            began = time.perf_counter()
            await way(jobs, at_once)
            # The first round warms caches.
            if round_number:
                taken[name].append((time.perf_counter() - began) / jobs)
    return {name: statistics.median(times) for name, times in taken.items()}
