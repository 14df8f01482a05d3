"""What the scheduler hears and what it says."""

from typing import TypeAlias

import msgspec

from maelstrom.model.ids import ClientId, JobId, WorkerId

# Events


class ClientJoined(msgspec.Struct, frozen=True):
    """A client may submit jobs now."""

    client: ClientId


class ClientLeft(msgspec.Struct, frozen=True):
    """A client is gone; nobody waits for its jobs."""

    client: ClientId


class WorkerJoined(msgspec.Struct, frozen=True):
    """A worker can run jobs now."""

    worker: WorkerId
    slots: int
    resources: tuple[tuple[str, int], ...] = ()
    """What it has besides slots."""


class WorkerLost(msgspec.Struct, frozen=True):
    """A worker is gone, and with it what it was doing."""

    worker: WorkerId


class JobQueued(msgspec.Struct, frozen=True):
    """A job lacks nothing but a worker."""

    job: JobId
    priority: int = 0
    estimate_s: float = 0.0
    resources: tuple[tuple[str, int], ...] = ()


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
    | WorkerJoined
    | WorkerLost
    | JobQueued
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
