"""What a test framework enumerates, and what becomes of it."""

import enum

import msgspec


class Status(enum.Enum):
    """The verdict on one case."""

    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    CRASHED = "crashed"
    SKIPPED = "skipped"
    DISABLED = "disabled"
    EXECUTION_ERROR = "execution error"
    INFRASTRUCTURE_ERROR = "infrastructure error"
    CANCELLED = "cancelled"

    @property
    def is_good(self) -> bool:
        """Whether a run in which every case has such a status is green."""
        return self in (Status.PASSED, Status.SKIPPED, Status.DISABLED)


class Case(msgspec.Struct, frozen=True):
    """One test case of a target: `name` is what the framework needs to run exactly this one."""

    name: str
    is_disabled: bool = False
    reason: str = ""
    """Why it is disabled, if the framework says so."""
    markers: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    edition: str = ""
    """Which edition of the framework listed it, where they run a case differently."""


class Verdict(msgspec.Struct, frozen=True):
    """What a framework reads out of an outcome.

    `reason` is one line for a person: the first failed assertion, the signal, why it was skipped.
    `stdout` and `stderr` are the case's output without the framework's own noise.
    """

    status: Status
    reason: str = ""
    stdout: str = ""
    stderr: str = ""


class CaseResult(msgspec.Struct, frozen=True):
    """One case of one target with its verdict and its costs."""

    target: str
    case: str
    verdict: Verdict
    duration_s: float = 0.0
    cpu_s: float = 0.0
    memory_peak_bytes: int = 0
    worker: str = ""
    is_cached: bool = False
    """Taken from the record of an equal, passed job instead of being run again."""
    ran_because: str = ""
    """Why it was not."""
    hint: str = ""
    """What may mend it, a line for each thing."""
    missed: str = ""
    """Why the broker had no equal one."""
