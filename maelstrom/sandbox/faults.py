"""Say whose fault a failed step is, and what to do about it.

A pure translation from what a slot reports to an outcome.
"""

import errno
import os

from maelstrom.model.outcome import ExecutionError, InfrastructureFault
from maelstrom.sandbox import steps

# Short of something that has nothing to do with the job: never the spec's fault.
_OURS = frozenset(
    (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EIO, errno.ENOSPC, errno.ESRCH)
)
_BLAME_SPEC = (
    steps.Spawn,
    steps.EnterDirectory,
    steps.MakeDirectory,
    steps.MountBind,
    steps.MountDevices,
    steps.MountMessageQueues,
    steps.MountProcesses,
    steps.MountPseudoTerminals,
    steps.MountScratch,
    steps.MountSys,
    steps.MountTmp,
)


def explain(
    step: steps.Step, number: int, words: str, hint: str
) -> ExecutionError | InfrastructureFault:
    """Return the outcome of a job whose `step` failed with an error number, in the slot's words."""
    hint = hint or _hint(step, number)
    if isinstance(step, steps.Spawn) and number not in _OURS:
        return ExecutionError(words, hint)
    message = f"cannot {step.text}: {_reason(step, number, words)}"
    if isinstance(step, _BLAME_SPEC) and number not in _OURS:
        return ExecutionError(message, hint)
    return InfrastructureFault(message, hint)


def _reason(step: steps.Step, number: int, words: str) -> str:
    match step:
        case steps.EnterDirectory() if number == errno.ENOTDIR:
            return "it is not a directory"
        case _:
            return words or os.strerror(number)


def _hint(step: steps.Step, number: int) -> str:
    match step, number:
        case steps.MountRoot() | steps.MountStack(), errno.ENOENT:
            return "a layer was removed from the store while it was needed"
        case steps.MountRoot() | steps.MountStack(), errno.EINVAL:
            return "`python -m maelstrom.sandbox --check` tells what this host's kernel can do"
        case steps.MountBind(), errno.ENOENT:
            return "the path must exist on the host before the job starts"
        case steps.MountBind(), errno.EACCES:
            return "the user that runs the worker must be allowed to reach it"
        case _:
            return ""
