"""Trivial jobs through a stand-alone session, against bare processes of the same program."""

import os
import queue
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from maelstrom.client.engine import Submission
from maelstrom.client.session import Session
from maelstrom.model.spec import JobSpec
from tests.support.cluster import layer, static_program

JOBS = 1000
ROUNDS = 3
PEER = "posix_spawn"


def run() -> list[dict[str, Any]]:
    """Measure, interleaved."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        program = static_program(directory, "int main(void) { return 0; }")
        manifest, sources = layer({"bin/true": program})
        session = Session(broker=None, store_root=directory / "store")
        spec = JobSpec(program="/bin/true", layers=(manifest,))
        begin = time.perf_counter()
        session.start()
        session.offer(sources)
        _jobs(session, spec, 1)
        first_s = time.perf_counter() - begin
        ours, bare, client_cpu = [], [], []
        for _ in range(ROUNDS):
            bare.append(_bare(program, JOBS))
            cpu = time.process_time()
            ours.append(_jobs(session, spec, JOBS))
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


def _jobs(session: Session, spec: JobSpec, count: int) -> float:
    """Return jobs per second; all are submitted at once."""
    outcomes: queue.SimpleQueue[object] = queue.SimpleQueue()
    begin = time.perf_counter()
    for number in range(count):
        one = msgspec.structs.replace(spec, arguments=(str(number),))
        session.submit(Submission(one, on_outcome=outcomes.put))
    for _ in range(count):
        outcomes.get(timeout=60)
    return count / (time.perf_counter() - begin)


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
