"""A whole cluster of real daemons from a seed: broker, workers and clients, with their sessions,
journal and wire; only sockets, clock, disk and sandbox are made up.
"""

import asyncio
import random
import sqlite3
from collections import Counter
from typing import Any

from maelstrom.broker.daemon import Broker
from maelstrom.broker.journal import NUMBERS_PER_START
from maelstrom.broker.ledger import SCHEMA, Ledger, read_job
from maelstrom.client.engine import Submission
from maelstrom.client.fetching import Outputs
from maelstrom.client.session import Session
from maelstrom.model.ids import ClientId
from maelstrom.model.outcome import (
    Cancelled,
    Effects,
    Exited,
    InfrastructureFault,
    Outcome,
    Output,
)
from maelstrom.model.spec import JobSpec
from maelstrom.wire.connection import Connection
from maelstrom.worker.daemon import Worker
from maelstrom.worker.outputs import INLINE_BYTES_MAX
from tests.sim.disk import LAYERS, SOURCES, Disk
from tests.sim.network import Link

FLUSH_S = 0.1
LARGE_BYTES = 2 * INLINE_BYTES_MAX


class MemoryJournal(Ledger):
    """The journal, in a database that outlives the broker."""

    def __init__(self, database: sqlite3.Connection) -> None:
        super().__init__()
        self._database = database
        self.is_dead = False
        for statement in SCHEMA:
            database.execute(statement)
        database.execute("INSERT OR IGNORE INTO meta VALUES ('starts', 0)")
        self._starts = database.execute("SELECT value FROM meta").fetchone()[0]
        database.execute("UPDATE meta SET value = value + 1")
        self._flush()

    @property
    def first_number(self) -> int:
        """As the real one."""
        return int(self._starts) * NUMBERS_PER_START + 1

    def clients(self) -> list[tuple[ClientId, str]]:
        """As the real one."""
        return self._database.execute("SELECT id, token FROM clients ORDER BY id").fetchall()

    def owners(self) -> dict[ClientId, str]:
        """As the real one."""
        return dict(self._database.execute("SELECT client, owner FROM owners"))

    def settings(self, kind: str) -> dict[str, bytes]:
        """As the real one."""
        query = "SELECT name, value FROM settings WHERE kind = ? ORDER BY rowid"
        return dict(self._database.execute(query, (kind,)))

    def jobs(self) -> list[Any]:
        """As the real one."""
        columns = "client, number, submit, attempt, outcome"
        rows = self._database.execute(f"SELECT {columns} FROM jobs ORDER BY rowid").fetchall()
        return [read_job(row) for row in rows]

    def results(self) -> list[Any]:
        """As the real one."""
        return self._database.execute("SELECT key, outcome FROM results ORDER BY rowid").fetchall()

    def _flush(self) -> None:
        if self.is_dead:
            return
        for statement, rows in self.take().batch():
            self._database.executemany(statement, rows)
        asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def close(self) -> None:
        """Write the rest."""
        self._flush()
        self.is_dead = True


class Pool:
    """Slots whose jobs take a while, say their name, and fail now and then by our fault."""

    def __init__(self, universe: "Universe") -> None:
        self._universe = universe
        self.disk = Disk()
        self._killed: dict[str, asyncio.Event] = {}
        self.running: dict[str, str] = {}

    async def start(self) -> None:
        """Take a while."""
        await asyncio.sleep(self._universe.dice.random())

    async def run(self, spec: JobSpec, layers: list[str], job: str) -> Outcome:
        """Run one."""
        universe = self._universe
        universe.runs[spec.program] += 1
        assert all(layer in self.disk.layers for layer in spec.layers), "a job has its layers"
        killed = self._killed[job] = asyncio.Event()
        self.running[job] = spec.program
        seconds = universe.dice.expovariate(0.5)
        is_fault = universe.dice.random() < universe.fault_share
        try:
            await asyncio.wait_for(killed.wait(), seconds)
        except TimeoutError:
            if is_fault:
                return InfrastructureFault("the slot was lost")
            # A third of them says so much that it does not fit into an outcome.
            size = LARGE_BYTES if len(universe.runs) % 3 == 0 else 0
            return Exited(0, Effects(stdout=Output(spec.program.encode(), bytes(size))))
        finally:
            del self._killed[job], self.running[job]
        return Cancelled()

    def kill(self, job: str) -> None:
        """End one."""
        if job in self._killed:
            self._killed[job].set()

    async def close(self) -> None:
        """End all."""
        for killed in self._killed.values():
            killed.set()


