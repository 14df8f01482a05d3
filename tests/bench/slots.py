"""A slot beyond the usual: many layers, large ones, one job a slot, a thousand jobs."""

import asyncio
import os
import statistics
import time
from pathlib import Path
from typing import Any

from maelstrom.model.spec import JobSpec
from maelstrom.sandbox.pool import SlotPool, service_user
from tests.bench._peers import Way, peers
from tests.bench.sandbox import BASE_LAYERS, jobs_of, made_layers, rounds, row

LAYERS = 60
FILES = 20_000
JOBS = 60
PACE_S = 0.02
PACED_JOBS = 60
# Until then a slot still makes pages its own that it shared with the zygote.
WARM_JOBS = 500
LASTING_JOBS = 1000
WRITE = JobSpec(program="/write")


def run() -> list[dict[str, Any]]:
    """Measure, and return the rows."""
    with made_layers() as layers:
        _make_more(layers)
        return asyncio.run(_rows(layers))


def _make_more(layers: Path) -> None:
    for number in range(LAYERS):
        (layers / f"small{number}" / f"d{number}").mkdir(parents=True)
    for number in range(FILES):
        directory = layers / "large" / "lib" / str(number // 100)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"module{number}.py").touch()


async def _rows(layers: Path) -> list[dict[str, Any]]:
    pool = SlotPool(slots=1, layers_root=str(layers), service_user=service_user())
    await pool.start()
    try:
        return [
            *await _layer_rows(pool),
            *await _paced_rows(pool, layers / "layer0"),
            *await _size_rows(pool),
        ]
    finally:
        await pool.close()


async def _layer_rows(pool: SlotPool) -> list[dict[str, Any]]:
    many = tuple(f"small{number}" for number in range(LAYERS - 1))
    ways = {
        "one": jobs_of(pool, WRITE, layers=("layer0",)),
        "many": jobs_of(pool, WRITE, layers=("layer0", *many)),
        "large": jobs_of(pool, WRITE, layers=("layer0", "large")),
    }
    taken = await rounds(ways, 1, JOBS)
    return [
        row(
            f"a job that writes, over {what}", taken[name], taken[name] / taken["one"],
            "the same over one layer", target,
        )
        for name, what, target in (
            ("many", f"{LAYERS} layers", "<= 1.4"),
            ("large", f"a layer of {FILES} files", "<= 1.1"),
        )
    ]  # fmt: skip


async def _paced_rows(pool: SlotPool, root: Path) -> list[dict[str, Any]]:
    ways = {
        "slot": jobs_of(pool, JobSpec(program="/true", has_powers=True, user=0, group=0)),
        **peers(root),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(PACED_JOBS):
        for name, way in ways.items():
            taken[name].append(await _after_a_pause(way))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    ratio = medians["slot"] / medians["bwrap"] if "bwrap" in medians else None
    target = "< 1" if ratio else ""
    return [row("a slot for one job, ready, paced", medians["slot"], ratio, "bwrap", target)]


async def _after_a_pause(way: Way) -> float:
    await asyncio.sleep(PACE_S)
    began = time.perf_counter()
    await way(1, 1)
    return time.perf_counter() - began


async def _size_rows(pool: SlotPool) -> list[dict[str, Any]]:
    lasting = jobs_of(pool, WRITE, layers=BASE_LAYERS)
    await lasting(WARM_JOBS, 1)
    before = _unshared_bytes()
    await lasting(LASTING_JOBS, 1)
    after = _unshared_bytes()
    return [
        _size_row("unshared memory of a slot", after, after / (12 << 20), "12 MiB", "<= 1"),
        _size_row(
            f"the same after {LASTING_JOBS} jobs", after, after / before, "before", "<= 1.05"
        ),
    ]


def _size_row(what: str, size: int, ratio: float, peer: str, target: str) -> dict[str, Any]:
    found = row(what, 0.0, ratio, peer, target)
    return {**found, "unit": "MiB", "median": size / (1 << 20)}


def _unshared_bytes() -> int:
    """Sum what the largest slot of this process has for itself."""
    return max(
        _unshared(pid)
        for pid in map(int, filter(str.isdecimal, os.listdir("/proc")))
        if _name(pid) == "maelstrom-slot" and os.stat(f"/proc/{pid}").st_uid == os.getuid()
    )


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _unshared(pid: int) -> int:
    # More than it may look at is not to be had of a slot; what is still shared with the zygote is
    # counted too.
    try:
        resident, shared = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
    except OSError:
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
