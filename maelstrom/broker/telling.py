"""Write down what happens to single jobs, if the log is to tell all."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from maelstrom.broker import events
from maelstrom.model.ids import ClientId, WorkerId
from maelstrom.model.outcome import InfrastructureFault
from maelstrom.wire.messages import Report

if TYPE_CHECKING:
    from maelstrom.broker.daemon import Broker
    from maelstrom.broker.peers import WorkerPeer


def tell(broker: "Broker", event: events.Event, instructions: Iterable[events.Instruction]) -> None:
    """Write down an event of the scheduler, and what it says."""
    log = broker.log
    match event:
        case events.JobQueued(job, priority, estimate_s):
            log.debug(
                "job queued",
                job=job,
                client=_client(broker, job.client),
                priority=priority,
                estimate_s=round(estimate_s, 3),
            )
        case events.JobEnded(worker, job, attempt):
            log.debug("job ended", job=job, attempt=attempt, worker=_worker(broker, worker))
        case events.JobReturned(worker, job, attempt):
            log.debug("job returned", job=job, attempt=attempt, worker=_worker(broker, worker))
        case _:
            pass
    for instruction in instructions:
        match instruction:
            case events.Assign(worker, job, attempt):
                log.debug("job given", job=job, attempt=attempt, worker=_worker(broker, worker))
            case events.Recall(worker, job, attempt):
                log.debug("job recalled", job=job, attempt=attempt, worker=_worker(broker, worker))
            case events.Kill(worker, job, attempt):
                log.debug("job killed", job=job, attempt=attempt, worker=_worker(broker, worker))
            case _:
                pass


def tell_fault(
    broker: "Broker", worker: "WorkerPeer", report: Report, fault: InfrastructureFault
) -> None:
    """Write down that a worker could not run a job."""
    broker.log.warning(
        "job fault",
        job=report.job,
        attempt=report.attempt,
        client=_client(broker, report.job.client),
        worker=worker.name,
        reason=fault.message[:1000],
        hint=fault.hint[:1000],
    )


def _client(broker: "Broker", client: ClientId) -> str:
    peer = broker.clients.get(client)
    return "" if peer is None else peer.owner


def _worker(broker: "Broker", worker: WorkerId) -> str:
    peer = broker.workers.get(worker)
    return "" if peer is None else peer.name
