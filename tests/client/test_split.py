"""Which jobs stay on this machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maelstrom.client.engine import Submission
from maelstrom.client.split import SplitEngine
from maelstrom.errors import MaelstromError
from maelstrom.model.digest import Digest
from maelstrom.model.spec import Bind, JobSpec, Network


class Engine:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.failure: MaelstromError | None = None
        self.calls: list[str] = []
        self.sources: dict[Any, Any] = {}

    def start(self) -> None:
        self.calls.append("start")

    def offer(self, sources: Mapping[Any, Any]) -> None:
        self.sources.update(sources)

    def submit(self, job: Submission) -> int:
        self.calls.append(job.spec.program)
        return len(self.calls)

    def output(self, blob: Digest) -> Path:
        raise AssertionError(blob)

    def cancel_all(self, *, running: bool) -> None:
        self.calls.append("cancel")

    def close(self, *, timeout_s: float) -> None:
        self.calls.append("close")


def test_jobs_that_need_this_machine_stay_here_and_the_others_go() -> None:
    shared, own = Engine(), Engine()
    engine = SplitEngine(shared, lambda: own)
    engine.start()
    engine.offer({"a": 1})
    engine.submit(Submission(JobSpec(program="far"), on_outcome=print))
    assert own.calls == [], "nothing is started that is not needed"
    engine.submit(Submission(JobSpec(program="net", network=Network.LOCAL), on_outcome=print))
    engine.offer({"b": 2})
    engine.submit(Submission(JobSpec(program="bind", mounts=(Bind("/x", "/y"),)), on_outcome=print))
    engine.cancel_all(running=True)
    engine.close(timeout_s=1)
    assert shared.calls == ["start", "far", "cancel", "close"]
    assert own.calls == ["start", "net", "bind", "cancel", "close"]
    assert own.sources == shared.sources == {"a": 1, "b": 2}


def test_what_fails_here_fails_only_what_runs_here() -> None:
    shared, own = Engine(), Engine()
    engine = SplitEngine(shared, lambda: own)
    engine.submit(Submission(JobSpec(program="net", network=Network.LOCAL), on_outcome=print))
    own.failure = MaelstromError("no sandbox")
    assert engine.failure is None
    shared.failure = MaelstromError("no broker")
    assert engine.failure is shared.failure
