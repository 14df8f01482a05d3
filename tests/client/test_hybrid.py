"""Which jobs the developer's own slots take off a shared broker, and that each is told once."""

import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from maelstrom.client.engine import Submission
from maelstrom.client.hybrid import HybridEngine
from maelstrom.client.sharing import (
    AllUnwanted,
    Begun,
    CancelAll,
    EndedHere,
    EndedThere,
    Place,
    RunHere,
    RunThere,
    Sharing,
    TakeBack,
    Tell,
    Wanted,
)
from maelstrom.errors import MaelstromError
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import Cancelled, Effects, Exited, InfrastructureFault, Outcome
from maelstrom.model.spec import JobSpec, Network
from tests.support.script import Core, Script, play, play_interrupted

TOO_MUCH = (("gpu", 2),)

# One slot here: room for three.
SCRIPTS: dict[str, Script] = {
    "what has room here is taken back, and told by us": [
        (Wanted(1), [RunThere(1), TakeBack(1)]),
        (EndedThere(1, is_cancelled=True), [RunHere(1)]),
        (EndedHere(1), [Tell(1)]),
    ],
    "what cannot run here is left there": [
        (Wanted(1, place=Place.THERE), [RunThere(1)]),
        (Wanted(2), [RunThere(2), TakeBack(2)]),
        (EndedThere(2, is_cancelled=True), [RunHere(2)]),
        (EndedThere(1), [Tell(1)]),
        (EndedHere(2), [Tell(2)]),
    ],
    "what began there meanwhile, or was known, is told by the broker": [
        (Wanted(1), [RunThere(1), TakeBack(1)]),
        (Begun(1), []),
        (EndedThere(1), [Tell(1)]),
        (Wanted(2), [RunThere(2), TakeBack(2)]),
        (EndedThere(2), [Tell(2)]),
    ],
    "the last in the broker's order comes first, and what began there stays": [
        *[(Wanted(n), [RunThere(n), TakeBack(n)]) for n in (1, 2, 3)],
        (Wanted(4, priority=1), [RunThere(4)]),
        (Wanted(5, estimate_s=9.0), [RunThere(5)]),
        (Wanted(6, estimate_s=1.0), [RunThere(6)]),
        (Wanted(7, estimate_s=1.0), [RunThere(7)]),
        (Begun(6), []),
        (EndedThere(1), [Tell(1), TakeBack(7)]),
        (EndedThere(2, is_cancelled=True), [RunHere(2)]),
        (EndedHere(2), [Tell(2), TakeBack(5)]),
        (EndedThere(6), [Tell(6)]),
        (EndedThere(5), [Tell(5), TakeBack(4)]),
    ],
    "what is bound to this machine is here at once, and has its room": [
        *[(Wanted(n, place=Place.HERE), [RunHere(n)]) for n in (1, 2, 3, 4)],
        (Wanted(5), [RunThere(5)]),
        (EndedHere(1), [Tell(1)]),
        (EndedHere(2), [Tell(2), TakeBack(5)]),
    ],
    "what the run takes back comes back to nobody": [
        *[(Wanted(n), [RunThere(n), TakeBack(n)]) for n in (1, 2, 3)],
        (Wanted(4), [RunThere(4)]),
        (EndedThere(1, is_cancelled=True), [RunHere(1)]),
        (AllUnwanted(running=True), [CancelAll(running=True)]),
        (EndedThere(2, is_cancelled=True), [Tell(2)]),
        (EndedThere(3), [Tell(3)]),
        (EndedThere(4, is_cancelled=True), [Tell(4)]),
        (EndedHere(1), [Tell(1)]),
        # A later one is wanted again.
        (Wanted(5), [RunThere(5), TakeBack(5)]),
    ],
    "an operator cancels": [
        *[(Wanted(n), [RunThere(n), TakeBack(n)]) for n in (1, 2, 3)],
        (Wanted(4), [RunThere(4)]),
        (EndedThere(4, is_cancelled=True), [Tell(4)]),
    ],
    "when nothing can run here all goes there": [
        *[(Wanted(n), [RunThere(n), TakeBack(n)]) for n in (1, 2)],
        (EndedThere(1, is_cancelled=True), [RunHere(1)]),
        (Wanted(3, place=Place.HERE), [RunHere(3)]),
        (EndedHere(3, is_hopeless=True), [Tell(3)]),
        (EndedHere(1, is_hopeless=True), [RunThere(1)]),
        (EndedThere(2, is_cancelled=True), [RunThere(2)]),
        (Wanted(4), [RunThere(4)]),
        (EndedThere(1), [Tell(1)]),
        (EndedThere(2), [Tell(2)]),
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    play(Sharing(1), SCRIPTS[name])


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_interrupted(name: str) -> None:
    def interrupt(core: Core) -> list[object]:
        return [Wanted(91), EndedThere(91), Wanted(92, place=Place.HERE), EndedHere(92)]

    play_interrupted(lambda: Sharing(1), SCRIPTS[name], interrupt)


class Engine:
    """Ends, one by one and in any order, what it was given, as a seed has it."""

    def __init__(self, dice: random.Random, runs: "Counter[str]") -> None:
        self.failure: MaelstromError | None = None
        self.sources: dict[Any, Any] = {}
        self._dice = dice
        self._runs = runs
        self._waiting: dict[int, Submission] = {}
        self._running: dict[int, Submission] = {}
        self._due: list[tuple[Submission, Outcome]] = []
        self._count = 0

    def start(self) -> None:
        pass

    def offer(self, sources: Mapping[Any, Any]) -> None:
        self.sources.update(sources)

    def submit(self, job: Submission) -> int:
        self._count += 1
        if self.failure is not None:
            job.on_outcome(InfrastructureFault(self.failure.message))
        else:
            self._waiting[self._count] = job
        return self._count

    def cancel(self, job: int, *, even_running: bool) -> None:
        for jobs in (self._waiting, self._running) if even_running else (self._waiting,):
            if job in jobs:
                self._due.append((jobs.pop(job), Cancelled()))

    def output(self, blob: Digest) -> Path:
        raise AssertionError(blob)

    def cancel_all(self, *, running: bool) -> None:
        for job in [*self._waiting, *self._running]:
            self.cancel(job, even_running=running)

    def close(self, *, timeout_s: float) -> None:
        self.cancel_all(running=True)

    def fail(self) -> None:
        self.failure = MaelstromError("no sandbox")
        for job in [*self._waiting.values(), *self._running.values()]:
            self._due.append((job, InfrastructureFault("no sandbox")))
        self._waiting, self._running = {}, {}

    def step(self) -> None:
        kind = self._dice.randrange(3)
        if kind == 0 and self._waiting:
            number = self._dice.choice(list(self._waiting))
            job = self._running[number] = self._waiting.pop(number)
            if self._dice.random() < 0.8 and job.on_status is not None:
                job.on_status("w")
        elif kind == 1 and self._running:
            job = self._running.pop(self._dice.choice(list(self._running)))
            self._runs[job.spec.program] += 1
            job.on_outcome(Exited(0, Effects()))
        elif self._due:
            job, outcome = self._due.pop(self._dice.randrange(len(self._due)))
            job.on_outcome(outcome)


@pytest.mark.parametrize("seed", range(150))
def test_each_job_is_told_once_and_run_once(seed: int) -> None:
    dice = random.Random(seed)
    there_runs: Counter[str] = Counter()
    here_runs: Counter[str] = Counter()
    there, here = Engine(dice, there_runs), Engine(dice, here_runs)
    engine = HybridEngine(there, lambda: here, slots=2, has=(("gpu", 1),))
    engine.offer({"a": 1})
    not_here: list[str] = []
    told: Counter[str] = Counter()
    cancels, fails = dice.random() < 0.3, dice.random() < 0.2
    for number in range(40):
        network = Network.LOCAL if dice.random() < 0.1 else Network.DISABLED
        wants = (("gpu", dice.randrange(1, 3)),) if dice.random() < 0.2 else ()
        spec = JobSpec(program=f"p{number}", network=network, resources=(("slots", 1), *wants))
        if wants == TOO_MUCH and network is Network.DISABLED:
            not_here.append(spec.program)

        def take(outcome: Outcome, name: str = spec.program) -> None:
            told[name] += 1

        engine.submit(Submission(spec, take, estimate_s=dice.random(), priority=dice.randrange(2)))
        for _ in range(dice.randrange(4)):
            dice.choice((there, here)).step()
        engine._core.check()
    if fails:
        here.fail()
    if cancels:
        engine.cancel_all(running=dice.random() < 0.5)
    for _ in range(3000):
        dice.choice((there, here)).step()
        engine._core.check()
    assert told == dict.fromkeys((f"p{number}" for number in range(40)), 1)
    runs = there_runs + here_runs
    assert set(runs.values()) <= {1}, "nothing is run twice"
    assert not {*not_here} & {*here_runs}, "what is not here is not asked for here"
    if not (cancels or fails):
        assert len(runs) == 40
        assert here_runs, "the slots here are used"
        assert there_runs, "the shared broker is used"
        assert here.sources == {"a": 1}
