"""Every message, by sender and recipient; each says what must follow it.

Jobs and outcomes travel as opaque bytes: the broker forwards what the client encoded for the
worker, and what the worker encoded for the client. Messages on one connection keep their order.
"""

import msgspec

from maelstrom.model.digest import Digest
from maelstrom.model.ids import JobId


class Message(msgspec.Struct, frozen=True, array_like=True):
    """What all messages are: arrays, the kind first."""


# Either end of any connection


class Ping(Message, frozen=True, tag=0):
    """I am here; nothing follows."""

    heard: int = 0
    """How many of the messages that you keep for me (Ended, Report) came by this connection."""


class Goodbye(Message, frozen=True, tag=1):
    """I end this connection for good, and this is why. Nothing follows."""

    message: str
    """Empty if nothing is wrong."""
    hint: str = ""


# Broker to client or worker, first of all


class Welcome(Message, frozen=True, tag=2):
    """You are in. `token` makes your blob connections yours."""

    token: str
    is_local: bool
    """Whether paths of your files mean the same to me: then offer content as paths."""
    is_resumed: bool = False
    """Whether I know you by the token of your hello. A client says Resume then."""


# Client to broker


class Submit(Message, frozen=True, tag=10):
    """Run this. One Ended follows, and before it Status messages if they are wanted."""

    number: int
    spec: bytes
    layers: tuple[Digest, ...]
    resources: tuple[tuple[str, int], ...] = ()
    """Empty for one slot."""
    priority: int = 0
    estimate_s: float = 0.0
    """0 for unknown."""
    wants_status: bool = False
    may_be_cached: bool = False
    """Whether the outcome of an equal job will do, and whether this one's may be kept."""


class Cancel(Message, frozen=True, tag=11):
    """Take a job back. Ended follows as ever; if it runs and may go on, with its own outcome."""

    number: int
    even_running: bool


class Offer(Message, frozen=True, tag=12):
    """Contents you wanted are in these files of our machine, as (digest, path in bytes)."""

    files: tuple[tuple[Digest, bytes], ...]


class Withhold(Message, frozen=True, tag=13):
    """I cannot give you this content."""

    digest: Digest
    message: str


class Resume(Message, frozen=True, tag=14):
    """These jobs have no outcome yet, and no others. Ended follows for those that ended while I was
    away, and Unknown for those that you do not know."""

    numbers: tuple[int, ...]


# Broker to client


class Want(Message, frozen=True, tag=20):
    """Give me these contents: each is answered by Offer, Put or Withhold."""

    digests: tuple[Digest, ...]


class Status(Message, frozen=True, tag=21):
    """A job got on: it now waits for a worker, or runs on the named one."""

    number: int
    worker: str
    """Empty while it waits."""


class Ended(Message, frozen=True, tag=22):
    """A job's only outcome."""

    number: int
    outcome: bytes
    is_cached: bool = False
    """Whether it is that of an equal job which ran before."""


class Unknown(Message, frozen=True, tag=23):
    """I do not know these jobs of yours (any more). Submit them again."""

    numbers: tuple[int, ...]


# Worker to broker


class Join(Message, frozen=True, tag=30):
    """I can run jobs. For those that I hold and should not, Kill follows."""

    name: str
    slots: int
    resources: tuple[tuple[str, int], ...] = ()
    holding: tuple[tuple[JobId, int], ...] = ()
    """Jobs and attempts that I was given before the connection broke."""


class Started(Message, frozen=True, tag=31):
    """A job is in its slot. Report follows."""

    job: JobId
    attempt: int


class Report(Message, frozen=True, tag=32):
    """A job ended; the place it had is free."""

    job: JobId
    attempt: int
    outcome: bytes
    is_fault: bool
    """Whether the outcome is an infrastructure fault, which another attempt may mend."""
    is_keepable: bool = False
    """Whether the outcome will be the same whenever and wherever an equal job runs."""


class Return(Message, frozen=True, tag=33):
    """Here is a job back that you recalled; it had not begun."""

    job: JobId
    attempt: int


