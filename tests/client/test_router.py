"""Who is told what, once."""

import pytest

from maelstrom.client.router import (
    Connected,
    Disconnected,
    Ended,
    Failed,
    Forgotten,
    Progressed,
    Router,
    SendCancel,
    SendContents,
    SendJob,
    SendResume,
    Submitted,
    TakenBack,
    TellOutcome,
    TellStatus,
    Wanted,
)
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import Cancelled, Effects, Exited, InfrastructureFault
from tests.support.script import Core, Script, play, play_interrupted

DONE = Exited(0, Effects())
X = Digest.of(b"X")
GONE = InfrastructureFault("gone")

SCRIPTS: dict[str, Script] = {
    "jobs wait for the connection and leave in order": [
        (Submitted(1), []),
        (Submitted(2), []),
        (Connected(), [SendJob(1), SendJob(2)]),
        (Submitted(3), [SendJob(3)]),
        (Ended(2, DONE), [TellOutcome(2, DONE)]),
        (Ended(2, DONE), []),
    ],
    "the broker has no more jobs than it takes": [
        (Submitted(1), []),
        (Submitted(2), []),
        (Connected(jobs_max=2), [SendJob(1), SendJob(2)]),
        (Submitted(3), []),
        (Submitted(4), []),
        (Submitted(5), []),
        (TakenBack(4), [TellOutcome(4, Cancelled())]),
        (Ended(2, DONE), [TellOutcome(2, DONE), SendJob(3)]),
        (Ended(1, DONE), [TellOutcome(1, DONE), SendJob(5)]),
        (Ended(3, DONE), [TellOutcome(3, DONE)]),
    ],
    "a new broker has room of its own": [
        (Connected(jobs_max=2), []),
        (Submitted(1), [SendJob(1)]),
        (Submitted(2), [SendJob(2)]),
        (Submitted(3), []),
        (Disconnected(), []),
        (Connected(jobs_max=1), [SendJob(1)]),
        (Disconnected(), []),
        (Connected(is_resumed=True, jobs_max=3), [SendResume((1,)), SendJob(2), SendJob(3)]),
        (Forgotten((2, 2)), [SendJob(2)]),
    ],
    "a job that was taken back before it left never leaves": [
        (Submitted(1), []),
        (TakenBack(1), [TellOutcome(1, Cancelled())]),
        (Connected(), []),
        (TakenBack(1), []),
    ],
    "a job that left is taken back from the broker": [
        (Connected(), []),
        (Submitted(1), [SendJob(1)]),
        (TakenBack(1, even_running=False), [SendCancel(1, even_running=False)]),
        (Ended(1, Cancelled()), [TellOutcome(1, Cancelled())]),
    ],
    "progress is told of jobs that have not ended": [
        (Connected(), []),
        (Submitted(1), [SendJob(1)]),
        (Progressed(1, "host"), [TellStatus(1, "host")]),
        (Ended(1, DONE), [TellOutcome(1, DONE)]),
        (Progressed(1, "host"), []),
    ],
    "after a failure every job hears of it": [
        (Submitted(1), []),
        (Failed("gone"), [TellOutcome(1, GONE)]),
        (Submitted(2), [TellOutcome(2, GONE)]),
        (Failed("gone twice"), []),
        (Submitted(3), [TellOutcome(3, GONE)]),
        (Wanted((X,)), []),
    ],
    "a broker that knows us is told what has no outcome, and given what is new": [
        (Connected(), []),
        (Submitted(1), [SendJob(1)]),
        (Submitted(2), [SendJob(2)]),
        (Ended(1, DONE), [TellOutcome(1, DONE)]),
        (Disconnected(), []),
        (Submitted(3), []),
        (TakenBack(2), []),
        (Wanted((X,)), []),
        (Connected(is_resumed=True), [SendResume((2,)), SendCancel(2, True), SendJob(3)]),
        (Ended(2, Cancelled()), [TellOutcome(2, Cancelled())]),
    ],
    "what the broker does not know is given again, or told as taken back": [
        (Connected(), []),
        (Submitted(1), [SendJob(1)]),
        (Submitted(2), [SendJob(2)]),
        (Disconnected(), []),
        (TakenBack(2, even_running=False), []),
        (Connected(is_resumed=True), [SendResume((1, 2)), SendCancel(2, False)]),
        (Forgotten((1, 2, 3)), [TellOutcome(2, Cancelled()), SendJob(1)]),
    ],
    "a broker that does not know us is given everything": [
        (Connected(), []),
        (Submitted(1), [SendJob(1)]),
        (Submitted(2), [SendJob(2)]),
        (Disconnected(), []),
        (TakenBack(2), []),
        (Submitted(3), []),
        (TakenBack(3), [TellOutcome(3, Cancelled())]),
        (Connected(), [TellOutcome(2, Cancelled()), SendJob(1)]),
    ],
    "wanted contents are sent": [
        (Connected(), []),
        (Wanted((X,)), [SendContents((X,))]),
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    play(Router(), SCRIPTS[name])


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_interrupted(name: str) -> None:
    def interrupt(core: Core) -> list[object]:
        return [Submitted(99), TakenBack(99), Ended(99, DONE), Failed("gone")]

    script = [line for line in SCRIPTS[name] if not isinstance(line[0], Connected)]
    play_interrupted(Router, script, interrupt)
