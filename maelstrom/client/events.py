"""What a test run hears, and what it answers that is to be done."""

import msgspec

from maelstrom.client.history import History
from maelstrom.client.undeclared import Undeclared
from maelstrom.frameworks.base import Framework, Target
from maelstrom.model.case import Case, CaseResult
from maelstrom.model.outcome import Outcome, OutputFile
from maelstrom.model.spec import JobSpec
from maelstrom.report.events import Event


class TargetPlan(msgspec.Struct, frozen=True):
    """One target: `spec` is the world of all its jobs, in which only the program differs.

    A target of several Python sources has several `programs`; their cases are one list.
    """

    name: str
    framework: Framework
    programs: tuple[Target, ...]
    spec: JobSpec
    again: str = ""
    """The command that runs just this target, for a person."""
    undeclared: Undeclared | None = None
    """Explains what cases of it asked for in vain."""


class TargetReady(msgspec.Struct, frozen=True):
    """A target can be run."""

    plan: TargetPlan
    history: History = History()


class TargetBroken(msgspec.Struct, frozen=True):
    """A target cannot be run: its layers could not be made, for one."""

    name: str
    message: str
    hint: str = ""
    is_ours: bool = False
    again: str = ""


class TargetDropped(msgspec.Struct, frozen=True):
    """A target that was asked for before a stop, and not prepared any more."""

    name: str


class JobStarted(msgspec.Struct, frozen=True):
    """A job left the queue."""

    job: int


class JobEnded(msgspec.Struct, frozen=True):
    """A job has an outcome."""

    job: int
    outcome: Outcome


class EngineFailed(msgspec.Struct, frozen=True):
    """Nothing can run any more: no broker, no sandbox."""

    message: str
    hint: str = ""


class Stopped(msgspec.Struct, frozen=True):
    """A failure has ended the build, or the user has."""

    is_interrupt: bool


RunEvent = (
    TargetReady | TargetBroken | TargetDropped | JobStarted | JobEnded | EngineFailed | Stopped
)


class SubmitJob(msgspec.Struct, frozen=True):
    """Hand a job to the engine."""

    job: int
    spec: JobSpec
    priority: int
    estimate_s: float
    may_be_cached: bool = True
    target: str = ""
    case: str = ""
    """Empty for one that lists cases."""
    why: str = ""


class CancelJobs(msgspec.Struct, frozen=True):
    """Take back what is queued, and what runs too if so told."""

    running: bool


class Tell(msgspec.Struct, frozen=True):
    """Give an event to the reporter."""

    event: Event


class KeepListing(msgspec.Struct, frozen=True):
    """Remember the cases of a target."""

    target: str
    digest: str
    cases: tuple[Case, ...]


class KeepResult(msgspec.Struct, frozen=True):
    """Remember how a case ended."""

    target: str
    case: str
    digest: str
    is_good: bool
    duration_s: float


class KeepFiles(msgspec.Struct, frozen=True):
    """Write down what a case has brought back."""

    target: str
    case: str
    files: tuple[OutputFile, ...]


class EndTarget(msgspec.Struct, frozen=True):
    """A target is over; `complaint` is empty if it passed."""

    name: str
    complaint: str = ""
    is_ours: bool = False
    is_cancelled: bool = False
    results: tuple[CaseResult, ...] = ()
    """Of one that passed: its cases without their output."""


Instruction = SubmitJob | CancelJobs | Tell | KeepListing | KeepResult | KeepFiles | EndTarget
