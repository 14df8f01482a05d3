"""Carry messages to the dispatcher and its instructions to sandbox, store and broker."""

import asyncio
import contextlib
import random
from collections.abc import Coroutine
from typing import Any, Protocol, assert_never

import msgspec

from maelstrom import __version__
from maelstrom.errors import (
    ConnectionLost,
    InfrastructureError,
    MaelstromError,
    SpecError,
)
from maelstrom.log import Log
from maelstrom.model.digest import Digest
from maelstrom.model.ids import JobId
from maelstrom.model.outcome import (
    Cancelled,
    ExecutionError,
    Exited,
    InfrastructureFault,
    Outcome,
    Ran,
    blobs_of,
)
from maelstrom.model.spec import JobSpec
from maelstrom.sandbox.ports import UNTIED, Ties
from maelstrom.store.depot import Depot
from maelstrom.store.disk import DiskStore
from maelstrom.wire import messages
from maelstrom.wire.backoff import Backoff
from maelstrom.wire.connection import Codec, Connection, encode
from maelstrom.wire.dial import Reach, Reached
from maelstrom.wire.framing import FRAME_BYTES_MAX
from maelstrom.wire.greeting import Hello, Role, hello
from maelstrom.wire.outbox import Outbox
from maelstrom.worker import dispatcher
from maelstrom.worker.dispatcher import Dispatcher
from maelstrom.worker.fetcher import Fetcher
from maelstrom.worker.outputs import Collected, has_large_output, with_large_output_moved

FRAME_HEADROOM_BYTES = 4096
UNREPORTED_S_MAX = 60.0
"""How long a worker that leaves, and runs nothing more, waits for a broker that is away."""
REPORTS_CHECK_S = 0.5

_log = Log("worker")
_FROM_BROKER: Codec[messages.BrokerToWorker] = Codec(messages.BrokerToWorker)


class Pool(Protocol):
    """What runs jobs: the sandbox, or a fake of it."""

    async def start(self) -> None:
        """Make it ready; raises SandboxUnavailable."""

    async def run(self, spec: JobSpec, layers: list[str], job: str, ties: Ties = UNTIED) -> Outcome:
        """Run one job."""

    def kill(self, job: str) -> None:
        """End one job."""

    async def close(self) -> None:
        """End it with all that runs."""


