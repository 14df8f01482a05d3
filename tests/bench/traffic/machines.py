"""A real cluster on this machine against stand-alone: as many slots, the same jobs, in turn."""

import contextlib
import queue
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from maelstrom.client.engine import Submission
from maelstrom.client.session import Session
from maelstrom.model.outcome import Exited, Outcome
from maelstrom.model.spec import JobSpec
from tests.bench.traffic.programs import Program
from tests.support.cluster import layer, static_program
from tests.support.secured import Trust

WORKERS = 2
JOBS = 5_000
ROUNDS = 3
SINGLE_JOBS = 100
PACE_S = 0.01
LATENCY_BOUND_S = 3e-3
CLIENT_BOUND_S = 150e-6


class Ways:
    """Sessions with a cluster and one without; `close` ends all."""

    def __init__(self, directory: Path) -> None:
        self._stack = contextlib.ExitStack()
        trust = Trust(directory / "trust")
        self.broker = Program(
            "maelstrom.cli.broker",
            *("--listen", "127.0.0.1:0", "--identity", str(trust.issue("broker/main"))),
            *("--store", str(directory / "broker-store"), "--journal", str(directory / "journal")),
            *("--log-level", "error"),
        )
        self._stack.callback(self.broker.close)
        address = self.broker.first_line.split()[-1]
        self.workers = []
        for number in range(WORKERS):
            worker = Program(
                "maelstrom.cli.worker",
                *("--broker", address, "--slots", "1", "--log-level", "error"),
                *("--identity", str(trust.issue(f"worker/w{number}"))),
                *("--store", str(directory / f"worker-store-{number}")),
                is_silent=True,
            )
            self.workers.append(worker)
            self._stack.callback(worker.close)
        self.ann, self.bob = (
            self._begin(Session(
                broker=address, identity=trust.issue(f"client/{who}"), store_root=directory
            ))
            for who in ("ann", "bob")
        )  # fmt: skip
        self.alone = self._begin(
            Session(broker=None, slots=WORKERS, store_root=directory / "alone-store")
        )
        manifest, sources = layer(
            {"bin/true": static_program(directory, "int main(void) { return 0; }")}
        )
        self.spec = JobSpec(program="/bin/true", layers=(manifest,))
        for session in (self.ann, self.bob, self.alone):
            session.offer(sources)
            play(session, self.spec, WORKERS * 20)

    def _begin(self, session: Session) -> Session:
        session.start()
        self._stack.callback(session.close)
        return session

    def close(self) -> None:
        """End it."""
        self._stack.close()


def play(session: Session, spec: JobSpec, count: int) -> float:
    """Have so many run, all submitted at once; return how long it took."""
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    begin = time.perf_counter()
    for number in range(count):
        one = msgspec.structs.replace(spec, arguments=(str(number),))
        session.submit(Submission(one, on_outcome=outcomes.put))
    for _ in range(count):
        outcome = outcomes.get(timeout=60)
        assert isinstance(outcome, Exited), outcome
    return time.perf_counter() - begin


def rows(directory: Path) -> Iterator[dict[str, Any]]:
    """Measure in turn; yield the rows."""
    ways = Ways(directory)
    try:
        yield _latency(ways)
        yield from _throughput(ways)
        yield _fairness(ways)
    finally:
        ways.close()


def _latency(ways: Ways) -> dict[str, Any]:
    taken: dict[Session, list[float]] = {ways.alone: [], ways.ann: []}
    for _ in range(SINGLE_JOBS):
        for session, times in taken.items():
            time.sleep(PACE_S)
            times.append(play(session, ways.spec, 1))
    beyond_s = statistics.median(taken[ways.ann]) - statistics.median(taken[ways.alone])
    return {"what": "one job on an idle cluster, beyond stand-alone", "unit": "ms",
            "median": beyond_s * 1e3, "ratio": beyond_s / LATENCY_BOUND_S, "peer": "3 ms",
            "target": "<= 1"}  # fmt: skip


def _throughput(ways: Ways) -> Iterator[dict[str, Any]]:
    measured = {"client": [], "broker": [], "worker": []}
    ratios, rates = [], []
    for _ in range(ROUNDS):
        alone_s = play(ways.alone, ways.spec, JOBS)
        before = _spent(ways)
        cluster_s = play(ways.ann, ways.spec, JOBS)
        for who, cpu_s in _spent(ways).items():
            measured[who].append((cpu_s - before[who]) / JOBS)
        ratios.append(alone_s / cluster_s)
        rates.append(JOBS / cluster_s)
    yield {"what": f"{WORKERS} workers with a slot each, {JOBS} jobs", "unit": "jobs/s",
           "median": statistics.median(rates), "ratio": statistics.median(ratios),
           "peer": f"stand-alone, {WORKERS} slots", "target": ">= 0.85"}  # fmt: skip
    for who, times in measured.items():
        cpu_s = statistics.median(times)
        row = {"what": f"CPU of the {who} per job in it", "unit": "us", "median": cpu_s * 1e6}
        if who == "client":
            row |= {"ratio": cpu_s / CLIENT_BOUND_S, "peer": "150 us", "target": "<= 1"}
        yield row


def _spent(ways: Ways) -> dict[str, float]:
    return {
        "client": time.process_time(),
        "broker": ways.broker.cpu_s(),
        "worker": sum(worker.cpu_s() for worker in ways.workers),
    }


def _fairness(ways: Ways) -> dict[str, Any]:
    ends: list[float] = []
    begin = time.perf_counter()

    def have_run(session: Session) -> None:
        play(session, ways.spec, JOBS // 2)
        ends.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=have_run, args=(each,)) for each in (ways.ann, ways.bob)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"what": "two clients with equal work: the later end", "unit": "s",
            "median": max(ends), "ratio": max(ends) / min(ends), "peer": "the earlier",
            "target": "<= 1.1"}  # fmt: skip
