"""Keep the queued jobs of all clients in order, and tell which is the next.

Rules of this file:
1. Clients take turns: first those an operator gave the higher priority, then who holds the fewest
   slots, then who was served least, then the lower id. A client that comes or comes back is not
   owed what it did not ask for. The jobs of one that is absent wait.
2. Within a client: jobs that were taken back from a lost worker, then the higher priority, then the
   longest by estimate (unknown counts as longest), then first come.
3. Jobs of one shape (what they need) are in one line, so that a job that fits nowhere now does not
   hide those behind it, and nothing is ever searched job by job or client by client. So those that
   avoid a worker are put aside by themselves.
"""

import heapq
import sys
from collections import deque
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from maelstrom.broker.books import PLAIN, Job, Shape
from maelstrom.broker.line import Line, Place
from maelstrom.model.ids import ClientId

STALE_MIN = 64
SHAPES_AVOIDING_MAX = 64
"""Where so many different ones wait, it is not a single worker that fails."""

PRIORITY_MAX = 1000
_BAND = 1e8
_LONGEST_S = _BAND / 2
_RETRY = 1e12


def rank(priority: int, estimate_s: float, *, is_retry: bool) -> float:
    """Return a job's place within its client as one number, the lower the sooner."""
    if not -PRIORITY_MAX <= priority <= PRIORITY_MAX:
        priority = PRIORITY_MAX if priority > 0 else -PRIORITY_MAX
    if estimate_s > _LONGEST_S:
        estimate_s = _LONGEST_S
    return -(is_retry * _RETRY + priority * _BAND + estimate_s)


Turn: TypeAlias = tuple[int, int, int, ClientId, int]