class Member:
    """A worker or client, with its way to the broker."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.task: asyncio.Task[None] | None = None
        self.is_gone = False


class WorkerMember(Member):
    """A worker."""

    def __init__(self, universe: "Universe", link: Link, name: str) -> None:
        super().__init__(link)
        self.pool = Pool(universe)
        slots = universe.dice.randrange(1, 4)
        self.worker = Worker(store=self.pool.disk, pool=self.pool, slots=slots, name=name)  # type: ignore[arg-type]

    async def live(self) -> None:
        """Be a worker, started by one who starts it again until the broker is there."""
        while not self.link.is_cut:
            try:
                await self.worker.run(await self.link.reach(), self.link.reach)  # type: ignore[arg-type]
            except Exception as error:
                self.why = error
            self.is_gone = True
            return


class ClientMember(Member):
    """A client, and what it was told."""

    def __init__(self, link: Link, name: str) -> None:
        super().__init__(link)
        self.name = name
        self.session = Session(broker="unix:/sim", store_root=None)  # type: ignore[arg-type]
        self.session._dial = link.reach  # type: ignore[method-assign, assignment]
        self.session.offer(SOURCES)
        self.disk = Disk()
        self.session._outputs = Outputs(lambda: self.disk)  # type: ignore[arg-type, return-value]
        self.numbers: dict[str, int] = {}
        self.told: dict[str, Outcome] = {}


class Universe:
    """All of it; lives in the running loop."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        random.seed(seed)  # The waits of daemons come from there.
        self.loop = asyncio.get_running_loop()
        self.trace: list[str] = []
        self.runs: Counter[str] = Counter()
        self.fault_share = 0.05
        self.workers: list[WorkerMember] = []
        self.clients: list[ClientMember] = []
        self._disk = Disk()
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        self.broker: Broker | None = None
        self._journal: MemoryJournal | None = None
        self._is_open = False
        self.failures: list[str] = []
        self._is_over = asyncio.Event()

    def note(self, *what: object) -> None:
        """Write a line of history."""
        self.trace.append(f"{self.loop.time():.6f} " + " ".join(map(str, what)))

    # Broker

    async def start_broker(self) -> None:
        """Start one, with the journal of the one before."""
        self.note("broker starts")
        self._journal = MemoryJournal(self._database)
        self.broker = Broker(self._disk, self._broker_failed, journal=self._journal)  # type: ignore[arg-type]
        await self.broker.restore()
        self._is_open = True

    def _broker_failed(self) -> None:
        assert self.broker is not None
        self._is_over.set()
        if self.broker.failure is not None:  # Else an operator wants it to end.
            self.failures.append(str(self.broker.failure))

    def kill_broker(self) -> None:
        """Let it be gone at once."""
        self.note("broker killed")
        assert self._journal is not None
        self._journal.is_dead = True
        self._is_open = False
        for member in [*self.workers, *self.clients]:
            for end in list(member.link.ends):
                if isinstance(end.protocol, Connection) and len(end.protocol.expects) > 1:
                    end.kill()

    async def drain_broker(self) -> None:
        """Have it hand over, and end when it says so; what it said last may be lost."""
        assert self.broker is not None
        assert self._journal is not None
        self.note("broker drains")
        self._is_over.clear()
        self.broker.ending.hand_over(self.dice.choice([0.0, 1.0, 10.0]))
        await self._is_over.wait()
        self._journal._flush()
        self.kill_broker()

    def _accept(self) -> Connection | None:
        return self.broker.add(is_local=False) if self._is_open and self.broker else None

    # Members

    def add_worker(self) -> None:
        """Let a worker come."""
        name = f"w{len(self.workers)}"
        self.note("worker", name)
        member = WorkerMember(self, Link(self.dice, self._accept), name)
        member.task = self.loop.create_task(member.live())
        self.workers.append(member)

    def kill_worker(self, member: WorkerMember) -> None:
        """Let it be gone at once."""
        self.note("worker killed", self.workers.index(member))
        member.is_gone = True
        self._kill(member)

    def drain_worker(self, member: WorkerMember) -> None:
        """Ask it to end."""
        self.note("worker drains", self.workers.index(member))
        member.worker.stop()

    def _kill(self, member: Member) -> None:
        for end in list(member.link.ends):
            if not isinstance(end.protocol, Connection) or len(end.protocol.expects) == 1:
                end.kill()
        member.link.is_cut = True
        if member.task is not None:
            member.task.cancel()

    def add_client(self) -> None:
        """Let a client come."""
        name = f"c{len(self.clients)}"
        self.note("client", name)
        member = ClientMember(Link(self.dice, self._accept), name)
        member.task = self.loop.create_task(member.session._serve())
        self.clients.append(member)

    def kill_client(self, member: ClientMember) -> None:
        """Let it be gone at once."""
        self.note("client killed", member.name)
        member.is_gone = True
        self._kill(member)

    def submit(self, member: ClientMember) -> None:
        """Have a job run."""
        name = f"{member.name}/{len(member.numbers) + 1}"

        def told(outcome: Outcome) -> None:
            if member.is_gone:
                return
            self.note("told", name, type(outcome).__name__)
            assert name not in member.told, f"{name} is told once"
            member.told[name] = outcome
            if isinstance(outcome, Exited):
                said = outcome.effects.stdout.head.decode()
                assert said == name, f"{name} was told of {said}"

        layers = tuple(self.dice.sample(LAYERS, self.dice.randrange(4)))
        spec = JobSpec(program=name, layers=layers)
        member.numbers[name] = member.session.submit(Submission(spec, on_outcome=told))

    def cancel(self, member: ClientMember) -> None:
        """Have one of its jobs taken back."""
        if member.numbers:
            name = self.dice.choice(list(member.numbers))
            self.note("cancel", name)
            even_running = self.dice.random() < 0.5
            member.session.cancel(member.numbers[name], even_running=even_running)

    @property
    def disks(self) -> list[Disk]:
        """All stores there are."""
        return [self._disk, *(worker.pool.disk for worker in self.workers)]

    def check(self) -> None:
        """Assert what must hold at any time."""
        assert not self.failures, self.failures
        if self.broker is not None and self._is_open:
            self.broker.scheduler.check()
            self.broker.gatherer.check()
