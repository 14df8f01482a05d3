"""What a process may say about itself: prctl, limits, priorities."""

import ctypes
import os
import resource

from maelstrom.linux.calls import system_call

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38

_NO_ROOT, _NO_SETUID_FIXUP = 1 << 0, 1 << 2
_IOPRIO_WHO_PROCESS = 1
# Counted from the state, the first field after the name.
_ARGUMENTS_START = 45
# What Linux 5.3 and later tell of how a process is scheduled.
_SCHEDULING_BYTES = 56
# Ours for good, as each slot asks after each job.
_scheduling = ctypes.create_string_buffer(_SCHEDULING_BYTES)


def set_parent_death_signal(signal: int) -> None:
    """Have a signal sent when the thread that made this process ends.

    A change of identity clears it: set it afterwards.
    """
    system_call("prctl", _PR_SET_PDEATHSIG, signal, 0, 0, 0)


def set_dumpable(*, is_dumpable: bool) -> None:
    """Own the files below /proc/self, as is lost by a change of identity, or leave them to root."""
    system_call("prctl", _PR_SET_DUMPABLE, int(is_dumpable), 0, 0, 0)


def become(user: int, group: int) -> None:
    """Be another user for good, without supplementary groups."""
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    set_dumpable(is_dumpable=True)


def set_name(name: bytes) -> None:
    """Set the name that `ps` shows, of at most 15 bytes."""
    system_call("prctl", _PR_SET_NAME, name, 0, 0, 0)


def set_command(words: bytes) -> None:
    """Set what others see as the arguments of this process; cut to the room there is."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b") ")[2].split()
    start, end = int(fields[_ARGUMENTS_START]), int(fields[_ARGUMENTS_START + 1])
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, words, min(len(words), end - start - 1))


def set_no_new_privileges() -> None:
    """Let no exec gain privileges any more, here and in all children."""
    system_call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def forbid_root_privileges() -> None:
    """Let user 0 be an ordinary user for exec, for good, here and in all children."""
    bits = _NO_ROOT | _NO_SETUID_FIXUP
    # Each bit has its lock just above it.
    system_call("prctl", _PR_SET_SECUREBITS, bits | bits << 1, 0, 0, 0)


def lower_limit(limit: int, value: int) -> None:
    """Set a limit of this process and what it may go up to, or leave what is less already."""
    hard = resource.getrlimit(limit)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(limit, (value, value))


def scheduling(pid: int) -> bytes:
    """Return policy, niceness, slice and bounds of a process, in the kernel's form; 0 is this."""
    system_call("sched_getattr", pid, _scheduling, _SCHEDULING_BYTES, 0)
    return _scheduling.raw


def io_priority(pid: int) -> int:
    """Return a process's I/O priority; 0 is this one."""
    return system_call("ioprio_get", _IOPRIO_WHO_PROCESS, pid)