@dataclass(slots=True)
class _Owner:
    name: str
    slots_max: int
    priority: int = 0
    held: int = 0
    clients: dict[ClientId, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Share:
    owner: _Owner
    held: int = 0
    served: int = 0
    queued: int = 0
    is_absent: bool = False
    turn: Turn | None = None
    """Its entry among those who take turns; any other is stale."""
    lines: dict[Shape, Line] = field(default_factory=dict)
    shapes: dict[Shape, int] = field(default_factory=dict)
    """How many jobs of each are queued."""


class Queue:
    """All jobs that wait for a worker."""

    def __init__(self, *, owner_slots_max: int = 0) -> None:
        self._owner_slots_max = owner_slots_max or sys.maxsize
        self._owners: dict[str, _Owner] = {}
        # What operators gave to owners, be they here or not.
        self._limits: dict[str, tuple[int, int]] = {}
        self._shares: dict[ClientId, _Share] = {}
        self._tickets = 0
        # How many jobs of each shape wait, of clients that are here.
        self._shapes: dict[Shape, int] = {}
        self._turns: list[Turn] = []
        # Clients whose place among those must be looked at before the next turn.
        self._moved: dict[ClientId, None] = {}
        # How often the one was served before whose turn it was last.
        self._served_now = 0

    def shapes(self) -> list[Shape]:
        """Return what the queued jobs of those who are here need."""
        return list(self._shapes)

    @property
    def is_plain(self) -> bool:
        """Whether all the queued jobs of those who are here need one slot, and nothing else."""
        return len(self._shapes) == (PLAIN in self._shapes)

    def is_waiting(self, shape: Shape) -> bool:
        """Whether a job of this shape is queued by somebody who is here."""
        return shape in self._shapes

    # Clients

    def join(self, client: ClientId, owner: str = "") -> None:
        """A client is here; it is served like the one whose turn it was last."""
        name = owner or f"#{client}"
        if name not in self._owners:
            limits = self._limits.get(name, (self._owner_slots_max, 0))
            self._owners[name] = _Owner(name, *limits)
        found = self._owners[name]
        found.clients[client] = None
        self._shares[client] = _Share(found, served=self._served_now)

    def limit(self, name: str, slots_max: int, priority: int) -> None:
        """Give an owner so many slots at the most, 0 for any number, and a place before others."""
        self._limits[name] = (slots_max or sys.maxsize, priority)
        owner = self._owners.get(name)
        if owner is not None:
            owner.slots_max, owner.priority = self._limits[name]
            self._moved.update(owner.clients)

    def absent(self, client: ClientId, *, is_absent: bool) -> None:
        """A client went away for a while, or came back."""
        share = self._shares[client]
        if share.is_absent == is_absent:
            return
        share.is_absent = is_absent
        for shape, queued in share.shapes.items():
            _count(self._shapes, shape, -queued if is_absent else queued)
        self._moved[client] = None

    def leave(self, client: ClientId) -> list[deque[Place] | list[Place]]:
        """A client and all its queued jobs are gone; return what is to be thrown away."""
        self.absent(client, is_absent=True)
        share = self._shares.pop(client)
        owner = share.owner
        del owner.clients[client]
        self._hold_for(owner, -share.held)
        if not owner.clients:
            del self._owners[owner.name]
        return [part for line in share.lines.values() for part in line.remains()]

    def hold(self, client: ClientId, slots: int) -> None:
        """Note that a client's jobs hold so many slots more, or fewer."""
        share = self._shares.get(client)
        if share is not None:
            share.held += slots
            if slots > 0:
                self._served_now = share.served
                share.served += slots
            self._hold_for(share.owner, slots)
            self._moved[client] = None

    def turns(self) -> list[tuple[int, int, int, ClientId]]:
        """Return what the turns of those go by who take any, in no order."""
        return [
            (-share.owner.priority, share.held, share.served, client)
            for client, share in self._shares.items()
            if self._may_take(share)
        ]

    def jobs(self, client: ClientId) -> Iterator[Job]:
        """Yield a client's jobs from the first to the last; to be looked at."""
        return (place[3] for place in heapq.merge(*self._shares[client].lines.values()))

    def held(self, client: ClientId) -> int:
        """How many slots all clients of this one's owner hold."""
        return self._shares[client].owner.held

    def _hold_for(self, owner: _Owner, slots: int) -> None:
        was_full = owner.held >= owner.slots_max
        owner.held += slots
        if was_full != (owner.held >= owner.slots_max):
            self._moved.update(owner.clients)

    def _may_take(self, share: _Share) -> bool:
        """Whether a client takes turns at all."""
        owner = share.owner
        return share.queued > 0 and not share.is_absent and owner.held < owner.slots_max

    def _enter_all(self) -> None:
        """Let those who moved take turns by what they hold now, if they have anything queued."""
        for client in self._moved:
            share = self._shares.get(client)
            if share is not None:
                self._enter(client, share)
        self._moved.clear()

    def _enter(self, client: ClientId, share: _Share) -> None:
        if not self._may_take(share):
            share.turn = None
            return
        place = (-share.owner.priority, share.held, share.served)
        if share.turn is None or share.turn[:3] != place:
            # The last number makes each entry differ from those that are stale.
            self._tickets += 1
            share.turn = (*place, client, self._tickets)
            heapq.heappush(self._turns, share.turn)
            if len(self._turns) > 4 * len(self._shares) + STALE_MIN:
                self._turns = [s.turn for s in self._shares.values() if s.turn is not None]
                heapq.heapify(self._turns)

    def next_client(self) -> ClientId | None:
        """Return whose turn it is, if anybody waits."""
        if self._moved:
            self._enter_all()
        while self._turns:
            turn = self._turns[0]
            share = self._shares.get(turn[3])
            if share is not None and share.turn == turn and share.queued:
                return turn[3]
            heapq.heappop(self._turns)
            if share is not None and share.turn == turn:
                share.turn = None
        return None

    def pass_turn(self) -> Turn:
        """Let the next one have the turn; `restore` brings back who passed."""
        return heapq.heappop(self._turns)

    def restore(self, passed: Iterable[Turn]) -> None:
        """Let those who passed take turns again."""
        for turn in passed:
            heapq.heappush(self._turns, turn)

    # Jobs

    def push(self, job: Job) -> None:
        """Queue a job."""
        client = job.name.client
        if job.fault_at is not None and len(self._shapes) < SHAPES_AVOIDING_MAX:
            job.shape = job.shape._replace(avoids=job.fault_at)
        share = self._shares[client]
        if not share.queued and not share.held:
            # It was idle: what it did not use then is not kept for it.
            share.served = max(share.served, self._served_now)
        share.queued += 1
        share.shapes[job.shape] = share.shapes.get(job.shape, 0) + 1
        if not share.is_absent:
            self._shapes[job.shape] = self._shapes.get(job.shape, 0) + 1
        self._tickets += 1
        job.ticket = self._tickets
        order = rank(job.priority, job.estimate_s, is_retry=job.attempts > 0)
        line = share.lines.get(job.shape)
        if line is None:
            line = share.lines[job.shape] = Line()
        line.add((order, job.number, job.ticket, job))
        self._moved[client] = None

    def remove(self, job: Job) -> bool:
        """Take a job out, wherever it stands; False if it is not queued."""
        if not job.ticket:
            return False
        job.ticket = 0  # Its place in the line is skipped when it is the first.
        share = self._shares[job.name.client]
        share.queued -= 1
        _count(share.shapes, job.shape, -1)
        if not share.is_absent:
            _count(self._shapes, job.shape, -1)
        if job.shape.avoids is not None:
            job.shape = job.shape.anywhere()
        return True

    def renew(self, job: Job) -> None:
        """Queue a job as what it is now, if it is queued at all."""
        if job.name.client in self._shares and self.remove(job):
            self.push(job)

    def heads(self, client: ClientId) -> list[Place]:
        """Return the first job of each shape of a client, in order."""
        heads = []
        lines = self._shares[client].lines
        for shape in list(lines):
            first = lines[shape].first()
            if first is not None:
                heads.append(first)
            else:
                del lines[shape]
        if len(heads) > 1:
            heads.sort()
        return heads

    def take(self, shapes: Container[Shape]) -> list[Job]:
        """Take out all jobs of certain shapes."""
        taken = [
            job
            for share in self._shares.values()
            for shape, line in share.lines.items()
            if shape in shapes
            for _, _, _, job in line
        ]
        for job in taken:
            self.remove(job)
        return taken

    def check(self) -> None:
        """Assert what must be true between two events."""
        present: dict[Shape, int] = {}
        for client, share in self._shares.items():
            found: dict[Shape, int] = {}
            for shape, line in share.lines.items():
                for _, _, _, job in line:
                    assert job.shape == shape, "a job is among its like"
                    _count(found, shape, 1)
            assert share.shapes == found, "a share counts its queued jobs"
            assert share.queued == sum(found.values()), "a share counts all its queued jobs"
            assert share.held >= 0, "nobody holds less than nothing"
            if share.queued and not share.is_absent:
                for shape, count in found.items():
                    _count(present, shape, count)
            if self._may_take(share) and client not in self._moved:
                assert share.turn is not None, "who waits takes turns"
                place = (-share.owner.priority, share.held, share.served)
                assert share.turn[:3] == place, "turns go by what one holds"
                assert self._turns.count(share.turn) == 1, "nobody takes two turns"
        for owner in self._owners.values():
            held = sum(self._shares[client].held for client in owner.clients)
            assert owner.held == held, "an owner holds what his clients hold"
        assert self._shapes == present, "jobs of those who are here are counted"


def _count(counts: dict[Shape, int], shape: Shape, change: int) -> None:
    count = counts.get(shape, 0) + change
    if count:
        counts[shape] = count
    else:
        del counts[shape]
