"""A session with a broker: jobs go out, contents are given, outcomes come back.

Rules of this file:
1. All I/O is on one thread of ours; callbacks are called on it and must not block. Every public
   method may be called from any thread.
2. The router decides who is told what; here is only what it takes to carry it out.
3. Without a broker's address we start a broker and a worker, which die with us: their only ties are
   the connections we hold.
4. The first failure is the one that is told; then every job hears of it.
5. A connection that breaks is no failure: the broker is tried again for RECONNECT_S_MAX, and knows
   us by our token. Nor is a broker that drains for the next one: that one is waited for as long.
   One that is not there at first is tried for REACH_S_MAX.
"""

import asyncio
import itertools
import os
import random
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias, assert_never

import msgspec

from maelstrom import __version__
from maelstrom.client import router
from maelstrom.client.children import Child, reason_of, start_children
from maelstrom.client.engine import Submission
from maelstrom.client.fetching import Outputs
from maelstrom.client.router import Router
from maelstrom.client.uploader import Uploader
from maelstrom.errors import ConnectionLost, InfrastructureError, MaelstromError, ProtocolError
from maelstrom.model.amounts import Amounts
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import ExecutionError, Outcome, Ran, blobs_of
from maelstrom.store.disk import DiskStore
from maelstrom.trust.identity import Role as TrustRole
from maelstrom.trust.tls import Tls, find
from maelstrom.wire import messages
from maelstrom.wire.address import Address, parse
from maelstrom.wire.backoff import Backoff
from maelstrom.wire.connection import Codec, Connection
from maelstrom.wire.dial import Reach, Reached, dial
from maelstrom.wire.greeting import Hello, Role, hello

STORE_BYTES_MAX = 10 << 30
CLOSE_S_MAX = 5.0
MISSED_MAX = 500
RECONNECT_S_MAX = 110.0
"""A little less than a broker keeps what it has for us."""
REACH_S_MAX = 10.0
"""For how long a broker is tried that never was there; one that is restarted is there by then."""
TRIES_MIN = 10
"""How often it is tried meanwhile, if each time it is told at once that nobody listens."""

Source: TypeAlias = str | bytes

_FROM_BROKER: Codec[messages.BrokerToClient] = Codec(messages.BrokerToClient)
_decode_outcome = msgspec.msgpack.Decoder(Outcome).decode
_USUAL = (("slots", 1),)


