"""Know which outputs of jobs are kept, for whom, and until when; only the store is told.

Rules of this file:
1. A worker says what it is going to give before it gives it. From then on it is pinned: for the
   worker until its report is here, and for the job until its client has fetched it or is gone.
2. Nobody gets what is not an output of a job of his own.
3. A client that fetches nothing is held up when BYTES_HIGH are kept for it, or half of what it may
   have. Beyond all that it may have, an output is refused.
"""

from collections.abc import Iterable

from maelstrom.broker.quota import Busy, Quotas
from maelstrom.errors import ProtocolError
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId, WorkerId
from maelstrom.model.outcome import InfrastructureFault
from maelstrom.store.disk import DiskStore

BYTES_HIGH = 4 << 30
ANNOUNCED_MAX = 100_000
"""Outputs that one worker is about to give."""


class Outputs:
    """Of all jobs at hand."""

    def __init__(self, store: DiskStore, quotas: Quotas) -> None:
        self._store = store
        self._quotas = quotas
        self._owners: dict[ClientId, str] = {}
        self._announced: dict[WorkerId, dict[Digest, None]] = {}
        self._kept: dict[ClientId, dict[int, tuple[Digest, ...]]] = {}
        self._bytes: dict[ClientId, int] = {}

    # On their way from a worker

    def announce(self, worker: WorkerId, digests: Iterable[Digest]) -> list[Digest]:
        """Hear what a worker is about to give; return what is lacking of it."""
        announced = self._announced.setdefault(worker, {})
        every = list(digests)
        for digest in every:
            if digest not in announced:
                self._store.pin([digest], _on_the_way(worker, digest))
                announced[digest] = None
        if len(announced) > ANNOUNCED_MAX:
            raise ProtocolError(f"more than {ANNOUNCED_MAX} outputs of jobs that did not end")
        return self._store.missing(every)

    def is_announced(self, worker: WorkerId, digest: Digest) -> bool:
        """Whether a worker said that it will give this."""
        return digest in self._announced.get(worker, {})

    def reported(self, worker: WorkerId, digests: Iterable[Digest]) -> None:
        """Hear that a worker's report is here, so that its job keeps what it refers to."""
        announced = self._announced.get(worker, {})
        for digest in digests:
            if announced.pop(digest, digest) is None:
                self._store.unpin(_on_the_way(worker, digest))

    def forget_worker(self, worker: WorkerId) -> None:
        """Forget what it was about to give: it is gone, or has no job that could be reported."""
        self.reported(worker, list(self._announced.get(worker, {})))
        self._announced.pop(worker, None)

    # Kept for a client

    def keep(self, job: JobId, digests: tuple[Digest, ...], owner: str = "") -> list[Digest]:
        """Pin the outputs of a job; return those that are not here, which cannot be told."""
        kept = self._kept.setdefault(job.client, {})
        before = kept.get(job.number, ())
        self._store.pin(digests, _of_job(job))
        kept[job.number] = tuple(dict.fromkeys((*before, *digests)))
        size = sum(digest.size for digest in kept[job.number][len(before) :])
        self._bytes[job.client] = self._bytes.get(job.client, 0) + size
        self._quotas.take_outputs(self._owners.setdefault(job.client, owner), size)
        return self._store.missing(digests)

    def is_kept(self, job: JobId) -> bool:
        """Whether a job has outputs to be fetched."""
        return job.number in self._kept.get(job.client, {})

    def is_too_much(self, client: ClientId) -> bool:
        """Whether a client has so much to fetch that it must get on with it."""
        kept = self._bytes.get(client, 0)
        return kept > 0 and kept > min(
            BYTES_HIGH, self._quotas.of(self._owners[client]).size_bytes // 2
        )

    def refusal(self, client: ClientId) -> InfrastructureFault | None:
        """Say why the last outputs of a client cannot be kept, if they cannot."""
        try:
            self._quotas.check_outputs(self._owners[client])
        except Busy as busy:
            return InfrastructureFault(busy.message, busy.hint)
        return None

    def may_get(self, client: ClientId, digest: Digest) -> bool:
        """Whether this is an output of a job of the client's."""
        return any(digest in digests for digests in self._kept.get(client, {}).values())

    def release(self, job: JobId) -> None:
        """Let the outputs of a job go."""
        digests = self._kept.get(job.client, {}).pop(job.number, ())
        if digests:
            self._store.unpin(_of_job(job))
            size = sum(digest.size for digest in digests)
            self._bytes[job.client] -= size
            self._quotas.release_outputs(self._owners[job.client], size)
            if not self._kept[job.client]:
                del self._kept[job.client], self._bytes[job.client], self._owners[job.client]

    def client_left(self, client: ClientId) -> None:
        """Let all go that was kept for a client."""
        for number in list(self._kept.get(client, {})):
            self.release(JobId(client, number))


def _on_the_way(worker: WorkerId, digest: Digest) -> str:
    return f"output of worker {worker}: {digest.hash}"


def _of_job(job: JobId) -> str:
    return f"outputs of {job}"
