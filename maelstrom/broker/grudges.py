"""Remember for a while which worker failed which job.

Rules of this file:
1. A job that a worker failed goes to another one, which may have what that one lacks: fleet.py.
2. After GRUDGE_S it is forgiven: a job does not wait for ever for a worker that runs something
   long, beside one that idles and may have been mended.
"""

from collections import deque

from maelstrom.broker.books import Job
from maelstrom.broker.queue import Queue
from maelstrom.model.ids import WorkerId

GRUDGE_S = 5.0
GRUDGES_MAX = 100_000
"""The oldest are dropped, and last until the job has run."""


class Grudges:
    """Who failed what lately."""

    def __init__(self) -> None:
        self._borne: deque[tuple[float, WorkerId, Job]] = deque(maxlen=GRUDGES_MAX)

    def bear(self, job: Job, worker: WorkerId, now_s: float) -> None:
        """Note a fault of a worker's."""
        job.faults += 1
        job.fault_at = worker
        self._borne.append((now_s + GRUDGE_S, worker, job))

    def forgive(self, now_s: float, queue: Queue) -> None:
        """Forget what is long ago."""
        while self._borne and self._borne[0][0] <= now_s:
            _, worker, job = self._borne.popleft()
            if job.fault_at == worker:
                job.fault_at = None
                queue.renew(job)
