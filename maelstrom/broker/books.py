"""What the scheduler writes down of each job and each worker."""

from dataclasses import dataclass, field
from typing import NamedTuple

from maelstrom.model.digest import Digest
from maelstrom.model.ids import JobId, WorkerId
from maelstrom.model.label import LABEL, labels_of

EXCLUSIVE = "exclusive:"
"""How the name of a resource begins of which there is one for each client."""
PREFETCH_MIN = 2
PREFETCH_MAX = 8
UNKNOWN_S = float("inf")
AHEAD_S_MAX = 0.05
"""A job that is known to take longer loses little by waiting here for a slot that is really free,
and much by waiting at a worker for one that is not."""
LATE_S_MIN = 5.0
LATE_FACTOR = 2.0
"""A job that takes more than that, and than so many times its estimate, gets a twin."""
FAULTS_DOUBTFUL = 3
DOUBT_LOAD = 1000.0
WARM_MAX = 64
"""Sets of layers that a worker is known to have."""


class Shape(NamedTuple):
    """What a job needs of a worker."""

    slots: int = 1
    tokens: tuple[tuple[str, int], ...] = ()
    is_alone: bool = False
    """Whether it gets a worker of its own, as one that may have killed others does."""
    groups: tuple[str, ...] = ()
    """Of each of these, one job of a client runs at a time, wherever."""
    labels: tuple[str, ...] = ()
    """The names of the resources that a worker must have, and keeps."""
    avoids: WorkerId | None = None
    """While it is queued: who failed it, and does not get it while there is another."""

    def anywhere(self) -> "Shape":
        """Return the same for a job that avoids nobody."""
        shape = self._replace(avoids=None)
        return PLAIN if shape == PLAIN else shape

    def __str__(self) -> str:
        if self.is_alone:
            return "a worker of its own"
        slots = "a slot" if self.slots == 1 else f"{self.slots} slots"
        tokens = (f"{amount} of `{name}`" for name, amount in self.tokens)
        labels = (f"the label `{label}`" for label in labels_of(self.labels))
        return ", ".join([slots, *tokens, *labels])

    def __deepcopy__(self, memo: dict[int, object]) -> "Shape":
        """A copied core knows PLAIN by identity, too."""
        return self


PLAIN = Shape()
"""What nearly all jobs need: whatever equals this is this, so that it is told by identity."""


def shape_of(resources: tuple[tuple[str, int], ...]) -> Shape:
    """Return what a job needs that asks for these; of slots it needs one, unless it says more."""
    if not resources:
        return PLAIN
    slots = 1
    tokens = []
    groups = []
    labels = []
    for name, amount in resources:
        if name == "slots":
            slots = amount
        elif name.startswith(EXCLUSIVE):
            groups.append(name)
        elif name.startswith(LABEL):
            labels.append(name)
        else:
            tokens.append((name, amount))
    shape = Shape(
        slots, tuple(sorted(tokens)), groups=tuple(sorted(groups)), labels=tuple(sorted(labels))
    )
    return PLAIN if shape == PLAIN else shape


@dataclass(slots=True, eq=False)
class Job:
    """A job that lacks nothing but a worker, or has one."""

    name: JobId
    shape: Shape
    priority: int
    estimate_s: float
    number: int
    layers: tuple[Digest, ...] = ()
    ticket: int = 0
    """Of its place in the queue; 0 while it has none."""
    worker: WorkerId | None = None
    attempt: int = 0
    """The last that it was given out as."""
    attempts: int = 0
    """Those of its twin are counted, too."""
    since_s: float = 0.0
    faults: int = 0
    fault_at: WorkerId | None = None
    """Where the last of them was, if that was not long ago."""
    losses: int = 0
    is_told: bool = False
    """Its client knows its end, or is gone: nothing is told any more."""
    is_recalled: bool = False
    is_unwanted: bool = False
    """Cancelled unless it has begun."""
    first: "Job | None" = None
    """Of a twin: the job that takes too long."""
    twin: "Job | None" = None

    def is_late(self, now_s: float) -> bool:
        """Whether it takes so long that it may be quicker elsewhere."""
        if self.is_told or self.is_recalled or self.is_unwanted or self.first or self.twin:
            return False
        if self.estimate_s == UNKNOWN_S or self.shape.is_alone or self.shape.groups:
            return False
        return now_s - self.since_s > max(LATE_S_MIN, LATE_FACTOR * self.estimate_s)


