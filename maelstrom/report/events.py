"""What happened in a run of tests: the only input of every report.

Rules of these events:
1. RunStarted is the first and RunFinished the last; both carry the same monotonic clock.
2. A target is listed, then its cases start and finish in any order, then it is finished. A case
   that needs no job (disabled, taken from the record) finishes without having started.
3. A target that fails is told with TargetFailed instead of, or after, its list; cases of it that
   have not finished by then never will.
4. Targets that did not run at all are told of before the run is finished.
5. Names and outputs come from tests and are hostile: a report cleans what it prints.
"""

import msgspec

from maelstrom.model.case import CaseResult


class RunStarted(msgspec.Struct, frozen=True):
    """A run begins; `where` says for a person where its jobs run."""

    time_s: float
    where: str


class TargetListed(msgspec.Struct, frozen=True):
    """The cases of a target are known; `again` is the command that runs just this target."""

    target: str
    cases: tuple[str, ...]
    again: str = ""


class CaseStarted(msgspec.Struct, frozen=True):
    """A job of a case is running."""

    target: str
    case: str


class CaseFinished(msgspec.Struct, frozen=True):
    """A case has its verdict."""

    result: CaseResult


class TargetFailed(msgspec.Struct, frozen=True):
    """A target as a whole could not be tested: it does not list, or a library is missing.

    `is_ours` tells an infrastructure error from a mistake of the target's own.
    """

    target: str
    message: str
    hint: str = ""
    is_ours: bool = False
    again: str = ""


class TargetFinished(msgspec.Struct, frozen=True):
    """All cases of a target have their verdicts."""

    target: str


class TargetUpToDate(msgspec.Struct, frozen=True):
    """A target had passed before and needed no run; `results` are those of then, if known."""

    target: str
    results: tuple[CaseResult, ...] = ()


class TargetUnreached(msgspec.Struct, frozen=True):
    """A target was asked for and not run; `is_broken` if that is for a fault of its build."""

    target: str
    message: str
    is_broken: bool


class Note(msgspec.Struct, frozen=True):
    """Something a person should know that is no verdict."""

    text: str


class RunFinished(msgspec.Struct, frozen=True):
    """The run is over; `interrupted` if somebody ended it before all cases were done."""

    time_s: float
    interrupted: bool = False


Event = (
    RunStarted
    | TargetListed
    | CaseStarted
    | CaseFinished
    | TargetFailed
    | TargetFinished
    | TargetUpToDate
    | TargetUnreached
    | Note
    | RunFinished
)
