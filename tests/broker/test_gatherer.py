"""What a job still lacks, and who is asked for it."""

import pytest

from maelstrom.broker.gatherer import (
    ArtifactArrived,
    ArtifactRefused,
    AskClient,
    CheckLayer,
    ClientLeft,
    Gatherer,
    JobArrived,
    JobFailed,
    JobReady,
    JobWithdrawn,
    LayerBroken,
    LayerChecked,
    PinLayer,
    UnpinLayer,
)
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId
from tests.support.script import Core, Script, play, play_interrupted

ANN, BOB = ClientId(1), ClientId(2)
A1, A2, A3 = (JobId(ANN, n) for n in range(1, 4))
B1, B2 = (JobId(BOB, n) for n in range(1, 3))
L1, L2, X, Y = (Digest.of(name) for name in (b"L1", b"L2", b"X", b"Y"))

SCRIPTS: dict[str, Script] = {
    "a job without layers is ready at once": [(JobArrived(A1, ()), [JobReady(A1)])],
    "what is here is not asked for": [
        (JobArrived(A1, (L1,)), [PinLayer(L1), CheckLayer(L1)]),
        (JobArrived(A2, (L1,)), []),
        (LayerChecked(L1, ()), [JobReady(A1), JobReady(A2)]),
        (JobArrived(A3, (L1,)), [JobReady(A3)]),
        (ClientLeft(ANN), [UnpinLayer(L1)]),
    ],
    "the manifest comes first, then what it names": [
        (JobArrived(A1, (L1,)), [PinLayer(L1), CheckLayer(L1)]),
        (LayerChecked(L1, (L1,)), [AskClient(ANN, (L1,))]),
        (ArtifactArrived(L1), [CheckLayer(L1)]),
        (LayerChecked(L1, (X, Y)), [AskClient(ANN, (X, Y))]),
        (ArtifactArrived(Y), []),
        (ArtifactArrived(X), [JobReady(A1)]),
    ],
    "two layers share a content, which is asked for once": [
        (JobArrived(A1, (L1, L2)), [PinLayer(L1), CheckLayer(L1), PinLayer(L2), CheckLayer(L2)]),
        (LayerChecked(L1, (X,)), [AskClient(ANN, (X,))]),
        (LayerChecked(L2, (X, Y)), [AskClient(ANN, (Y,))]),
        (ArtifactArrived(X), []),
        (ArtifactArrived(Y), [JobReady(A1)]),
    ],
    "when one client cannot give it, the next is asked": [
        (JobArrived(A1, (L1,)), [PinLayer(L1), CheckLayer(L1)]),
        (JobArrived(B1, (L1,)), []),
        (LayerChecked(L1, (X,)), [AskClient(ANN, (X,))]),
        (ArtifactRefused(X, BOB, "nobody asked me"), []),
        (ArtifactRefused(X, ANN, "gone"), [AskClient(BOB, (X,))]),
        (ArtifactArrived(X), [JobReady(A1), JobReady(B1)]),
    ],
    "when the client that was asked leaves, the next is asked": [
        (JobArrived(A1, (L1,)), [PinLayer(L1), CheckLayer(L1)]),
        (JobArrived(B1, (L1,)), []),
        (LayerChecked(L1, (X,)), [AskClient(ANN, (X,))]),
        (ClientLeft(ANN), [AskClient(BOB, (X,))]),
        (ArtifactArrived(X), [JobReady(B1)]),
    ],
    "when nobody can give it, the jobs fail, and the next one tries again": [
        (JobArrived(A1, (L1,)), [PinLayer(L1), CheckLayer(L1)]),
        (JobArrived(A2, (L1,)), []),
        (LayerChecked(L1, (X, Y)), [AskClient(ANN, (X, Y))]),
        (
            ArtifactRefused(X, ANN, "gone"),
            [
                JobFailed(A1, "gone", is_clients_fault=False),
                JobFailed(A2, "gone", is_clients_fault=False),
            ],
        ),
        (ArtifactArrived(Y), []),
        (JobArrived(A3, (L1,)), [CheckLayer(L1)]),
        (LayerChecked(L1, ()), [JobReady(A3)]),
    ],
    "a manifest that cannot be right is the client's fault": [
        (JobArrived(A1, (L1,)), [PinLayer(L1), CheckLayer(L1)]),
        (LayerBroken(L1, "not canonical"), [JobFailed(A1, "not canonical", is_clients_fault=True)]),
    ],
    "a job that was withdrawn is not heard of again": [
        (JobArrived(A1, (L1,)), [PinLayer(L1), CheckLayer(L1)]),
        (JobWithdrawn(A1), []),
        (LayerChecked(L1, ()), []),
        (JobWithdrawn(A1), []),
    ],
    "an answer for a client that left changes nothing": [
        (JobArrived(A1, (L1,)), [PinLayer(L1), CheckLayer(L1)]),
        (ClientLeft(ANN), [UnpinLayer(L1)]),
        (LayerChecked(L1, (X,)), []),
        (LayerBroken(L1, "late"), []),
        (ArtifactArrived(X), []),
    ],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    play(Gatherer(), SCRIPTS[name])


CAROL, C1, C2, Z = ClientId(9), JobId(ClientId(9), 1), JobId(ClientId(9), 2), Digest.of(b"Z")
INTERRUPTIONS = {
    "another client wants the same and leaves": [JobArrived(C1, (L1, L2)), ClientLeft(CAROL)],
    "another client wants the same and stays": [JobArrived(C1, (L2, L1)), JobArrived(C2, (Z,))],
    "the client of the story leaves": [ClientLeft(ANN)],
    "a content comes that nobody wants": [ArtifactArrived(Z), ArtifactRefused(Z, CAROL, "?")],
}


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_script_interrupted(name: str, interruption: str) -> None:
    def interrupt(core: Core) -> list[object]:
        return INTERRUPTIONS[interruption]

    play_interrupted(Gatherer, SCRIPTS[name], interrupt)