@dataclass(slots=True, eq=False)
class Worker:
    """A worker, and what it was given."""

    slots: int
    tokens: dict[str, int]
    free: dict[str, int] = field(init=False)
    prefetch: int = field(init=False)
    jobs: dict[tuple[JobId, int], Job] = field(default_factory=dict)
    used: int = 0
    recalled: int = 0
    is_taken: bool = False
    """By one job that runs alone."""
    held_for: Shape | None = None
    is_absent: bool = False
    is_draining: bool = False
    faults_in_a_row: int = 0
    warm: dict[tuple[Digest, ...], None] = field(default_factory=dict)
    """The layers it ran jobs in, those used last at the end."""
    lately: tuple[Digest, ...] = ()
    """Those used last, which are mostly those that are asked for: to compare is cheaper."""

    def __post_init__(self) -> None:
        self.free = dict(self.tokens)
        self.prefetch = min(max(self.slots, PREFETCH_MIN), PREFETCH_MAX)

    @property
    def is_open(self) -> bool:
        """Whether it may be given anything at all."""
        return not (self.is_absent or self.is_draining)

    @property
    def load(self) -> float:
        """How much it was given, by what it can do at a time; one in doubt comes last."""
        load = self.used / self.slots
        return load + DOUBT_LOAD if self.faults_in_a_row >= FAULTS_DOUBTFUL else load

    @property
    def is_doubtful(self) -> bool:
        """Whether it only failed of late: then it gets one job at a time, until one succeeds."""
        return self.faults_in_a_row >= FAULTS_DOUBTFUL

    @property
    def is_eager(self) -> bool:
        """Whether it would get whatever job of one slot is there."""
        return self.held_for is None and not self.is_doubtful and self.fits(PLAIN)

    @property
    def surplus(self) -> int:
        """How many of its jobs wait, and were not recalled."""
        return len(self.jobs) - self.recalled - self.slots

    def fits(self, shape: Shape) -> bool:
        """Whether there is room for it now."""
        if self.is_taken or (self.jobs and (shape.is_alone or self.is_doubtful)):
            return False
        # Only jobs of one slot are worth sending ahead: others would keep their resources idle.
        if shape is PLAIN:
            return self.used < self.slots + self.prefetch
        return self.used + shape.slots <= self.slots and self._has_tokens(shape)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return what jobs may require of it, and do not use up."""
        return labels_of(self.tokens)

    def _has_tokens(self, shape: Shape) -> bool:
        return self.has_labels(shape) and all(
            self.free.get(name, 0) >= amount for name, amount in shape.tokens
        )

    def could_hold(self, shape: Shape) -> bool:
        """Whether it will have room for it when what it has now has ended."""
        return shape.slots <= self.slots and self._has_tokens(shape)

    def could_fit(self, shape: Shape) -> bool:
        """Whether there would be room for it if nothing else was here."""
        return (
            shape.slots <= self.slots
            and all(self.tokens.get(name, 0) >= amount for name, amount in shape.tokens)
            and self.has_labels(shape)
        )

    def has_labels(self, shape: Shape) -> bool:
        """Whether it is one of those that are meant."""
        return all(name in self.tokens for name in shape.labels)

    def has_turn_for(self, job: Job) -> bool:
        """Whether a job of one slot that fits would begin at once, or may be sent ahead."""
        if self.used < self.slots or not AHEAD_S_MAX < job.estimate_s < UNKNOWN_S:
            return True
        # While it waits there its layers may come.
        return bool(job.layers) and not self.is_warm(job.layers)

    def may_claim(self, job: Job, attempt: int) -> bool:
        """Whether a job that it says it holds can be its own."""
        # After a restart we may know a little less of a job than its worker does.
        return job.worker is None and attempt >= job.attempts and self.fits(job.shape)

    def is_warm(self, layers: tuple[Digest, ...]) -> bool:
        """Whether it ran a job in these layers not long ago."""
        return layers == self.lately or layers in self.warm

    def take(self, job: Job) -> None:
        """Note that it has a job."""
        shape = job.shape
        self.jobs[job.name, job.attempt] = job
        if job.layers and job.layers != self.lately:
            self.lately = job.layers
            self.warm.pop(job.layers, None)
            self.warm[job.layers] = None
            if len(self.warm) > WARM_MAX:
                del self.warm[next(iter(self.warm))]
        self.used += shape.slots
        self.is_taken = shape.is_alone
        for token, amount in shape.tokens:
            self.free[token] -= amount

    def give_back(self, job: Job) -> None:
        """Note that it has the job no more."""
        shape = job.shape
        del self.jobs[job.name, job.attempt]
        self.used -= shape.slots
        self.is_taken = False
        for token, amount in shape.tokens:
            self.free[token] += amount