class Worker:
    """One worker of one broker; `run` is its life.

    A connection that breaks is made anew, as often as need be; what runs goes on meanwhile. Only a
    goodbye ends a worker, or the end of a pair of sockets, which cannot be had again.
    """

    def __init__(
        self,
        *,
        store: DiskStore,
        pool: Pool,
        slots: int,
        name: str,
        resources: tuple[tuple[str, int], ...] = (),
    ) -> None:
        self._resources = resources
        self._store = store
        self._pool = pool
        self._slots = slots
        self._name = name
        self._dispatcher = Dispatcher(slots)
        self._assigned: dict[tuple[JobId, int], tuple[JobSpec, bool]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Started by the core, and not known to the pool before their task has its first turn.
        self._starting: set[tuple[JobId, int]] = set()
        # What runs no more, and whose outputs are on their way.
        self._bringing: dict[tuple[JobId, int], asyncio.Future[None]] = {}
        self._is_ready = False
        self._token = ""
        self._is_greeted = False
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._depot: Depot | None = None
        self._fetcher: Fetcher | None = None
        self._reach: Reach | None = None
        self._backoff = Backoff(random.random)
        # Reports that the broker may not have, if the connection can break.
        self._outbox: Outbox[messages.Report] = Outbox()
        self._is_watched = True
        self.is_leaving = False
        self._tells_jobs = _log.tells_all
        self._connection = self._new_connection()

    def _new_connection(self) -> Connection:
        self._is_joined = False
        connection = Connection(
            hello(Role.WORKER, __version__, self._token),
            owner=self,
            codec=_FROM_BROKER,
            is_watched=self._is_watched,
        )
        connection.on_heard = self._heard
        return connection

    async def run(
        self,
        reached: Reached,
        reach: Reach | None,
        *,
        is_watched: bool = True,
    ) -> None:
        """Serve the broker until one of us ends it; raises what ended it, if it was an error."""
        if reach is not None:
            self._depot = Depot(reach, self._store, self._store.read_part)
            self._depot.asks_first = True
        self._fetcher = Fetcher(self._store, self._depot)
        self._reach = reach
        self._is_watched = self._connection.is_watched = is_watched
        try:
            # The sandbox first: it must be there before any thread is.
            await asyncio.gather(self._start_pool(), self._begin(reached))
            await self._ended
        finally:
            await self._close()

    async def _begin(self, reached: Reached) -> None:
        try:
            await reached.attach(self._connection)
        except ConnectionLost:
            if not self._is_watched:
                raise
            self._spawn(self._reconnect())

    async def _start_pool(self) -> None:
        await self._pool.start()
        self._is_ready = True
        self._join()

    def stop(self) -> None:
        """End it, from outside: first when what runs has ended, the second time at once."""
        if self._is_watched and not self.is_leaving and (self._dispatcher.jobs or self._outbox):
            self.is_leaving = True
            self._tell(messages.Leave())
            self.handle(dispatcher.Leaving())
            running = len(self._dispatcher.jobs)
            _log.info("draining", running=running, hint="once more ends it at once")
            self._spawn(self._wait_for_reports())
        else:
            self._end()

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    async def _wait_for_reports(self) -> None:
        """End without the broker's goodbye when it has been away for long: others run it again."""
        waited_s = 0.0
        while waited_s < UNREPORTED_S_MAX:
            await asyncio.sleep(REPORTS_CHECK_S)
            is_away = self._connection.is_over and not self._dispatcher.jobs
            waited_s = waited_s + REPORTS_CHECK_S if is_away else 0.0
        _log.warning("outcomes not reported", jobs=len(self._outbox))
        self._end()

    async def _close(self) -> None:
        self._connection.leave()
        if self._depot is not None:
            await self._depot.close()
        for task in self._tasks:
            task.cancel()
        await self._pool.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._store.close()

    # What the connection tells

    def greeted(self, theirs: Hello) -> None:  # noqa: ARG002  # Whoever it is, it is a broker.
        """Wait to be welcomed; from now on this is worth coming back to."""
        self._is_greeted = True

    def lost(self, error: MaelstromError | None) -> None:
        """Come back, unless the broker or we meant it."""
        if self._ended.done():
            return
        if self._is_watched and not self._connection.is_final:
            self._spawn(self._reconnect())
        elif error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)

    async def _reconnect(self) -> None:
        assert self._reach is not None
        told = ""
        while True:
            await asyncio.sleep(self._backoff.next_s())
            try:
                reached = await self._reach()
                self._connection = self._new_connection()
                await reached.attach(self._connection)
            except MaelstromError as error:
                # It is tried for as long as we live: whoever runs us ends us.
                if error.message != told:
                    told = error.message
                    _log.warning("broker not reached", reason=error.message, hint=error.hint)
                continue
            break
        _log.info("connected again")

    def _heard(self, count: int) -> None:
        self._outbox.heard(count)

    def received(self, message: messages.BrokerToWorker) -> None:
        """Hand a message to the core."""
        match message:
            case messages.Assign():
                self._assign(message)
            case messages.Recall(job, attempt):
                self.handle(dispatcher.JobRecalled(job, attempt))
            case messages.Kill(job, attempt):
                self.handle(dispatcher.JobKilled(job, attempt))
            case messages.Kept(job, attempt):
                self._spawn(self._unpin(_pin(f"{job}:{attempt}")))
            case messages.Welcome(token):
                self._token = token
                if self._depot is not None:
                    self._depot.token = token
                self._backoff.reset()
                self._join()
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)

    async def _unpin(self, pin: str) -> None:
        await asyncio.to_thread(self._store.unpin, pin)

    def _join(self) -> None:
        if not self._is_ready or not self._token:
            return
        unsure = self._outbox.restart()
        holding = [(report.job, report.attempt) for report in unsure] + self._dispatcher.jobs
        self._is_joined = True
        self._tell(messages.Join(self._name, self._slots, self._resources, tuple(holding)))
        for report in unsure:
            self._send_report(report)
        if self.is_leaving:
            self._tell(messages.Leave())

    def _tell(self, message: messages.Message, *, may_wait: bool = False) -> None:
        """Say something of jobs; before we have joined, joining will say what came of them."""
        if self._is_joined:
            self._connection.send(message, may_wait=may_wait)

    def _assign(self, message: messages.Assign) -> None:
        try:
            spec = JobSpec.decode(message.spec)
            if self._is_watched and spec.is_local:
                raise SpecError("a job with binds or the host's network, sent to another machine")
        except SpecError as error:
            self._report(message.job, message.attempt, ExecutionError(error.message, error.hint))
            return
        self._assigned[message.job, message.attempt] = (spec, message.wants_started)
        slots = dict(spec.resources).get("slots", 1)
        self.handle(dispatcher.JobAssigned(message.job, message.attempt, spec.layers, slots))

    # The core

    def handle(self, event: dispatcher.Event) -> None:
        """Give the core an event, and do what it says."""
        for instruction in self._dispatcher.handle(event):
            match instruction:
                case dispatcher.StartJob(job, attempt):
                    if self._tells_jobs:
                        _log.debug("job begun", job=job, attempt=attempt)
                    self._starting.add((job, attempt))
                    self._spawn(self._run(job, attempt))
                case dispatcher.ReportJob(job, attempt, outcome):
                    spec, _ = self._assigned.pop((job, attempt), (None, False))
                    is_keepable = spec is not None and is_lasting(spec, outcome)
                    if self._tells_jobs:
                        how = type(outcome).__name__
                        _log.debug("job done", job=job, attempt=attempt, outcome=how)
                    self._report(job, attempt, outcome, is_keepable=is_keepable)
                case dispatcher.PrepareLayer(layer):
                    self._spawn(self._prepare(layer))
                case dispatcher.ReleaseLayer(layer):
                    assert self._fetcher is not None
                    self._spawn(self._fetcher.release(layer))
                case dispatcher.KillJob(job, attempt):
                    self._starting.discard((job, attempt))
                    self._pool.kill(f"{job}:{attempt}")
                    if (job, attempt) in self._bringing:
                        self._bringing[job, attempt].cancel()
                case dispatcher.ReturnJob(job, attempt):
                    self._assigned.pop((job, attempt), None)
                    self._tell(messages.Return(job, attempt))
                case _:
                    assert_never(instruction)

    async def _run(self, job: JobId, attempt: int) -> None:
        if (job, attempt) not in self._starting:
            self.handle(dispatcher.JobEnded(job, attempt, Cancelled()))
            return
        self._starting.remove((job, attempt))
        spec, wants_started = self._assigned[job, attempt]
        if wants_started:
            # A short job's leaves with its report: it is for people to look at.
            self._tell(messages.Started(job, attempt), may_wait=True)
        layers = [layer.hash for layer in spec.layers]
        outcome = await self._run_in_slot(spec, layers, f"{job}:{attempt}")
        outcome = await self._brought((job, attempt), outcome)
        if isinstance(outcome, Ran):
            effects = msgspec.structs.replace(outcome.effects, worker=self._name)
            outcome = msgspec.structs.replace(outcome, effects=effects)
        self.handle(dispatcher.JobEnded(job, attempt, outcome))

    async def _run_in_slot(self, spec: JobSpec, layers: list[str], job: str) -> Outcome:
        if not spec.brings_files:
            return await self._pool.run(spec, layers, job)
        files = Collected(self._store, _pin(job))
        return files.added_to(await self._pool.run(spec, layers, job, Ties(files)))

    async def _brought(self, place: tuple[JobId, int], outcome: Outcome) -> Outcome:
        """Have what the outcome refers to in the broker's store, before it is reported.

        The slot is held meanwhile: so outputs are never made faster than they can be brought.
        """
        pin = _pin(f"{place[0]}:{place[1]}")
        if has_large_output(outcome):
            outcome = await asyncio.to_thread(with_large_output_moved, outcome, self._store, pin)
        blobs = blobs_of(outcome)
        while blobs and self._depot is not None:
            bringing = self._bringing[place] = asyncio.ensure_future(self._depot.give(blobs))
            try:
                await asyncio.wait([bringing])
            finally:
                bringing.cancel()
                del self._bringing[place]
            if bringing.cancelled():
                outcome = Cancelled()
            elif isinstance(error := bringing.exception(), ConnectionLost):
                continue  # It is tried for as long as we live, as the broker is.
            elif isinstance(error, MaelstromError):
                message = f"the outputs of the job cannot be brought to the broker: {error.message}"
                outcome = InfrastructureFault(message, error.hint)
            elif error is not None:
                raise error
            break
        if not blobs_of(outcome) and (blobs or not isinstance(outcome, Ran)):
            await asyncio.to_thread(self._store.unpin, pin)
        return outcome

    async def _prepare(self, layer: Digest) -> None:
        assert self._fetcher is not None
        try:
            await self._fetcher.prepare(layer)
        except SpecError as error:
            failed = dispatcher.LayerFailed(layer, error.message, error.hint, is_specs_fault=True)
            self.handle(failed)
        except (MaelstromError, OSError) as error:
            hint = error.hint if isinstance(error, MaelstromError) else ""
            message = error.message if isinstance(error, MaelstromError) else str(error)
            self.handle(
                dispatcher.LayerFailed(layer, f"cannot make layer {layer.short}: {message}", hint)
            )
        else:
            self.handle(dispatcher.LayerPrepared(layer))

    def _report(
        self, job: JobId, attempt: int, outcome: Outcome, *, is_keepable: bool = False
    ) -> None:
        encoded = encode(outcome)
        if len(encoded) > FRAME_BYTES_MAX - FRAME_HEADROOM_BYTES:
            outcome = ExecutionError(
                f"an outcome of {len(encoded)} bytes; the limit is {FRAME_BYTES_MAX}",
                "lower `output_bytes_max`",
            )
            encoded = encode(outcome)
        is_fault = isinstance(outcome, InfrastructureFault)
        self._send_report(messages.Report(job, attempt, encoded, is_fault, is_keepable))

    def _send_report(self, report: messages.Report) -> None:
        if self._is_watched:
            self._outbox.keep(report)
        # While there is work here nobody is idle for want of the answer.
        self._tell(report, may_wait=self._dispatcher.has_waiting)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        # A bug of ours ends the worker: the broker gives its jobs to others.
        with contextlib.suppress(asyncio.InvalidStateError):
            failure = InfrastructureError(f"the worker failed: {error!r}")
            failure.__cause__ = error
            self._ended.set_exception(failure)


def _pin(job: str) -> str:
    return f"outputs of {job}"


def is_lasting(spec: JobSpec, outcome: Outcome) -> bool:
    """Whether an equal job will end just so, wherever it runs."""
    return isinstance(outcome, Exited) and outcome.status == 0 and not spec.uncached_because
