"""How much each client may have at a time; no I/O, no clock.

Rules of this file:
1. All sessions of one holder of a certificate count as one client.
2. Whoever has enough is told that the broker is busy, and by what; others never notice.
3. An operator may give one client other limits than all have; they outlive the broker.
4. Bytes count from the first job of a client to its last: what the broker keeps for it meanwhile.
   Those of outputs count until they are fetched; only when they are here it is known how many.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from maelstrom.errors import InfrastructureError

JOBS_MAX = 1_000_000
BYTES_MAX = 64 << 30
SPEC_BYTES_MAX = 1 << 30


class Busy(InfrastructureError):
    """A client has as much as it may have."""


class Quota(NamedTuple):
    """What one client may have."""

    jobs: int = JOBS_MAX
    size_bytes: int = BYTES_MAX
    """Of specs and contents it gives, and of outputs that it has not fetched."""
    slots: int = 0
    """At a time; 0 for as many as there are."""
    priority: int = 0
    """Among clients: those of a higher one get slots first."""
    spec_bytes: int = SPEC_BYTES_MAX
    """Of the specs of jobs that have not ended: they are in the broker's memory."""

    def __str__(self) -> str:
        slots = f"{self.slots} slots" if self.slots else "any number of slots"
        return f"{self.jobs} jobs, {self.size_bytes} bytes, {slots}, priority {self.priority}"


NO_QUOTA = Quota()


@dataclass(slots=True)
class _Usage:
    jobs: int = 0
    size_bytes: int = 0
    spec_bytes: int = 0
    output_bytes: int = 0
    """They are among `size_bytes`, too."""


@dataclass(slots=True)
class Quotas:
    """What all clients have."""

    quota: Quota = NO_QUOTA
    _own: dict[str, Quota] = field(default_factory=dict)
    _usage: dict[str, _Usage] = field(default_factory=dict)

    def of(self, owner: str) -> Quota:
        """Return what holds for a client."""
        return self._own.get(owner, self.quota)

    def set(self, owner: str, quota: Quota | None) -> None:
        """Give a client its own limits, or those that all have."""
        if quota is None:
            self._own.pop(owner, None)
        else:
            self._own[owner] = quota

    def take_job(self, owner: str, size_bytes: int) -> None:
        """Count a job; raises Busy, and then it is not counted."""
        usage = self._usage.get(owner)
        if usage is None:
            usage = self._usage[owner] = _Usage()
        quota = self.of(owner)
        if usage.jobs >= quota.jobs:
            raise Busy(
                f"the broker is busy: {owner} has {usage.jobs} jobs, and may have no more",
                hint=f"submit fewer at a time, or have it raised: maelstrom-admin limit {owner}",
            )
        if usage.spec_bytes + size_bytes > quota.spec_bytes:
            raise Busy(
                f"the broker is busy: {owner} has jobs whose specs are of {usage.spec_bytes} "
                f"bytes, and {size_bytes} more are too many",
                hint=f"submit fewer at a time, or have it raised: maelstrom-admin limit {owner}",
            )
        if usage.size_bytes + size_bytes > quota.size_bytes:
            raise _too_many_bytes(owner, usage, quota, size_bytes)
        usage.size_bytes += size_bytes
        usage.jobs += 1
        usage.spec_bytes += size_bytes

    def restore_job(self, owner: str, size_bytes: int) -> None:
        """Count a job from before our restart, whatever the limits are now."""
        usage = self._usage.setdefault(owner, _Usage())
        usage.jobs += 1
        usage.spec_bytes += size_bytes

    def take_content(self, owner: str, size_bytes: int) -> None:
        """Count content that a client gives; raises Busy."""
        usage, quota = self._usage.setdefault(owner, _Usage()), self.of(owner)
        if usage.size_bytes + size_bytes > quota.size_bytes:
            raise _too_many_bytes(owner, usage, quota, size_bytes)
        usage.size_bytes += size_bytes

    def end_job(self, owner: str, size_bytes: int) -> None:
        """A job has ended, or its client left."""
        usage = self._usage[owner]
        usage.jobs -= 1
        usage.spec_bytes -= size_bytes
        if not usage.jobs:
            self._end(owner, usage)

    def take_outputs(self, owner: str, size_bytes: int) -> None:
        """Count outputs that are kept for a client, whatever the limits are."""
        usage = self._usage.setdefault(owner, _Usage())
        usage.size_bytes += size_bytes
        usage.output_bytes += size_bytes

    def check_outputs(self, owner: str) -> None:
        """Raise Busy if a client has more than it may have, its outputs among it."""
        usage, quota = self._usage.get(owner, _Usage()), self.of(owner)
        if usage.size_bytes > quota.size_bytes:
            raise Busy(
                f"the broker is busy: it has {usage.size_bytes} bytes of {owner}, with "
                f"{usage.output_bytes} of outputs, and may have {quota.size_bytes}",
                hint="let a job leave less, or run fewer at a time, or have it raised: "
                f"maelstrom-admin limit {owner}",
            )

    def release_outputs(self, owner: str, size_bytes: int) -> None:
        """Outputs are fetched, or nobody wants them any more."""
        # If they were empty, it may have been forgotten.
        usage = self._usage.setdefault(owner, _Usage())
        usage.size_bytes -= size_bytes
        usage.output_bytes -= size_bytes
        if not usage.jobs:
            self._end(owner, usage)

    def _end(self, owner: str, usage: _Usage) -> None:
        """Count no more, without a job, than what is to be fetched."""
        usage.size_bytes = usage.output_bytes
        if not usage.output_bytes:
            del self._usage[owner]

    def usage(self, owner: str) -> tuple[int, int]:
        """Return a client's jobs and bytes."""
        usage = self._usage.get(owner, _Usage())
        return usage.jobs, usage.size_bytes


def _too_many_bytes(owner: str, usage: _Usage, quota: Quota, size_bytes: int) -> Busy:
    return Busy(
        f"the broker is busy: {owner} gave it {usage.size_bytes} bytes for its jobs, and "
        f"{size_bytes} more are too many",
        hint=f"the limit is {quota.size_bytes}; wait until jobs have ended, or "
        f"have it raised: maelstrom-admin limit {owner}",
    )
