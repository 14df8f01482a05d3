"""What a slot adds to a bare process: the same static program, in turn, in one run.

A bare process and `bwrap` write to /dev/null; the slots' jobs go through two pipes, the event loop
and an outcome, as they do in a worker.
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from maelstrom.model.outcome import Exited
from maelstrom.model.spec import JobSpec
from maelstrom.sandbox.pool import SlotPool, service_user

ROUNDS = 15
JOBS = 30
SETTLE_S = 0.1
NULL = ((os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0))  # fmt: skip

Way = Callable[[int], Awaitable[None]]


def run() -> list[dict[str, Any]]:
    """Measure, and return the rows."""
    with tempfile.TemporaryDirectory(prefix="maelstrom-bench-") as directory:
        layers = Path(directory, "layers")
        for name in ("dev", "proc", "tmp"):
            (layers / "base" / name).mkdir(parents=True)
        Path(directory).chmod(0o755)
        program = layers / "base/true"
        source = Path(directory, "true.c")
        source.write_text("int main(void) { return 0; }\n")
        subprocess.run(["gcc", "-O1", "-static", "-o", program, source], check=True)
        medians = asyncio.run(_measure(layers, program))
    bare = medians.pop("bare posix_spawn and wait")
    rows = [_row("bare posix_spawn and wait", bare, None, "", "")]
    fresh = medians["slot, fresh root"]
    for what, seconds in medians.items():
        target = "<= 2.5" if what == "slot, fresh root" else ""
        rows.append(_row(what, seconds, seconds / bare, "a bare process", target))
    if "bwrap" in medians:
        ratio = medians["bwrap"] / fresh
        rows.append(_row("bwrap against a fresh root", medians["bwrap"], ratio, "a slot", ">= 3"))
    return rows


def _row(what: str, seconds: float, ratio: float | None, peer: str, target: str) -> dict[str, Any]:
    row = {"what": what, "unit": "ms", "median": seconds * 1000, "peer": peer, "ratio": ratio}
    return {**row, "target": target} if target else row


async def _measure(layers: Path, program: Path) -> dict[str, float]:
    pool = SlotPool(slots=1, layers_root=str(layers), service_user=service_user())
    await pool.start()

    async def in_slot(spec: JobSpec) -> None:
        outcome = await pool.run(spec, ("base",), "job")
        assert isinstance(outcome, Exited), outcome

    async def fresh(number: int) -> None:
        # Two kinds of root in turn, so that neither is there when it is wanted.
        await in_slot(JobSpec(program="/true", working_directory=f"/work{number % 2}"))

    async def reused(_number: int) -> None:
        await in_slot(JobSpec(program="/true"))

    async def bare(_number: int) -> None:
        _spawn_and_wait([str(program)])

    ways: dict[str, Way] = {
        "bare posix_spawn and wait": bare,
        "slot, fresh root": fresh,
        "slot, root kept from the last job": reused,
    }
    bwrap = shutil.which("bwrap")
    if bwrap is not None:
        ways["bwrap"] = _bwrap(bwrap, program.parent)
    try:
        return await _rounds(ways)
    finally:
        await pool.close()


def _spawn_and_wait(command: list[str]) -> None:
    pid = os.posix_spawn(command[0], command, {}, file_actions=NULL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _bwrap(path: str, root: Path) -> Way:
    """Run it with the same namespaces and mounts."""
    command = [
        path,
        *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
        *("--unshare-cgroup", "--die-with-parent", "--new-session", "--hostname", "maelstrom"),
        *("--bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
        "/true",
    ]

    async def run_bwrap(_number: int) -> None:
        _spawn_and_wait(command)

    return run_bwrap


async def _rounds(ways: dict[str, Way]) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(ROUNDS + 1):
        for name, way in ways.items():
            # The kernel still cleans up after the last way, most of all after network namespaces.
            await asyncio.sleep(SETTLE_S)
            began = time.perf_counter()
            for number in range(JOBS):
                await way(number)
            # The first round warms caches.
            if round_number:
                taken[name].append((time.perf_counter() - began) / JOBS)
    return {name: statistics.median(times) for name, times in taken.items()}
