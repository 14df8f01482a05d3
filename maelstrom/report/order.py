"""The report of a run that only tells in which order cases would be run, and why."""

import threading
from typing import NamedTuple, TextIO

from maelstrom.model.label import LABEL
from maelstrom.report.events import Event, RunFinished, TargetFailed
from maelstrom.report.line import Writer
from maelstrom.report.summary import Summary
from maelstrom.report.wording import Wording, duration, place

EXCLUSIVE = "exclusive:"


class Planned(NamedTuple):
    """A case that would be run, and what its place comes from."""

    target: str
    case: str
    priority: int
    estimate_s: float
    """How long it took last time; 0 for unknown, which counts as the longest."""
    why: str
    """It would be run at all."""
    resources: tuple[tuple[str, int], ...] = ()
    bound: str = ""
    """Why it must run on this machine, if so."""

    @property
    def rank(self) -> tuple[int, float]:
        """What the order goes by; equal ones are in the order in which they came."""
        return -self.priority, -(self.estimate_s or float("inf"))


class OrderReporter:
    """Says nothing of single cases but their order, at the end."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self.summary = Summary()
        self._writer = Writer(stream)
        self._wording = Wording(colour=colour)
        self._planned: list[Planned] = []
        self._lock = threading.Lock()

    def plan(self, case: Planned) -> None:
        """Take in a case; called from any thread."""
        with self._lock:
            self._planned.append(case)

    def handle(self, event: Event) -> None:
        """Take in what happened; called from any thread."""
        with self._lock:
            self.summary.handle(event)
            match event:
                case TargetFailed():
                    self._writer.write(self._wording.broken(event))
                case RunFinished():
                    self._writer.write(self._lines())
                case _:
                    pass

    def close(self) -> None:
        """Nothing is held back."""

    def _lines(self) -> list[str]:
        lines = []
        if self._planned:
            lines.append(f"{len(self._planned)} cases would be run, the first one first:")
        # Sorting is stable: first come, first served among equals.
        for number, case in enumerate(sorted(self._planned, key=lambda c: c.rank), 1):
            reasons = "; ".join(_reasons(case))
            lines.append(f"{number:5}  {place(case.target, case.case)}  ({reasons})")
        summary = self.summary
        if summary.cached:
            lines.append(f"{summary.cached} cases would not be run: equal ones have passed")
        if summary.up_to_date:
            lines.append(f"{summary.up_to_date} targets are up to date")
        if summary.unreached:
            lines.append(f"{summary.unreached} targets could not be looked at")
        return lines or ["no case would be run"]


def _reasons(case: Planned) -> list[str]:
    reasons = [f"first: {case.why}"] if case.priority else [case.why]
    if case.estimate_s:
        reasons.append(f"took {duration(case.estimate_s)} last time")
    else:
        reasons.append("duration not known: counts as the longest")
    for name, amount in case.resources:
        if name.startswith(EXCLUSIVE):
            reasons.append(f"one at a time of `{name.removeprefix(EXCLUSIVE)}`")
        elif name.startswith(LABEL):
            reasons.append(f"needs a worker with the label `{name.removeprefix(LABEL)}`")
        elif name != "slots":
            reasons.append(f"needs {amount} of `{name}`")
        elif amount > 1:
            reasons.append(f"needs {amount} slots")
    if case.bound:
        reasons.append(f"on this machine: {case.bound}")
    return reasons
