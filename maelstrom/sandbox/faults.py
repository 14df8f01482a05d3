"""Say whose fault a failed step is, and what to do about it.

A pure translation from what a slot reports to an outcome. The spec is to blame where it names
something that is not there, or that is of another kind; whatever else the kernel has against a step
is ours.
"""

import errno
import os

from maelstrom.model.outcome import ExecutionError, InfrastructureFault
from maelstrom.sandbox import steps

# Short of something that has nothing to do with the job: never the spec's fault.
_SHORT = frozenset(
    (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EIO, errno.ENOSPC, errno.ESRCH)
)
# What a path may be to blame for.
_PATH = frozenset(
    (
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),
        *(errno.EACCES, errno.EXDEV, errno.EROFS),
    )
)
_BLAME_SPEC = (
    steps.EnterDirectory,
    steps.MakeDevices,
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
_CHECK = "`python -m maelstrom.sandbox --check` tells what this host allows"
_SHORTAGES = {
    errno.ENOSPC: "a disk, or the room for what jobs write, is full",
    errno.EIO: "a disk may be damaged; `dmesg` may tell which",
}


def explain(
    step: steps.Step, number: int, words: str, hint: str
) -> ExecutionError | InfrastructureFault:
    """Return the outcome of a job whose `step` failed with an error number, in the slot's words."""
    message = f"cannot {step.text}: {_reason(step, number, words)}"
    hint = hint or _hint(step, number)
    if isinstance(step, _BLAME_SPEC) and number in _PATH:
        return ExecutionError(message, hint)
    return InfrastructureFault(message, hint or _shortage(number))


def explain_refusal(number: int, words: str, hint: str) -> ExecutionError | InfrastructureFault:
    """Return the outcome of a job whose program was not started, for a reason in words."""
    if number in _SHORT:
        return InfrastructureFault(words, hint or _shortage(number))
    return ExecutionError(words, hint)


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
        case steps.MountBind(), errno.ENOENT:
            return "the path must exist on the host before the job starts"
        case steps.MountBind(), errno.EACCES:
            return "the user that runs the worker must be allowed to reach it"
        case _, errno.EROFS:
            return "it lies in something mounted read-only, where no mount point can be made"
        case _:
            return ""


def _shortage(number: int) -> str:
    if number in _SHORTAGES:
        return _SHORTAGES[number]
    if number in _SHORT:
        return "the host is short of memory, processes or open files"
    return _CHECK
