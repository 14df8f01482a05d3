"""Which client is next."""

import pytest

from maelstrom.broker.events import (
    Assign,
    ClientAbsent,
    ClientBack,
    ClientJoined,
    ClientLeft,
    JobEnded,
    JobQueued,
    Kill,
    OwnerLimited,
    Tell,
    WorkerJoined,
)
from maelstrom.broker.scheduler import Scheduler
from maelstrom.model.ids import ClientId, JobId, WorkerId
from tests.support.script import Core, Script, play, play_interrupted

ANN, BOB, CAROL = ClientId(1), ClientId(2), ClientId(3)
W1 = WorkerId(11)
A1, A2, A3, A4, A5, A6, A7 = (JobId(ANN, n) for n in range(1, 8))
B1, B2, B3 = (JobId(BOB, n) for n in range(1, 4))
C1 = JobId(CAROL, 1)

# A worker of one slot takes three jobs: one to run and two ahead.
SCRIPTS: dict[str, Script] = {
    "clients take turns": [
        (ClientJoined(ANN), []),
        (ClientJoined(BOB), []),
        (JobQueued(A1), []),
        (JobQueued(A2), []),
        (JobQueued(A3), []),
        (JobQueued(B1), []),
        (JobQueued(B2), []),
        (WorkerJoined(W1, 1), [Assign(W1, A1, 1), Assign(W1, B1, 1), Assign(W1, A2, 1)]),
        (JobEnded(W1, A1, 1), [Tell(A1), Assign(W1, B2, 1)]),
    ],
    "the one an operator put first is served first, before and after he comes": [
        (ClientJoined(ANN, "ann"), []),
        (ClientJoined(BOB, "bob"), []),
        (OwnerLimited("bob", priority=1), []),
        (JobQueued(A1), []),
        (JobQueued(A2), []),
        (JobQueued(B1), []),
        (WorkerJoined(W1, 1), [Assign(W1, B1, 1), Assign(W1, A1, 1), Assign(W1, A2, 1)]),
        (JobQueued(A3), []),
        (JobQueued(B2), []),
        (ClientLeft(BOB), [Kill(W1, B1, 1)]),
        (ClientJoined(BOB, "bob"), []),
        (JobQueued(B2), []),
        (JobEnded(W1, A1, 1), [Tell(A1), Assign(W1, B2, 1)]),
        (OwnerLimited("bob", priority=-1), []),
        (JobQueued(B1), []),
        (JobEnded(W1, A2, 1), [Tell(A2), Assign(W1, A3, 1)]),
        (JobEnded(W1, A3, 1), [Tell(A3), Assign(W1, B1, 2)]),
    ],
    "one with a limit of slots of his own waits until it is raised": [
        (OwnerLimited("ann", slots=1), []),
        (ClientJoined(ANN, "ann"), []),
        (ClientJoined(BOB, "bob"), []),
        (WorkerJoined(W1, 4), []),
        (JobQueued(A1), [Assign(W1, A1, 1)]),
        (JobQueued(A2), []),
        (JobQueued(B1), [Assign(W1, B1, 1)]),
        (JobQueued(B2), [Assign(W1, B2, 1)]),
        (OwnerLimited("ann", slots=0), [Assign(W1, A2, 1)]),
        (OwnerLimited("ann", slots=2), []),
        (JobQueued(A3), []),
        (JobEnded(W1, A1, 1), [Tell(A1), Assign(W1, A3, 1)]),
    ],
    "an absent client's jobs wait, and go on when it is back": [
        (ClientJoined(ANN), []),
        (ClientJoined(BOB), []),
        (JobQueued(A1), []),
        (JobQueued(B1), []),
        (ClientAbsent(ANN), []),
        (WorkerJoined(W1, 1), [Assign(W1, B1, 1)]),
        (ClientBack(ANN), [Assign(W1, A1, 1)]),
        (ClientAbsent(ANN), []),
        (JobEnded(W1, A1, 1), [Tell(A1)]),
        (ClientLeft(ANN), []),
    ],
    "one who holds nothing comes before one who holds something, whatever the priority": [
        (ClientJoined(ANN), []),
        (ClientJoined(BOB), []),
        (WorkerJoined(W1, 1), []),
        *[(JobQueued(job), [Assign(W1, job, 1)]) for job in (A1, A2, A3)],
        (JobQueued(A4, priority=9), []),
        (JobQueued(B1), []),
        (JobEnded(W1, A1, 1), [Tell(A1), Assign(W1, B1, 1)]),
        (JobEnded(W1, A2, 1), [Tell(A2), Assign(W1, A4, 1)]),
    ],
    "a job of several slots counts as so many": [
        (ClientJoined(ANN), []),
        (ClientJoined(BOB), []),
        (JobQueued(A1, resources=(("slots", 2),)), []),
        (JobQueued(A2), []),
        (JobQueued(B1), []),
        (JobQueued(B2), []),
        (JobQueued(B3), []),
        # Bob gets two for Ann's one; then they are equal, and he was served as much as she.
        (
            WorkerJoined(W1, 2),
            [Assign(W1, A1, 1), Assign(W1, B1, 1), Assign(W1, B2, 1)],
        ),
        (JobEnded(W1, A1, 1), [Tell(A1), Assign(W1, A2, 1), Assign(W1, B3, 1)]),
    ],
    "one who was idle is not owed what he did not ask for": [
        (ClientJoined(ANN), []),
        (ClientJoined(BOB), []),
        (WorkerJoined(W1, 1), []),
        *[(JobQueued(job), [Assign(W1, job, 1)]) for job in (A1, A2, A3)],
        (JobQueued(A4), []),
        (JobQueued(A5), []),
        (JobQueued(B1), []),
        (JobQueued(B2), []),
        (JobQueued(B3), []),
        (JobEnded(W1, A1, 1), [Tell(A1), Assign(W1, B1, 1)]),
        # Both hold one, and he counts as served three times like her, although he was not.
        (JobEnded(W1, A2, 1), [Tell(A2), Assign(W1, A4, 1)]),
        (JobEnded(W1, A3, 1), [Tell(A3), Assign(W1, B2, 1)]),
        (JobEnded(W1, B1, 1), [Tell(B1), Assign(W1, A5, 1)]),
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    play(Scheduler(), SCRIPTS[name])


INTERRUPTIONS = {
    "an operator limits who is here and who is not": [
        OwnerLimited("ann", slots=1, priority=2),
        OwnerLimited("carol", priority=-1),
        ClientJoined(CAROL, "carol"),
        JobQueued(C1),
        OwnerLimited("carol"),
        ClientLeft(CAROL),
    ],
}


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_script_interrupted(name: str, interruption: str) -> None:
    def interrupt(core: Core) -> list[object]:
        return INTERRUPTIONS[interruption]

    play_interrupted(Scheduler, SCRIPTS[name], interrupt)
