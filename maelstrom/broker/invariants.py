"""What is true of jobs and workers between two events of the scheduler."""

from collections.abc import Mapping

from maelstrom.broker.books import Job, Worker
from maelstrom.model.ids import ClientId, JobId, WorkerId


def check(
    clients: Mapping[ClientId, Mapping[int, Job]],
    workers: Mapping[WorkerId, Worker],
    unclaimed: Mapping[JobId, Job],
    groups: Mapping[tuple[ClientId, str], None],
    recalls: int,
) -> None:
    """Assert it."""
    for jobs in clients.values():
        for job in jobs.values():
            states = (job.worker is not None, job.ticket > 0, job.name in unclaimed)
            assert sum(states) == 1, "a job is queued, assigned, or kept for its old worker"
            assert not job.is_told, "who was told is forgotten"
            for each in (job, job.twin):
                if each is not None and each.worker is not None:
                    found = workers[each.worker].jobs.get((each.name, each.attempt))
                    assert found is each, "a worker knows its jobs"
    busy = []
    for name, worker in workers.items():
        placed = worker.jobs.values()
        assert worker.used == sum(job.shape.slots for job in placed), "slots are counted"
        recalled = sum(job.is_recalled for job in placed)
        assert worker.recalled == recalled, "recalls are counted"
        busy += [(job.name.client, group) for job in placed for group in job.shape.groups]
        for job in placed:
            assert job.worker == name, "a job knows its worker"
            live = clients.get(job.name.client, {}).get(job.name.number)
            assert job.is_told or live in (job, job.first), "a job has a client or is dying"
            assert not job.is_told or not job.ticket, "who was told is not queued"
    assert recalls == sum(worker.recalled for worker in workers.values()), "all are counted"
    assert sorted(busy) == sorted(groups), "of a group one job runs"
