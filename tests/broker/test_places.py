"""Which worker a job goes to: what may wait there, and what must begin at once."""

import pytest

from maelstrom.broker.books import AHEAD_S_MAX
from maelstrom.broker.events import Assign, ClientJoined, JobEnded, JobQueued, Tell, WorkerJoined
from maelstrom.broker.scheduler import Scheduler
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId, WorkerId
from tests.support.script import Script, play

ANN = ClientId(1)
W1, W2 = WorkerId(11), WorkerId(12)
A1, A2, A3, A4, A5 = (JobId(ANN, n) for n in range(1, 6))
L1, L2 = (Digest.of(b"L1"), Digest.of(b"L2"))

SCRIPTS: dict[str, Script] = {
    "a job that is known to take long waits for a free slot; others are sent ahead": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1, estimate_s=9.0), [Assign(W1, A1, 1)]),
        (JobQueued(A2, estimate_s=AHEAD_S_MAX), [Assign(W1, A2, 1)]),
        (JobQueued(A3), [Assign(W1, A3, 1)]),
        (JobEnded(W1, A3, 1), [Tell(A3)]),
        (JobQueued(A4, estimate_s=9.0), []),
        # Whoever comes after it waits, too: it may not be overtaken for ever.
        (JobQueued(A5, estimate_s=0.01), []),
        (WorkerJoined(W2, 1), [Assign(W2, A4, 1), Assign(W2, A5, 1)]),
    ],
    "a job that a worker has failed is tried at another one, and waits for it": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (WorkerJoined(W2, 1), []),
        (JobEnded(W1, A1, 1, is_fault=True), [Assign(W2, A1, 2)]),
        (JobQueued(A2), [Assign(W1, A2, 1)]),
        (JobEnded(W2, A1, 2, is_fault=True), []),
        (JobEnded(W1, A2, 1), [Tell(A2), Assign(W1, A1, 3)]),
    ],
    "a job that a worker has failed is tried there again where there is no other": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobEnded(W1, A1, 1, is_fault=True), [Assign(W1, A1, 2)]),
    ],
    "a job that takes long is sent ahead to where its layers are yet to come": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1), []),
        (JobQueued(A1, estimate_s=9.0, layers=(L1,)), [Assign(W1, A1, 1)]),
        (JobQueued(A2, estimate_s=9.0, layers=(L2,)), [Assign(W1, A2, 1)]),
        (JobQueued(A3, estimate_s=9.0, layers=(L1,)), []),
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    play(Scheduler(), SCRIPTS[name])
