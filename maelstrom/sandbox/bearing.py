"""What a process passes on to those it starts, and others of its user can change from outside."""

import os
import resource
from typing import NamedTuple

from maelstrom.linux import process

# All the kernel has: one of them Python has no name for.
_LIMITS = range(16)


class Bearing(NamedTuple):
    """Limits and priorities."""

    limits: tuple[tuple[int, int], ...]
    scheduling: bytes
    processors: set[int]
    io_priority: int

    @classmethod
    def of_slot(cls) -> "Bearing":
        """Return our own; the limits of process 1 are kept from others by the filter of calls."""
        return cls._with_limits(0, ())

    @classmethod
    def of(cls, pid: int) -> "Bearing":
        """Return that of a process."""
        return cls._with_limits(pid, tuple(resource.prlimit(pid, limit) for limit in _LIMITS))

    @classmethod
    def _with_limits(cls, pid: int, limits: tuple[tuple[int, int], ...]) -> "Bearing":
        return cls(
            limits,
            process.scheduling(pid),
            os.sched_getaffinity(pid),
            process.io_priority(pid),
        )
