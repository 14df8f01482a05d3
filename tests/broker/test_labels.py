"""Jobs that require labels run on the workers that have them, and nowhere else."""

import pytest

from maelstrom.broker.events import (
    Assign,
    ClientJoined,
    Fail,
    JobEnded,
    JobQueued,
    Tell,
    WorkerJoined,
    WorkerLost,
)
from maelstrom.broker.scheduler import Scheduler
from maelstrom.model.ids import ClientId, JobId, WorkerId
from tests.support.script import Script, play

ANN = ClientId(1)
W1, W2 = WorkerId(11), WorkerId(12)
A1, A2, A3, A4 = (JobId(ANN, n) for n in range(1, 5))

SCRIPTS: dict[str, Script] = {
    "a job runs where its label is, as many at a time as there are slots": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 4), []),
        (WorkerJoined(W2, 2, (("label:arch=arm", 1),)), []),
        (JobQueued(A1, resources=(("label:arch=arm", 1),)), [Assign(W2, A1, 1)]),
        (JobQueued(A2, resources=(("label:arch=arm", 1),)), [Assign(W2, A2, 1)]),
        (JobQueued(A3, resources=(("label:arch=arm", 1),)), []),
        (JobQueued(A4), [Assign(W1, A4, 1)]),
        (JobEnded(W2, A1, 1), [Tell(A1), Assign(W2, A3, 1)]),
    ],
    "a label that nobody has is refused, and those that are had are told": [
        (ClientJoined(ANN), []),
        (WorkerJoined(W1, 1, (("gpu", 1), ("label:fast", 1), ("label:arch=x86", 1))), []),
        (
            JobQueued(A1, resources=(("gpu", 1), ("label:arch=arm", 1))),
            [
                Fail(
                    A1,
                    "no worker accepts a job that needs a slot, 1 of `gpu`, the label `arch=arm`",
                    "the labels of workers are arch=x86, fast",
                    is_clients_fault=True,
                )
            ],
        ),
        (WorkerLost(W1), []),
        (JobQueued(A2, resources=(("label:fast", 1),)), []),
        (
            WorkerJoined(W2, 1),
            [
                Fail(
                    A2,
                    "no worker accepts a job that needs a slot, the label `fast`",
                    "no worker has a label",
                    is_clients_fault=True,
                )
            ],
        ),
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    play(Scheduler(), SCRIPTS[name])
