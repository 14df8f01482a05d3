"""A run on a real broker with a worker, and on slots of our own at the same time."""

import queue
from collections import Counter
from pathlib import Path

from maelstrom.client.engine import Submission
from maelstrom.client.hybrid import HybridEngine
from maelstrom.client.session import Session
from maelstrom.model.outcome import Cancelled, Exited, Outcome
from maelstrom.model.spec import JobSpec, Network
from tests.support.cluster import Crew, layer

JOBS = 24


class Counted(Session):
    """A session that counts what it is given, and what came of it."""

    def __init__(self, broker: str | None, store: Path) -> None:
        super().__init__(broker=broker, slots=1, store_root=store)
        self.kinds: Counter[str] = Counter()

    def submit(self, job: Submission) -> int:
        def told(outcome: Outcome) -> None:
            self.kinds[type(outcome).__name__] += 1
            job.on_outcome(outcome)

        status, spec = job.on_status, job.spec
        return super().submit(Submission(spec, told, status, job.priority, job.estimate_s))


def test_both_run_jobs_and_each_is_told_once(crew: Crew, program: Path, tmp_path: Path) -> None:
    shared = Counted(crew.start("tcp"), tmp_path / "shared")
    own = Counted(None, tmp_path / "own")
    engine = HybridEngine(shared, lambda: own, slots=1)
    engine.start()
    manifest, sources = layer({"bin/wait": program})
    engine.offer(sources)
    outcomes: queue.Queue[tuple[int, Outcome]] = queue.Queue()

    def submit(number: int, wait_ms: int, network: Network = Network.DISABLED) -> None:
        spec = JobSpec(
            program="/bin/wait",
            arguments=(str(wait_ms), str(number)),
            layers=(manifest,),
            network=network,
        )
        engine.submit(Submission(spec, lambda outcome: outcomes.put((number, outcome))))

    for number in range(JOBS):
        submit(number, 150)
    submit(JOBS, 1, Network.LOCAL)
    told = [outcomes.get(timeout=60) for _ in range(JOBS + 1)]
    assert sorted(number for number, _ in told) == list(range(JOBS + 1))
    assert {type(outcome) for _, outcome in told} == {Exited}
    assert shared.kinds["Exited"] > 0
    assert own.kinds["Exited"] > 1
    assert shared.kinds["Exited"] + own.kinds["Exited"] == JOBS + 1
    for number in range(8):
        submit(number, 60_000)
    engine.cancel_all(running=True)
    ends = [outcomes.get(timeout=60)[1] for _ in range(8)]
    assert ends == [Cancelled()] * 8
    engine.close(timeout_s=5)
    assert outcomes.empty()
