"""A test run that lists cases and tells in which order they would be run, instead of running them.

Rules of this file:
1. Programs are built and list their cases as ever. No case runs; no result is remembered, be it one
   that was taken from the record.
2. A target whose order is told ends well, so that the build goes on to the next.
"""

from maelstrom.client.driver import Driver
from maelstrom.client.events import EndTarget, Instruction, JobEnded, KeepResult, SubmitJob, Tell
from maelstrom.model.case import Status
from maelstrom.model.outcome import Cancelled
from maelstrom.report.events import CaseFinished
from maelstrom.report.order import Planned


class ExplainingDriver(Driver):
    """Gives each case to `on_case` instead of to the engine."""

    def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case SubmitJob() if instruction.case:
                self._plan(instruction)
            case Tell(CaseFinished(result)) if result.verdict.status is Status.CANCELLED:
                pass
            case KeepResult():
                pass
            case EndTarget(name, complaint) if instruction.is_cancelled or not complaint:
                self._record.save()
                self._on_end.pop(name)(EndTarget(name))
            case _:
                super()._carry_out(instruction)

    def _plan(self, job: SubmitJob) -> None:
        spec = job.spec
        assert self.on_case is not None, "somebody wants to know"
        self.on_case(
            Planned(
                job.target,
                job.case,
                job.priority,
                job.estimate_s,
                job.why,
                spec.resources,
                spec.uncached_because if spec.is_local else "",
            )
        )
        self._events.put(JobEnded(job.job, Cancelled()))
