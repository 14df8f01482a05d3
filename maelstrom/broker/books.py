"""What the scheduler writes down of each job and each worker."""

from dataclasses import dataclass, field

from maelstrom.broker.queue import Shape
from maelstrom.model.ids import JobId, WorkerId

PREFETCH_MIN = 2
PREFETCH_MAX = 8
UNKNOWN_S = float("inf")


@dataclass(slots=True)
class Job:
    """A job that lacks nothing but a worker, or has one."""

    shape: Shape
    priority: int
    estimate_s: float
    number: int
    worker: WorkerId | None = None
    attempt: int = 0
    faults: int = 0
    losses: int = 0
    is_told: bool = False
    """Its client knows its end, or is gone: nothing is told any more."""
    is_recalled: bool = False
    is_unwanted: bool = False
    """Cancelled unless it has begun."""


@dataclass(slots=True)
class Worker:
    """A worker, and what it was given."""

    slots: int
    tokens: dict[str, int]
    free: dict[str, int] = field(init=False)
    prefetch: int = field(init=False)
    jobs: dict[JobId, None] = field(default_factory=dict)
    used: int = 0
    recalled: int = 0
    is_taken: bool = False
    """By one job that runs alone."""
    held_for: Shape | None = None
    is_absent: bool = False
    is_draining: bool = False

    def __post_init__(self) -> None:
        self.free = dict(self.tokens)
        self.prefetch = min(max(self.slots, PREFETCH_MIN), PREFETCH_MAX)

    @property
    def is_open(self) -> bool:
        """Whether it may be given anything at all."""
        return not (self.is_absent or self.is_draining)

    def fits(self, shape: Shape) -> bool:
        """Whether there is room for it now."""
        if self.is_taken or (shape.is_alone and self.jobs):
            return False
        # Only jobs of one slot are worth sending ahead: others would keep their resources idle.
        ahead = self.prefetch if shape == Shape() else 0
        return self.used + min(shape.slots, self.slots) <= self.slots + ahead and all(
            self.free.get(name, 0) >= amount for name, amount in shape.tokens
        )

    def could_fit(self, shape: Shape) -> bool:
        """Whether there would be room for it if nothing else was here."""
        return shape.slots <= self.slots and all(
            self.tokens.get(name, 0) >= amount for name, amount in shape.tokens
        )

    def take(self, name: JobId, shape: Shape) -> None:
        """Note that it has a job."""
        self.jobs[name] = None
        self.used += shape.slots
        self.is_taken = shape.is_alone
        for token, amount in shape.tokens:
            self.free[token] -= amount

    def give_back(self, name: JobId, shape: Shape) -> None:
        """Note that it has the job no more."""
        del self.jobs[name]
        self.used -= shape.slots
        self.is_taken = False
        for token, amount in shape.tokens:
            self.free[token] += amount
