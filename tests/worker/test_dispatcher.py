"""The life of a job on one worker."""

import functools

import pytest

from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId
from maelstrom.model.outcome import (
    Cancelled,
    Effects,
    ExecutionError,
    Exited,
    InfrastructureFault,
)
from maelstrom.worker import dispatcher
from maelstrom.worker.dispatcher import (
    Dispatcher,
    JobAssigned,
    JobEnded,
    JobKilled,
    JobRecalled,
    KillJob,
    LayerFailed,
    LayerPrepared,
    Leaving,
    PrepareLayer,
    ReleaseLayer,
    ReportJob,
    ReturnJob,
    StartJob,
)
from tests.support.script import Core, Script, play, play_interrupted

J1, J2, J3, J4 = (JobId(ClientId(1), n) for n in range(1, 5))
L1, L2 = Digest.of(b"L1"), Digest.of(b"L2")
DONE = Exited(0, Effects())

SCRIPTS: dict[str, Script] = {
    "a job is prepared, run and reported": [
        (JobAssigned(J1, 1, (L1, L2)), [PrepareLayer(L1), PrepareLayer(L2)]),
        (LayerPrepared(L1), []),
        (LayerPrepared(L2), [StartJob(J1, 1)]),
        (JobEnded(J1, 1, DONE), [ReportJob(J1, 1, DONE)]),
        (JobAssigned(J2, 1, (L1, L2)), [StartJob(J2, 1)]),
    ],
    "no more jobs run than there are slots": [
        (JobAssigned(J1, 1, (), 2), [StartJob(J1, 1)]),
        (JobAssigned(J2, 1, ()), []),
        (JobAssigned(J3, 1, ()), []),
        (JobEnded(J1, 1, DONE), [ReportJob(J1, 1, DONE), StartJob(J2, 1), StartJob(J3, 1)]),
        (JobAssigned(J4, 1, (), 3), [ReportJob(J4, 1, ExecutionError(
            "the job needs 3 slots and this worker has 2"))]),
    ],
    "a worker that leaves gives back what has not begun, and what still comes": [
        (JobAssigned(J1, 1, (), 2), [StartJob(J1, 1)]),
        (JobAssigned(J2, 1, ()), []),
        (JobAssigned(J3, 1, (L1,)), [PrepareLayer(L1)]),
        (Leaving(), [ReturnJob(J2, 1), ReturnJob(J3, 1)]),
        (JobRecalled(J1, 1), []),
        (JobAssigned(J4, 1, ()), [ReturnJob(J4, 1)]),
        (JobEnded(J1, 1, DONE), [ReportJob(J1, 1, DONE)]),
        (LayerPrepared(L1), []),
        (JobAssigned(J4, 2, (), 3), [ReturnJob(J4, 2)]),
    ],
    "a job whose layers are coming holds nobody up": [
        (JobAssigned(J1, 1, (L1,)), [PrepareLayer(L1)]),
        (JobAssigned(J2, 1, ()), [StartJob(J2, 1)]),
        (LayerPrepared(L1), [StartJob(J1, 1)]),
    ],
    "a layer that cannot be had fails who waits, and is tried again": [
        (JobAssigned(J1, 1, (L1,)), [PrepareLayer(L1)]),
        (JobAssigned(J2, 1, (L1,)), []),
        (
            LayerFailed(L1, "gone"),
            [
                ReportJob(J1, 1, InfrastructureFault("gone")),
                ReportJob(J2, 1, InfrastructureFault("gone")),
                ReleaseLayer(L1),
            ],
        ),
        (JobAssigned(J1, 2, (L1,)), [PrepareLayer(L1)]),
        (LayerFailed(L1, "bad", is_specs_fault=True),
         [ReportJob(J1, 2, ExecutionError("bad")), ReleaseLayer(L1)]),
    ],
    "a job is given back unless it has begun": [
        (JobAssigned(J1, 1, ()), [StartJob(J1, 1)]),
        (JobAssigned(J2, 1, (), 2), []),
        (JobAssigned(J3, 1, ()), []),
        (JobRecalled(J1, 1), []),
        (JobRecalled(J2, 7), []),
        (JobRecalled(J2, 1), [ReturnJob(J2, 1), StartJob(J3, 1)]),
        (JobAssigned(J2, 2, ()), []),
        (JobEnded(J1, 1, DONE), [ReportJob(J1, 1, DONE), StartJob(J2, 2)]),
    ],
    "a job is killed wherever it is": [
        (JobAssigned(J1, 1, (), 2), [StartJob(J1, 1)]),
        (JobAssigned(J2, 1, ()), []),
        (JobAssigned(J3, 1, (L1,)), [PrepareLayer(L1)]),
        (JobKilled(J3, 1), [ReportJob(J3, 1, Cancelled())]),
        (JobKilled(J2, 1), [ReportJob(J2, 1, Cancelled())]),
        (JobKilled(J1, 1), [KillJob(J1, 1)]),
        (JobKilled(J2, 1), []),
        (JobEnded(J1, 1, Cancelled()), [ReportJob(J1, 1, Cancelled())]),
        (LayerPrepared(L1), []),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str) -> None:
    play(Dispatcher(2), SCRIPTS[name])


K1, K2 = JobId(ClientId(9), 1), JobId(ClientId(9), 2)
INTERRUPTIONS = {
    "another job comes and is killed": [JobAssigned(K1, 1, (L2,)), JobKilled(K1, 1)],
    "another job comes and is recalled": [JobAssigned(K1, 1, ()), JobRecalled(K1, 1)],
    "what nobody knows is killed": [JobKilled(K2, 3), JobRecalled(K2, 3)],
}


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_script_interrupted(name: str, interruption: str) -> None:
    def interrupt(core: Core) -> list[object]:
        return INTERRUPTIONS[interruption]

    script = [line for line in SCRIPTS[name] if not isinstance(line[0], JobEnded)]
    play_interrupted(functools.partial(Dispatcher, 2), script, interrupt)


def test_only_so_many_idle_layers_are_kept() -> None:
    core = Dispatcher(1)
    released = []
    for number in range(dispatcher.LAYERS_IDLE_MAX + 3):
        layer = Digest.of(b"%d" % number)
        job = JobId(ClientId(1), number)
        core.handle(JobAssigned(job, 1, (layer,)))
        core.handle(LayerPrepared(layer))
        released += [i for i in core.handle(JobEnded(job, 1, DONE)) if isinstance(i, ReleaseLayer)]
    core.check()
    assert released == [ReleaseLayer(Digest.of(b"%d" % number)) for number in range(3)]