class Leave(Message, frozen=True, tag=34):
    """Give me nothing more. Recall follows for what has not begun, Goodbye when all has ended."""


# Broker to worker


class Assign(Message, frozen=True, tag=40):
    """Run this when a slot is free. Report or Return follows, and Started if it is wanted."""

    job: JobId
    attempt: int
    spec: bytes
    wants_started: bool


class Recall(Message, frozen=True, tag=41):
    """Give this job back if it has not begun. Return follows, or Report as ever."""

    job: JobId
    attempt: int


class Kill(Message, frozen=True, tag=42):
    """End this job. Report follows."""

    job: JobId
    attempt: int


# Blob connections


class Put(Message, frozen=True, tag=50):
    """A blob, from a client: its content follows raw. Stored or Refused is the answer."""

    digest: Digest
    is_executable: bool = False


class Stored(Message, frozen=True, tag=51):
    """The blob is verified and kept."""

    digest: Digest


class Refused(Message, frozen=True, tag=52):
    """The blob cannot be kept."""

    digest: Digest
    message: str


class Get(Message, frozen=True, tag=53):
    """A worker needs these blobs. One Blob or Absent follows for each, in this order."""

    digests: tuple[Digest, ...]


class Blob(Message, frozen=True, tag=54):
    """A blob, for a worker: its content follows raw."""

    digest: Digest
    is_executable: bool = False


class Absent(Message, frozen=True, tag=55):
    """The broker cannot give this blob."""

    digest: Digest
    message: str


# Somebody who wants a certificate


class AskAuthority(Message, frozen=True, tag=60):
    """Show me whom I am to believe. Authority is the answer; I hold it against my token's pin."""


class Authority(Message, frozen=True, tag=61):
    """The authority's certificate (PEM)."""

    certificate: bytes


class Enrol(Message, frozen=True, tag=62):
    """Make me a worker of this name. Enrolled is the answer, or Goodbye."""

    token: str
    name: str
    request: bytes


class Renew(Message, frozen=True, tag=63):
    """Give me a certificate like the one I came with. Enrolled is the answer, or Goodbye."""

    request: bytes


class Enrolled(Message, frozen=True, tag=64):
    """A certificate for the key of the request, and what its holder needs besides (PEM)."""

    certificate: bytes
    authority: bytes
    revoked: bytes


ClientToBroker = Submit | Cancel | Offer | Withhold | Resume | Ping | Goodbye
BrokerToClient = Ended | Status | Want | Unknown | Welcome | Ping | Goodbye
WorkerToBroker = Report | Started | Return | Join | Leave | Ping | Goodbye
BrokerToWorker = Assign | Recall | Kill | Welcome | Ping | Goodbye
# Operators


class AskState(Message, frozen=True, tag=70):
    """What are you doing? StateIs is the answer."""


class StateIs(Message, frozen=True, tag=71):
    """What the broker is doing, as JSON."""

    body: bytes


class Drain(Message, frozen=True, tag=72):
    """Give a worker nothing more, or jobs again. Done or Failed is the answer, as to all below."""

    worker: str
    is_draining: bool


class CancelJobs(Message, frozen=True, tag=73):
    """Take back a client's job, or all of them if the number is 0."""

    client: str
    number: int = 0


class Stop(Message, frozen=True, tag=74):
    """End yourself, at once or when no jobs are left."""

    is_draining: bool


class Done(Message, frozen=True, tag=75):
    """It is done, in words for a person."""

    message: str


class Failed(Message, frozen=True, tag=76):
    """It cannot be done."""

    message: str
    hint: str = ""


AdminToBroker = AskState | Drain | CancelJobs | Stop | Ping | Goodbye
BrokerToAdmin = StateIs | Done | Failed | Ping | Goodbye
JoinToBroker = AskAuthority | Enrol | Renew | Ping | Goodbye
BrokerToJoin = Authority | Enrolled | Ping | Goodbye
ToBlobs = Put | Get | Ping | Goodbye
FromBlobs = Stored | Refused | Blob | Absent | Welcome | Ping | Goodbye
