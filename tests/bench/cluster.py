"""Trivial jobs: stand-alone against bare processes, a cluster against that, and a busy broker."""

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from maelstrom.client.session import Session
from maelstrom.model.spec import JobSpec
from tests.bench.traffic import machines, saturated
from tests.bench.traffic.machines import play
from tests.support.cluster import layer, static_program

JOBS = 1000
ROUNDS = 3
PEER = "posix_spawn"


def run() -> Iterator[dict[str, Any]]:
    """Measure; yield the rows."""
    for measure in (_rows, machines.rows, saturated.rows):
        with tempfile.TemporaryDirectory() as name:
            yield from measure(Path(name))


def _rows(directory: Path) -> list[dict[str, Any]]:
    program = static_program(directory, "int main(void) { return 0; }")
    manifest, sources = layer({"bin/true": program})
    session = Session(broker=None, store_root=directory / "store")
    spec = JobSpec(program="/bin/true", layers=(manifest,))
    begin = time.perf_counter()
    session.start()
    session.offer(sources)
    play(session, spec, 1)
    first_s = time.perf_counter() - begin
    ours, bare, client_cpu = [], [], []
    for _ in range(ROUNDS):
        bare.append(_bare(program, JOBS))
        cpu = time.process_time()
        ours.append(JOBS / play(session, spec, JOBS))
        client_cpu.append((time.process_time() - cpu) / JOBS)
    session.close()
    rate, peer = statistics.median(ours), statistics.median(bare)
    return [
        {"what": "trivial jobs, stand-alone", "unit": "jobs/s", "median": rate,
         "peer": PEER, "ratio": rate / peer},
        {"what": "the same processes, bare", "unit": "jobs/s", "median": peer,
         "peer": PEER, "ratio": 1.0},
        {"what": "CPU of the client per job", "unit": "us", "peer": "150 us", "target": "<= 1",
         "median": statistics.median(client_cpu) * 1e6,
         "ratio": statistics.median(client_cpu) / 150e-6},
        {"what": "start of the session to the first outcome", "unit": "s", "median": first_s,
         "peer": "0.35 s", "ratio": first_s / 0.35},
    ]  # fmt: skip


def _bare(program: Path, count: int) -> float:
    """Return processes per second, as many at a time as there are CPUs, like `xargs -P`."""
    left = iter(range(count))
    mutex = threading.Lock()

    def work() -> None:
        while True:
            with mutex:
                number = next(left, None)
            if number is None:
                return
            pid = os.posix_spawn(program, [str(program), str(number)], {})
            os.waitpid(pid, 0)

    begin = time.perf_counter()
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(work) for _ in range(workers)]:
            future.result()
    return count / (time.perf_counter() - begin)
