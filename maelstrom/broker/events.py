"""What the scheduler hears and what it says."""

from typing import TypeAlias

import msgspec

from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId, WorkerId

# Events


class ClientJoined(msgspec.Struct, frozen=True):
    """A client may submit jobs now."""

    client: ClientId
    owner: str = ""
    """Whose it is: all that are one owner's share his limit of slots. Empty for itself alone."""


class ClientLeft(msgspec.Struct, frozen=True):
    """A client is gone; nobody waits for its jobs."""

    client: ClientId


class ClientAbsent(msgspec.Struct, frozen=True):
    """A client cannot be reached, and may come back: ClientBack or ClientLeft follows."""

    client: ClientId


class ClientBack(msgspec.Struct, frozen=True):
    """A client that was absent is here again."""

    client: ClientId


Holding: TypeAlias = tuple[tuple[JobId, int], ...]
"""Jobs and attempts that a worker was given before its connection broke."""


class OwnerLimited(msgspec.Struct, frozen=True):
    """An operator gives an owner of clients his own limit of slots, 0 for none, and priority."""

    owner: str
    slots: int = 0
    priority: int = 0


class WorkerJoined(msgspec.Struct, frozen=True):
    """A worker can run jobs now."""

    worker: WorkerId
    slots: int
    resources: tuple[tuple[str, int], ...] = ()
    """What it has besides slots."""
    holding: Holding = ()
    is_draining: bool = False
    """Whether it is to get nothing from the first."""


class WorkerAbsent(msgspec.Struct, frozen=True):
    """A worker cannot be reached, and may come back: WorkerBack or WorkerLost follows."""

    worker: WorkerId


class WorkerBack(msgspec.Struct, frozen=True):
    """A worker that was absent is here again, with what it has of its jobs."""

    worker: WorkerId
    holding: Holding = ()


class WorkerDraining(msgspec.Struct, frozen=True):
    """A worker is to get nothing more, or to get jobs again."""

    worker: WorkerId
    is_draining: bool = True


class WorkerLost(msgspec.Struct, frozen=True):
    """A worker is gone, and with it what it was doing."""

    worker: WorkerId


class JobQueued(msgspec.Struct, frozen=True):
    """A job lacks nothing but a worker."""

    job: JobId
    priority: int = 0
    estimate_s: float = 0.0
    resources: tuple[tuple[str, int], ...] = ()
    attempt: int = 0
    """Of a job that was given to a worker before we were restarted: it is kept for that one until
    RestoreEnded."""
    layers: tuple[Digest, ...] = ()


class TimePassed(msgspec.Struct, frozen=True):
    """It is so late now; said from time to time."""

    now_s: float


class Paused(msgspec.Struct, frozen=True):
    """Nothing is to be given out any more: we are about to end, and another one takes over."""


class RestoreEnded(msgspec.Struct, frozen=True):
    """Workers had time enough to come back after our restart."""


class JobCancelled(msgspec.Struct, frozen=True):
    """The client takes a job back; one that runs only if `even_running`."""

    job: JobId
    even_running: bool = True


class JobEnded(msgspec.Struct, frozen=True):
    """A worker says that a job ended; by our own fault, perhaps."""

    worker: WorkerId
    job: JobId
    attempt: int
    is_fault: bool = False


class JobReturned(msgspec.Struct, frozen=True):
    """A worker gives back a job that it had not begun."""

    worker: WorkerId
    job: JobId
    attempt: int


Event: TypeAlias = (
    ClientJoined
    | ClientLeft
    | ClientAbsent
    | ClientBack
    | OwnerLimited
    | WorkerJoined
    | WorkerLost
    | WorkerAbsent
    | WorkerBack
    | WorkerDraining
    | JobQueued
    | RestoreEnded
    | Paused
    | TimePassed
    | JobCancelled
    | JobEnded
    | JobReturned
)

# Instructions


class Assign(msgspec.Struct, frozen=True):
    """Send a job to a worker; JobEnded or JobReturned follows, or WorkerLost."""

    worker: WorkerId
    job: JobId
    attempt: int


class Recall(msgspec.Struct, frozen=True):
    """Ask a worker for a job that it has perhaps not begun."""

    worker: WorkerId
    job: JobId
    attempt: int


class Kill(msgspec.Struct, frozen=True):
    """Have a worker end a job; JobEnded or JobReturned follows as ever."""

    worker: WorkerId
    job: JobId
    attempt: int


class Tell(msgspec.Struct, frozen=True):
    """Tell the client the outcome that came with the JobEnded at hand."""

    job: JobId


class TellCancelled(msgspec.Struct, frozen=True):
    """Tell the client that the job was taken back."""

    job: JobId


class Fail(msgspec.Struct, frozen=True):
    """Tell the client that the job cannot be run."""

    job: JobId
    message: str
    hint: str = ""
    is_clients_fault: bool = False


Instruction: TypeAlias = Assign | Recall | Kill | Tell | TellCancelled | Fail
