"""What a job costs a broker that is busy: a real one, over TLS, with its journal.

Clients and workers are generators, so that the broker is what everybody waits for; and so many jobs
are under way that each is written to the journal. In turn with it, a broker of grpc.aio that only
passes the same messages on.
"""

import contextlib
import importlib.util
import queue
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from maelstrom.client.engine import Submission
from maelstrom.client.session import Session
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import Manifest
from maelstrom.model.outcome import Outcome
from maelstrom.model.spec import JobSpec
from tests.bench.traffic.programs import Program
from tests.support.secured import Trust

CLIENTS = 2
WORKERS = 8
JOBS = 10_000
WINDOW = 5_000
WARM_JOBS = 2_000
ROUNDS = 5
BOUND_S = 60e-6
GENERATORS = "tests.bench.traffic.generators"
RELAY = "tests.bench.traffic.relay"


def rows(directory: Path) -> Iterator[dict[str, Any]]:
    """Measure in turn; yield the rows."""
    trust = Trust(directory / "trust")
    with contextlib.ExitStack() as stack:
        ways = {"plain": 0.0, "tested": 0.0, "grpc": 0.0}
        made = {
            "plain": lambda: _ours(stack, trust, directory / "plain", "plain"),
            "tested": lambda: _ours(stack, trust, directory / "tested", "tested"),
        }
        if importlib.util.find_spec("grpc") is not None:
            made["grpc"] = lambda: _relay(stack, trust)
        else:
            print("  grpcio is not installed: `pip install maelstrom-scons[bench]`; no rows of it")
            del ways["grpc"]
        spent = {name: make() for name, make in made.items()}
        taken = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, spend in spent.items():
                taken[name].append(spend())
    ours = statistics.median(taken["plain"])
    yield _row("CPU of the broker per job, TLS, journal", ours, ours / BOUND_S, "60 us", "<= 1")
    tested = statistics.median(taken["tested"])
    yield _row("the same with status and kept outcomes", tested, tested / ours, "without", "")
    if "grpc" in taken:
        theirs = statistics.median(taken["grpc"])
        what = "CPU of a grpc.aio broker that passes on, TLS"
        yield _row(what, theirs, theirs / ours, "ours", ">= 4")


def _row(what: str, cpu_s: float, ratio: float, peer: str, target: str) -> dict[str, Any]:
    row = {"what": what, "unit": "us", "median": cpu_s * 1e6, "ratio": ratio, "peer": peer}
    return {**row, "target": target} if target else row


def _ours(
    stack: contextlib.ExitStack, trust: Trust, directory: Path, kind: str
) -> Callable[[], float]:
    """Start everything of ours; return what measures a round."""
    broker = Program(
        "maelstrom.cli.broker",
        *("--listen", "127.0.0.1:0", "--identity", str(trust.issue("broker/main"))),
        *("--store", str(directory / "store"), "--journal", str(directory / "journal")),
        *("--log-level", "error"),
    )
    stack.callback(broker.close)
    address = broker.first_line.split()[-1]
    for number in range(WORKERS):
        trust.issue(f"worker/w{number}")
    prefix = str(trust.directory / "worker-w")
    workers = Program(GENERATORS, "workers", address, prefix, str(WORKERS))
    stack.callback(workers.close)
    layer = _upload(stack, trust, address)
    clients = Program(
        *(GENERATORS, "clients", address, str(trust.issue("client/ann")), str(CLIENTS)),
        *(layer.hash, str(layer.size), kind),
    )
    stack.callback(clients.close)
    return _measure(broker, clients)


def _upload(stack: contextlib.ExitStack, trust: Trust, address: str) -> Digest:
    """Have the broker keep a layer for as long as this goes on."""
    manifest = Manifest(())
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    session = Session(
        broker=address, identity=trust.issue("client/bob"), store_root=Path("/nonexistent")
    )
    stack.callback(session.close)
    session.start()
    session.offer({manifest.digest: manifest.encoded})
    spec = JobSpec(program="/true", layers=(manifest.digest,))
    session.submit(Submission(spec, on_outcome=outcomes.put))
    outcomes.get(timeout=60)
    return manifest.digest


def _relay(stack: contextlib.ExitStack, trust: Trust) -> Callable[[], float]:
    broker = Program(RELAY, "broker", str(trust.issue("broker/main")))
    stack.callback(broker.close)
    ends = []
    for kind, who, count in (("workers", "worker/w0", WORKERS), ("clients", "client/ann", CLIENTS)):
        ends.append(Program(RELAY, kind, broker.first_line, str(trust.issue(who)), str(count)))
        stack.callback(ends[-1].close)
    return _measure(broker, ends[1])


def _measure(broker: Program, clients: Program) -> Callable[[], float]:
    """Return what plays a round, and returns the broker's processor time for one job."""

    def spend(jobs: int = JOBS) -> float:
        before = broker.cpu_s()
        clients.say(f"{jobs} {WINDOW}")
        clients.hear()
        return (broker.cpu_s() - before) / (jobs * CLIENTS)

    spend(WARM_JOBS)
    return spend
