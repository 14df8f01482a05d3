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
    may_return: bool = False
    """Only this connection: what is refused now may be had a little later."""


# Broker to client or worker, first of all


class Welcome(Message, frozen=True, tag=2):
    """You are in. `token` makes your blob connections yours."""

    token: str
    is_local: bool
    """Whether paths of your files mean the same to me: then offer content as paths."""
    is_resumed: bool = False
    """Whether I know you by the token of your hello. A client says Resume then."""
    jobs_max: int = 0
    """How many jobs a client may have here that have not ended; one more is refused."""


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


class Fetched(Message, frozen=True, tag=15):
    """I have, or do not want any more, the outputs that this job's outcome refers to."""

    number: int


# Broker to client


class Want(Message, frozen=True, tag=20):
    """Give me these contents: each is answered by Offer, Parcel or Withhold."""

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
    missed: str = ""
    """For a person, if it might have been: why not."""


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


class Kept(Message, frozen=True, tag=43):
    """The outputs of this report need not be kept for me any more."""

    job: JobId
    attempt: int


# Blob connections: either end. Clients and workers give and get, the broker answers.

PLAIN, ZSTD = 0, 1
"""How the content of a parcel is coded."""


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """A part of a blob, or all of it."""

    digest: Digest
    offset: int
    length: int
    is_executable: bool = False


class Parcel(Message, frozen=True, tag=50):
    """Content of these pieces, one after the other. Took follows, and Refused for what is wrong."""

    pieces: tuple[Piece, ...]
    coding: int
    content: memoryview


class Took(Message, frozen=True, tag=51):
    """So many bytes of content need no room any more, and these blobs are verified and kept."""

    size_bytes: int
    stored: tuple[Digest, ...] = ()


class Refused(Message, frozen=True, tag=52):
    """This blob cannot be kept."""

    digest: Digest
    message: str


class Get(Message, frozen=True, tag=53):
    """I need these, each from an offset. Parcels follow, or Absent."""

    wanted: tuple[tuple[Digest, int], ...]


class Absent(Message, frozen=True, tag=54):
    """I cannot give this blob, or not the rest of it."""

    digest: Digest
    message: str


class AskLacking(Message, frozen=True, tag=55):
    """Which of these do you lack? Lacking follows."""

    digests: tuple[Digest, ...]


class Lacking(Message, frozen=True, tag=56):
    """Of those you asked about, or gave, I lack these, each from an offset; I have the others."""

    digests: tuple[Digest, ...]
    """Those that were asked about."""
    wanted: tuple[tuple[Digest, int], ...]


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


ClientToBroker = Submit | Cancel | Offer | Withhold | Resume | Fetched | Ping | Goodbye
BrokerToClient = Ended | Status | Want | Unknown | Welcome | Ping | Goodbye
WorkerToBroker = Report | Started | Return | Join | Leave | Ping | Goodbye
BrokerToWorker = Assign | Recall | Kill | Kept | Welcome | Ping | Goodbye
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


class LimitClient(Message, frozen=True, tag=77):
    """Give a client other limits than all have: `jobs`, `bytes`, `slots`, `priority`.

    Those that are not named stay as they are; if none is, it gets those that all have."""

    client: str
    limits: dict[str, int]


class AskOrder(Message, frozen=True, tag=78):
    """Which jobs are next, so many of them at the most, and why? OrderIs is the answer."""

    count: int


class OrderIs(Message, frozen=True, tag=79):
    """The next jobs, the first first, as JSON."""

    body: bytes


class Done(Message, frozen=True, tag=75):
    """It is done, in words for a person."""

    message: str


class Failed(Message, frozen=True, tag=76):
    """It cannot be done."""

    message: str
    hint: str = ""


AdminToBroker = AskState | AskOrder | Drain | CancelJobs | LimitClient | Stop | Ping | Goodbye
BrokerToAdmin = StateIs | OrderIs | Done | Failed | Ping | Goodbye
JoinToBroker = AskAuthority | Enrol | Renew | Ping | Goodbye
BrokerToJoin = Authority | Enrolled | Ping | Goodbye
Blobs = Parcel | Took | Refused | Get | Absent | AskLacking | Lacking | Ping | Goodbye
