"""A broker, workers and clients in one event loop, over real sockets, with jobs that only wait."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from maelstrom.broker.daemon import Broker
from maelstrom.client.engine import Submission
from maelstrom.client.session import Session
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import Cancelled, Effects, Exited, Outcome
from maelstrom.model.spec import JobSpec
from maelstrom.sandbox.ports import UNTIED, Ties
from maelstrom.store.disk import DiskStore
from maelstrom.wire.address import parse
from maelstrom.wire.dial import Reached, dial
from maelstrom.worker.daemon import Worker
from tests.support.relay import Relay


class WaitingPool:
    """Runs nothing: a job waits for as many milliseconds as its argument says, or to be killed."""

    def __init__(self, runs: "Counter[str]") -> None:
        self.runs = runs
        self._killed: dict[str, asyncio.Event] = {}

    async def start(self) -> None:
        """Be ready."""

    async def run(self, spec: JobSpec, layers: list[str], job: str, ties: Ties = UNTIED) -> Outcome:
        """Wait."""
        self.runs[spec.program] += 1
        killed = self._killed[job] = asyncio.Event()
        try:
            await asyncio.wait_for(killed.wait(), float(spec.arguments[0]) / 1000)
        except TimeoutError:
            return Exited(0, Effects())
        finally:
            del self._killed[job]
        return Cancelled()

    def kill(self, job: str) -> None:
        """End one."""
        if job in self._killed:
            self._killed[job].set()

    async def close(self) -> None:
        """End all."""
        for killed in self._killed.values():
            killed.set()


class Grid:
    """The parts; `runs` counts how often each job was begun, `told` how often each was told."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.runs: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.outcomes: dict[str, Outcome] = {}
        self.broker: Broker | None = None
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self._server: asyncio.Server | None = None
        self.workers: list[Worker] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.sessions: list[Session] = []
        self.relays: list[Relay] = []
        self._wanted = 0
        self._loop = asyncio.get_running_loop()
        self._is_done = asyncio.Event()

    async def start_broker(self) -> None:
        """Start one, on the port of the one before."""
        store = DiskStore(self._directory / "broker", size_bytes_max=1 << 30)
        broker = self.broker = Broker(store, lambda: None)
        self._server = await self._loop.create_server(
            lambda: broker.add(is_local=False), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop_broker(self) -> None:
        """Let it go; what it had in memory is lost."""
        assert self.broker is not None
        assert self._server is not None
        self._server.close()
        await self.broker.close()

    async def start_broker_process(self, *options: str, prefix: tuple[str, ...] = ()) -> None:
        """Start one that can be killed; `prefix` is what begins the command."""
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "maelstrom.cli.broker",
             "--listen", f"plain:127.0.0.1:{self.port}",
             "--store", str(self._directory / "broker"),
             # Workers live in this loop, which waits for the broker's end.
             "--drain-time", "0", *options],
            text=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        self.port = int(line.rpartition(":")[2])

    def end_broker_process(self, number: signal.Signals) -> None:
        """Kill it, or ask it to end."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.communicate(timeout=30)

    async def add_relay(self) -> Relay:
        """Return a way to the broker that can be cut."""
        relay = Relay(("127.0.0.1", self.port))
        await relay.start()
        self.relays.append(relay)
        return relay

    def add_worker(self, address: str, slots: int = 2) -> Worker:
        """Let a worker come by this way."""
        number = len(self.workers)
        store = DiskStore(self._directory / f"worker-{number}", size_bytes_max=1 << 30)
        worker = Worker(store=store, pool=WaitingPool(self.runs), slots=slots, name=f"w{number}")

        async def reach() -> Reached:
            return await dial(parse(address), None)

        async def live() -> None:
            await worker.run(await reach(), reach)

        self.workers.append(worker)
        self._tasks.append(self._loop.create_task(live()))
        return worker

    def add_session(self, address: str, on_note: Callable[[str], None] | None = None) -> Session:
        """Let a client come by this way."""
        session = Session(broker=address, store_root=self._directory / "client")
        session.on_note = on_note
        session.start()
        self.sessions.append(session)
        return session

    async def welcomed(self, *who: Session | Worker) -> None:
        """Wait until the broker has let them in."""
        while not all(one._is_greeted for one in who):
            await asyncio.sleep(0.005)

    def submit(
        self,
        session: Session,
        name: str,
        wait_ms: float,
        *,
        may_be_cached: bool = False,
        layers: tuple[Digest, ...] = (),
        brings: tuple[str, ...] = (),
    ) -> int:
        """Have a job run."""

        def take(outcome: Outcome) -> None:
            self.told[name] += 1
            self.outcomes[name] = outcome
            if sum(self.told.values()) >= self._wanted:
                self._is_done.set()

        self._wanted += 1
        self._is_done.clear()
        return session.submit(
            Submission(
                JobSpec(program=name, arguments=(str(wait_ms),), layers=layers, outputs=brings),
                may_be_cached=may_be_cached,
                on_outcome=lambda outcome: self._loop.call_soon_threadsafe(take, outcome) and None,
            )
        )

    async def done(self, timeout_s: float = 60.0) -> None:
        """Wait until every job has been told."""
        await asyncio.wait_for(self._is_done.wait(), timeout_s)

    async def close(self) -> None:
        """End everything, and see that it ends well."""
        for session in self.sessions:
            await asyncio.to_thread(session.close)
        for worker in self.workers:
            worker.stop()
            worker.stop()
        await asyncio.gather(*self._tasks)
        for relay in self.relays:
            await relay.close()
        if self.broker is not None:
            await self.stop_broker()
        if self.process is not None and self.process.returncode is None:
            self.end_broker_process(signal.SIGTERM)
