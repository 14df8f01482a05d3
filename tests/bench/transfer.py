"""A worker that has nothing gets a layer of 20 000 files: against what any transfer must pay, and
against one request per file. Everything is in memory, so that no disk is measured.
"""

import contextlib
import json
import os
import queue
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from maelstrom.client.engine import Submission
from maelstrom.client.session import Session
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import File, Manifest
from maelstrom.model.outcome import Exited, Outcome
from maelstrom.model.spec import JobSpec
from tests.bench.traffic.programs import Program
from tests.support.secured import Trust

FILES = 20_000
FILE_BYTES = 15_000
ROUNDS = 5
ONE_BY_ONE_FILES = 4000
PIPE = "tar c . | zstd -1 | zstd -d | sha256sum"
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 3 << 30


class Spent(NamedTuple):
    """By one way, once."""

    wall_s: float
    cpu_s: float


def run() -> Iterator[dict[str, Any]]:
    """Measure, interleaved; yield the rows."""
    if shutil.which("zstd") is None:
        print("  zstd is not installed: there is nothing to compare with")
        return
    with tempfile.TemporaryDirectory(dir=_place()) as name, contextlib.ExitStack() as stack:
        yield from _rows(Path(name), stack)


def _place() -> Path | None:
    is_good = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN
    return MEMORY if is_good and os.access(MEMORY, os.W_OK) else None


def _rows(directory: Path, stack: contextlib.ExitStack) -> Iterator[dict[str, Any]]:
    tree = directory / "tree"
    manifest, sources = make_tree(tree)
    trust = Trust(directory / "trust")
    cluster = Cluster(directory, stack, trust, manifest.digest)
    cluster.fill(sources)
    ways: dict[str, Callable[[], Spent]] = {
        "pipe": lambda: _pipe(tree),
        "ours": cluster.cold_start,
        "single": _one_by_one(directory, stack, trust, tree),
    }
    taken: dict[str, list[Spent]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, measure in ways.items():
            taken[name].append(measure())
    wall = {name: statistics.median(spent.wall_s for spent in taken[name]) for name in ways}
    cpu = {name: statistics.median(spent.cpu_s for spent in taken[name]) for name in ways}
    yield _row("a worker's cold start: 300 MB, 20 000 files, TLS", wall["ours"], wall["pipe"],
               "tar | zstd | sha256sum", "<= 2")  # fmt: skip
    yield _row("its processor time, of broker and worker", cpu["ours"], cpu["pipe"],
               "tar | zstd | sha256sum", "<= 2")  # fmt: skip
    yield _row(PIPE, wall["pipe"], wall["pipe"], "itself")
    yield {"what": "one HTTPS request per file", "unit": "s", "median": wall["single"],
           "peer": "ours", "ratio": wall["single"] / wall["ours"], "target": ">= 5"}  # fmt: skip
    yield _row("its processor time, on both ends", cpu["single"], cpu["ours"], "ours")


def _row(what: str, median: float, peer_s: float, peer: str, target: str = "") -> dict[str, Any]:
    row = {"what": what, "unit": "s", "median": median, "ratio": median / peer_s, "peer": peer}
    return {**row, "target": target} if target else row


def make_tree(tree: Path) -> tuple[Manifest, dict[Digest, str | bytes]]:
    """Write files of which two thirds are text, and a third cannot be compressed."""
    dice = random.Random(1)
    letters = b"abcdefghijklmnopqrstuvwxyz_"
    words = [bytes(dice.choices(letters, k=dice.randrange(3, 12))) for _ in range(4000)]
    entries = []
    sources: dict[Digest, str | bytes] = {}
    for number in range(FILES):
        size = int(dice.expovariate(1 / FILE_BYTES)) + 1
        if number % 3:
            content = b" ".join(dice.choices(words, k=size // 6 + 1))[:size]
        else:
            content = dice.randbytes(size)
        path = tree / f"d{number // 100}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = Digest.of(content)
        entries.append((str(path.relative_to(tree)), File(digest)))
        sources[digest] = str(path)
    manifest = Manifest(entries)
    return manifest, {**sources, manifest.digest: manifest.encoded}


class Cluster:
    """A broker that has a layer, and a worker that does not."""

    def __init__(
        self, directory: Path, stack: contextlib.ExitStack, trust: Trust, layer: Digest
    ) -> None:
        self._directory = directory
        self._trust = trust
        self._layer = layer
        self._numbers = iter(range(1, 1_000_000))
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        broker = self._broker = Program(
            "maelstrom.cli.broker",
            *("--listen", "127.0.0.1:0", "--identity", str(trust.issue("broker/main"))),
            *("--store", str(directory / "broker-store"), "--log-level", "error"),
        )
        stack.callback(broker.close)
        self._address = broker.first_line.split()[-1]
        self._session = Session(
            broker=self._address, identity=trust.issue("client/ann"), store_root=directory
        )
        stack.callback(self._session.close)
        self._session.start()

    def fill(self, sources: dict[Digest, str | bytes]) -> None:
        """Have the broker get the layer."""
        self._session.offer(sources)
        self.cold_start()

    def cold_start(self) -> Spent:
        """Return how long it takes until the first job of a new worker can run."""
        number = next(self._numbers)
        store = self._directory / f"worker-store-{number}"
        identity = self._trust.issue(f"worker/cold{number}")
        worker = Program("tests.bench.contents.worker", self._address, str(identity), str(store))
        try:
            begin = time.perf_counter()
            cpu_s = self._broker.cpu_s() + worker.cpu_s()
            spec = JobSpec("true", (str(number),), layers=(self._layer,))
            self._session.submit(Submission(spec, on_outcome=self._outcomes.put))
            outcome = self._outcomes.get(timeout=300)
            taken_s = time.perf_counter() - begin
            assert isinstance(outcome, Exited), outcome
            return Spent(taken_s, self._broker.cpu_s() + worker.cpu_s() - cpu_s)
        finally:
            worker.close()
            shutil.rmtree(store, ignore_errors=True)


def _pipe(tree: Path) -> Spent:
    begin, before = time.perf_counter(), _children_s()
    subprocess.run(["sh", "-c", PIPE], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    return Spent(time.perf_counter() - begin, _children_s() - before)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _one_by_one(
    directory: Path, stack: contextlib.ExitStack, trust: Trust, tree: Path
) -> Callable[[], Spent]:
    """Return what gets a part of the files, and tells what all would have taken."""
    module = "tests.bench.contents.one_by_one"
    server = Program(module, "serve", str(trust.issue("broker/http")), str(tree))
    stack.callback(server.close)
    store = directory / "one-by-one"
    identity = str(trust.issue("worker/one"))
    client = Program(module, "get", identity, server.first_line, str(store))
    stack.callback(client.close)
    names = [str(path.relative_to(tree)) for path in sorted(tree.glob("*/*"))]
    parts = iter(range(0, FILES, ONE_BY_ONE_FILES))

    def measure() -> Spent:
        start = next(parts)
        part = names[start : start + ONE_BY_ONE_FILES]
        cpu_s = server.cpu_s() + client.cpu_s()
        client.say(json.dumps(part))
        taken_s = float(client.hear())
        cpu_s = server.cpu_s() + client.cpu_s() - cpu_s
        return Spent(taken_s * FILES / len(part), cpu_s * FILES / len(part))

    return measure