class Session:
    """One connection to a broker; stand-alone, if `broker` is None, with a broker of our own.

    `failure` is set when jobs cannot be run any more; each of them hears of it, too.
    """

    def __init__(
        self,
        *,
        broker: str | None,
        slots: int | None = None,
        resources: Amounts = (),
        store_root: Path,
        store_bytes_max: int = STORE_BYTES_MAX,
        identity: Path | None = None,
    ) -> None:
        self.failure: MaelstromError | None = None
        self._address: Address | None = parse(broker) if broker is not None else None
        self._identity = identity
        self._tls: Tls | None = None
        self._slots = slots or len(os.sched_getaffinity(0))
        # What a worker of our own has besides.
        self._resources = resources
        self._store = (store_root, store_bytes_max)
        self._router = Router()
        self._sources: dict[Digest, Source] = {}
        self._numbers = itertools.count(1)
        self._jobs: dict[int, Submission] = {}
        self._children: list[Child] = []
        self._connection: Connection | None = None
        self._uploader: Uploader | None = None
        self._token = ""
        self._is_greeted = False
        self._backoff = Backoff(random.random)
        self._reconnecting: asyncio.Task[None] | None = None
        self._explaining: asyncio.Task[None] | None = None
        self.on_note: Callable[[str], None] | None = None
        """Told, for a person, that the broker is away for longer than a moment, and back."""
        self._is_away = False
        # When the broker was there last, since it is not.
        self._left_s: float | None = None
        root, size_bytes_max = self._store
        self._outputs = Outputs(lambda: DiskStore(root, size_bytes_max=size_bytes_max))
        self._fetching: dict[int, asyncio.Task[None]] = {}
        self._spare: socket.socket | None = None
        self._thread: threading.Thread | None = None
        # What other threads ask for, and whether the loop knows that something is there.
        self._mutex = threading.Lock()
        self._inbox: deque[router.Event] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._is_woken = False
        self._is_over = False
        self._is_closing = False

    # For any thread

    def start(self) -> None:
        """Begin to start up; returns at once."""
        self._thread = threading.Thread(target=self._run, name="maelstrom-session", daemon=True)
        self._thread.start()

    def offer(self, sources: Mapping[Digest, Source]) -> None:
        """Tell where contents can be had if the broker lacks them: a path, or the bytes."""
        with self._mutex:
            self._sources.update(sources)

    def submit(self, job: Submission) -> int:
        """Have a job run; it is told on the session's thread."""
        number = next(self._numbers)
        self._jobs[number] = job
        self._post(router.Submitted(number))
        return number

    def cancel(self, job: int, *, even_running: bool = True) -> None:
        """Take a job back; its outcome comes as ever, Cancelled unless it was faster."""
        self._post(router.TakenBack(job, even_running))

    def cancel_all(self, *, running: bool) -> None:
        """Take all jobs back, those that run too if `running`."""
        for job in sorted(self._jobs):
            self.cancel(job, even_running=running)

    def close(self, *, timeout_s: float = CLOSE_S_MAX) -> None:
        """End everything: jobs that have no outcome get one, children go; twice does no harm."""
        with self._mutex:
            if self._loop is not None and self._stop is not None and not self._is_over:
                self._loop.call_soon_threadsafe(self._stop.set)
            self._is_closing = True
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s + 1)
            for child in self._children:
                child.end(timeout_s)
            self._children = []
            self._outputs.close()

    def _post(self, event: router.Event) -> None:
        with self._mutex:
            if not self._is_over:
                self._inbox.append(event)
                if self._loop is not None and not self._is_woken:
                    self._is_woken = True
                    self._loop.call_soon_threadsafe(self._take_inbox)
                return
        self._handle(event)  # The thread has ended: the router knows what failed.

    # For our thread

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # Nobody else would hear of it, and jobs wait.
            self._fail(InfrastructureError(f"the session failed: {error!r}"))
        finally:
            with self._mutex:
                self._is_over = True
                rest = list(self._inbox)
                self._inbox.clear()
            self._fail(InfrastructureError("the session is closed"), is_told=False)
            for event in rest:
                self._handle(event)

    async def _serve(self) -> None:
        stop = asyncio.Event()
        with self._mutex:
            self._loop = asyncio.get_running_loop()
            self._stop = stop
            if self._is_closing:
                return
        try:
            await self._reach()
            self._take_inbox()
            await stop.wait()
        except MaelstromError as error:
            self._fail(error)
            self._take_inbox()
            await stop.wait()
        finally:
            await self._end()

    async def _reach(self) -> None:
        if self._address is None:
            await self._start_broker()
            return
        self._left_s = asyncio.get_running_loop().time()
        try:
            await self._come()
        except ConnectionLost as error:
            if not self._is_worth_waiting:
                raise
            self._note_away(error)
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())

    async def _start_broker(self) -> None:
        loop = asyncio.get_running_loop()
        self._children, sock, blobs = start_children(*self._store, self._slots, self._resources)
        self._spare = blobs
        for child in self._children:
            loop.add_reader(child.pidfd, self._child_ended, child)

        async def reach_blobs() -> Reached:
            if self._spare is None:
                raise InfrastructureError("the connection for contents is lost")
            spare, self._spare = self._spare, None
            return Reached(spare)

        await self._attach(Reached(sock), reach_blobs)

    async def _come(self) -> None:
        await self._attach(await self._dial(), self._dial)

    async def _attach(self, reached: Reached, reach_blobs: Reach) -> None:
        connection = self._connection = Connection(
            hello(Role.CLIENT, __version__, self._token),
            owner=self,
            codec=_FROM_BROKER,
            is_watched=self._address is not None,
        )
        if self._uploader is None:
            self._uploader = Uploader(connection, self._source, reach_blobs)
        await reached.attach(connection)

    async def _dial(self) -> Reached:
        assert self._address is not None
        if self._tls is None and self._address.wants_tls:
            from maelstrom.wire.joining import renew_if_due  # Loads what only certificates need.

            directory = self._identity or find("client")
            self._tls = await asyncio.to_thread(Tls, directory, [TrustRole.CLIENT])
            await asyncio.to_thread(renew_if_due, self._address, self._tls)
        return await dial(self._address, self._tls)

    async def _reconnect(self) -> None:
        while True:
            await asyncio.sleep(min(self._backoff.next_s(), self._patience_s / TRIES_MIN))
            try:
                await self._come()
            except MaelstromError as error:
                if isinstance(error, ConnectionLost) and self._is_worth_waiting:
                    self._note_away(error)
                    continue
                self._fail(error)
            return

    @property
    def _is_worth_waiting(self) -> bool:
        """Whether the broker is not away for too long."""
        assert self._left_s is not None
        return asyncio.get_running_loop().time() - self._left_s < self._patience_s

    @property
    def _patience_s(self) -> float:
        return RECONNECT_S_MAX if self._is_greeted else REACH_S_MAX

    def _source(self, digest: Digest) -> Source | None:
        return self._sources.get(digest)

    async def _end(self) -> None:
        for task in (self._reconnecting, self._explaining):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        fetching = list(self._fetching.values())
        self._forget_fetching(list(self._fetching))
        await asyncio.gather(*fetching, return_exceptions=True)
        if self._uploader is not None:
            await self._uploader.close()
        if self._connection is not None:
            self._connection.leave()
        if self._spare is not None:
            self._spare.close()
        for child in self._children:
            asyncio.get_running_loop().remove_reader(child.pidfd)
        await asyncio.sleep(0)  # Closed transports say so in the next tick.

    def _take_inbox(self) -> None:
        with self._mutex:
            self._is_woken = False
            events = list(self._inbox)
            self._inbox.clear()
        for event in events:
            self._handle(event)

    def _handle(self, event: router.Event) -> None:
        for instruction in self._router.handle(event):
            match instruction:
                case router.SendJob(job):
                    self._send_job(job)
                case router.TellOutcome(job, outcome):
                    self._tell(job, outcome)
                case router.TellStatus(job, worker):
                    on_status = self._jobs[job].on_status
                    if on_status is not None:
                        on_status(worker)
                case router.SendCancel(job, even_running):
                    self._send(messages.Cancel(job, even_running))
                case router.SendResume(jobs):
                    self._send(messages.Resume(jobs))
                case router.SendContents(digests):
                    assert self._uploader is not None
                    self._uploader.give(digests)
                case _:
                    assert_never(instruction)

    def _tell(self, number: int, outcome: Outcome) -> None:
        try:
            self._jobs.pop(number).on_outcome(outcome)
        except Exception as error:
            # The other jobs wait for theirs.
            self.failure = self.failure or InfrastructureError(
                f"the outcome of job {number} could not be taken: {error!r}"
            )

    def _send_job(self, number: int) -> None:
        job = self._jobs[number]
        spec = job.spec
        try:
            self._send(
                messages.Submit(
                    number,
                    spec.encode(),
                    spec.layers,
                    () if spec.resources == _USUAL else spec.resources,
                    job.priority,
                    job.estimate_s,
                    job.on_status is not None,
                    job.may_be_cached and not spec.uncached_because,
                )
            )
        except UnicodeEncodeError as error:
            text = repr(error.object[:100])
            self._handle(
                router.Ended(number, ExecutionError(f"{text} in a job's spec is not UTF-8"))
            )
        except ProtocolError as error:
            self._handle(router.Ended(number, ExecutionError(f"the job's spec is {error.message}")))

    def _send(self, message: messages.Message) -> None:
        assert self._connection is not None
        self._connection.send(message)

    def _fail(self, error: MaelstromError, *, is_told: bool = True) -> None:
        if self.failure is None and is_told:
            self.failure = error
        self._handle(router.Failed(error.message, error.hint))

    # What the connection and the children tell

    def greeted(self, theirs: Hello) -> None:  # noqa: ARG002  # Whoever it is, it is a broker.
        """Wait to be welcomed; from now on this is worth coming back to."""
        self._is_greeted = True

    def received(self, message: messages.BrokerToClient) -> None:
        """Hand a message to the router."""
        match message:
            case messages.Ended():
                self._ended(message)
            case messages.Status(number, worker):
                self._handle(router.Progressed(number, worker))
            case messages.Want(digests):
                self._handle(router.Wanted(digests))
            case messages.Unknown(numbers):
                self._forget_fetching(numbers)
                self._handle(router.Forgotten(numbers))
            case messages.Welcome(token, is_local, is_resumed, jobs_max):
                assert self._uploader is not None
                assert self._connection is not None
                self._token = token
                self._backoff.reset()
                self._left_s = None
                if self._is_away:
                    self._is_away = False
                    self._note("the broker is there again")
                self._uploader.welcomed(self._connection, token, is_local=is_local)
                if not is_resumed:
                    self._forget_fetching(list(self._fetching))
                self._handle(router.Connected(is_resumed, jobs_max or router.JOBS_MAX))
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)

    def lost(self, error: MaelstromError | None) -> None:
        """The broker is gone: come back if we may, else find out why, and tell."""
        if self._stop is None or self._stop.is_set():
            return
        assert self._connection is not None
        if self._left_s is None:
            self._left_s = asyncio.get_running_loop().time()
        may_return = self._is_greeted and not self._connection.is_final
        if self._address is not None and may_return and self._is_worth_waiting:
            assert self._uploader is not None
            if isinstance(error, ConnectionLost):
                self._note_away(error)
            self._uploader.disconnected()
            self._handle(router.Disconnected())
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())
            return
        reason = error or InfrastructureError("the broker ended the connection")
        self._explain(reason)

    def _ended(self, message: messages.Ended) -> None:
        if self._address is not None:
            assert self._connection is not None
            self._connection.count(len(message.outcome))
        try:
            told = _decode_outcome(message.outcome)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProtocolError(f"an outcome that cannot be read: {error}") from error
        if (message.is_cached or message.missed) and isinstance(told, Ran):
            effects = msgspec.structs.replace(
                told.effects, is_cached=message.is_cached, missed=message.missed[:MISSED_MAX]
            )
            told = msgspec.structs.replace(told, effects=effects)
        if blobs_of(told):
            self._fetch(message.number, told)
        else:
            self._handle(router.Ended(message.number, told))

    def _fetch(self, number: int, outcome: Outcome) -> None:
        if number not in self._fetching:
            work = self._fetch_outputs(number, outcome)
            self._fetching[number] = asyncio.get_running_loop().create_task(work)

    async def _fetch_outputs(self, number: int, outcome: Outcome) -> None:
        assert self._uploader is not None
        depot = None if self._address is None else self._uploader.depot
        brought = await self._outputs.brought(outcome, depot)
        del self._fetching[number]
        self._handle(router.Ended(number, brought))
        self._send(messages.Fetched(number))

    def _forget_fetching(self, numbers: Iterable[int]) -> None:
        """Wait no more for the outputs of jobs that are run again."""
        for number in numbers:
            if (task := self._fetching.pop(number, None)) is not None:
                task.cancel()

    def output(self, blob: Digest) -> Path:
        """Return where a content lies that an outcome names; for any thread, until `close`."""
        return self._outputs.path(blob)

    def _note_away(self, error: ConnectionLost) -> None:
        if not self._is_away:
            self._is_away = True
            self._note(f"{error.message}; it is tried for {self._patience_s:.0f} s")

    def _note(self, text: str) -> None:
        if self.on_note is not None:
            self.on_note(text)

    def _child_ended(self, child: Child) -> None:
        asyncio.get_running_loop().remove_reader(child.pidfd)
        if self._stop is not None and not self._stop.is_set():
            self._explain(InfrastructureError(f"the {child.name} ended"))

    def _explain(self, reason: MaelstromError) -> None:
        if not self._children:
            self._fail(reason)
        elif self._explaining is None:
            self._explaining = asyncio.get_running_loop().create_task(self._fail_for(reason))

    async def _fail_for(self, reason: MaelstromError) -> None:
        self._fail(await reason_of(self._children, reason))
