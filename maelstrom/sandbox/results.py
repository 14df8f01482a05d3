"""Turn what a slot reports into an outcome: pure."""

import os

from maelstrom.model.outcome import (
    Cancelled,
    Effects,
    ExecutionError,
    Exited,
    InfrastructureFault,
    LimitExceeded,
    Outcome,
    Output,
    Signaled,
    TimedOut,
)
from maelstrom.sandbox.channel import Message
from maelstrom.sandbox.faults import explain, explain_refusal
from maelstrom.sandbox.plan import Plan


def outcome_of(plan: Plan, reply: Message) -> Outcome:
    """Return how the job of a plan ended, from the slot's reply."""
    match reply:
        case ("ended", str(why), int(status), *rest):
            return _ended(why, status, _effects(*rest))  # type: ignore[arg-type]  # As the slot sends them.
        case ("failed", int(number), int(error), str(words), str(hint)):
            return explain(plan.steps[number], error, words, hint)
        case ("refused", int(error), str(words), str(hint)):
            return explain_refusal(error, words, hint)
        case ("spoiled", str(words)):
            return ExecutionError(words, "what may come back is bound by what a job may write")
        case ("fault", str(words)):
            return InfrastructureFault(f"a slot gave up: {words}", "the job may be run again")
        case _:
            return InfrastructureFault(f"a slot gave an answer that makes no sense: {reply[:1]!r}")


def _ended(why: str, status: int, effects: Effects) -> Outcome:
    if why == "killed":
        return Cancelled()
    if why == "timeout":
        return TimedOut(effects)
    if why in ("memory", "disk"):
        return LimitExceeded(why, effects)
    if os.WIFSIGNALED(status):
        return Signaled(os.WTERMSIG(status), effects)
    return Exited(os.WEXITSTATUS(status), effects)


def _effects(
    duration_s: float,
    cpu_user_s: float,
    cpu_system_s: float,
    memory_peak_bytes: int,
    stdout: tuple[bytes, bytes, int],
    stderr: tuple[bytes, bytes, int],
) -> Effects:
    return Effects(
        stdout=Output(*stdout),
        stderr=Output(*stderr),
        duration_s=duration_s,
        cpu_user_s=cpu_user_s,
        cpu_system_s=cpu_system_s,
        memory_peak_bytes=memory_peak_bytes,
    )
