"""Our way to the broker's store: contents come and go, by a connection that may break.

Rules of this file:
1. Whoever asks waits until his content is verified at the end it goes to, or hears why it is not.
2. A connection that breaks is made anew, TRIES_MAX times without anything having come. What is
   whole at the other end is not sent again, and of a large blob only what is not there yet.
3. A blob that went on from an earlier beginning and is wrong comes once more, from its beginning.
"""

import asyncio
import random
from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any, assert_never

from maelstrom import __version__
from maelstrom.errors import (
    ConnectionLost,
    InfrastructureError,
    MaelstromError,
    ProtocolError,
    StoreError,
)
from maelstrom.model.digest import Digest
from maelstrom.store.disk import DiskStore
from maelstrom.store.intake import Intake
from maelstrom.store.partial import PARTIAL_BYTES_MIN
from maelstrom.store.sender import Read, Sender
from maelstrom.wire import messages
from maelstrom.wire.backoff import Backoff
from maelstrom.wire.connection import Codec, Connection
from maelstrom.wire.dial import Reach
from maelstrom.wire.greeting import Hello, Role, hello
from maelstrom.wire.parcel import BLOB_FRAME_BYTES_MAX, DIGESTS_MAX, batches

TRIES_MAX = 8
"""How often a connection is made when nothing comes of it: with the waits, about 10 s."""
ASKED_MAX = 4 * DIGESTS_MAX
"""How many blobs the broker is asked for at a time."""
LOST = "the connection for contents is lost"

CODEC: Codec[messages.Blobs] = Codec(messages.Blobs)


class _Line:
    """One connection, and what goes over it."""

    def __init__(self, depot: "Depot", read: Read) -> None:
        self._depot = depot
        self.connection = Connection(
            hello(Role.BLOBS, __version__, depot.token),
            owner=self,
            codec=CODEC,
            is_watched=depot.is_watched,
        )
        self.sender = Sender(self.connection, read, depot.spawn, depot.unreadable)
        self.intake: Intake | None = None

    def greeted(self, theirs: Hello) -> None:  # noqa: ARG002  # There is nothing to agree on.
        """Go on, with frames of parcels."""
        self.connection.frame_bytes_limit(BLOB_FRAME_BYTES_MAX)

    def received(self, message: messages.Blobs) -> None:
        """Take what the broker says of contents."""
        match message:
            case messages.Parcel():
                self._intake().take(message)
            case messages.Took(size_bytes, stored):
                self.sender.took(size_bytes)
                self._depot.given(stored)
            case messages.Refused(digest, reason):
                self._depot.not_given(digest, StoreError(f"the broker refused a blob: {reason}"))
            case messages.Absent(digest, reason):
                if self.intake is not None:
                    self.intake.absent(digest)
                self._depot.absent(digest, reason)
            case messages.Lacking(asked, wanted):
                self.sender.send(self._depot.lacking(asked, dict(wanted)))
            case messages.Get() | messages.AskLacking():
                raise ProtocolError(f"{type(message).__name__} from a broker")
            case messages.Ping() | messages.Goodbye():
                pass
            case _:
                assert_never(message)

    def _intake(self) -> Intake:
        if self.intake is None:
            if self._depot.store is None:
                raise ProtocolError("content that nobody asked for")
            line = self.connection
            self.intake = Intake(self._depot.store, line, self._depot.spawn, self._depot)
        return self.intake

    def lost(self, error: MaelstromError | None) -> None:
        """Stop at once; what came of a large blob is kept."""
        self.sender.lost()
        if self.intake is not None:
            self.intake.lost()
        self._depot.lost(self, error)


class Depot:
    """Gets into `store`, gives what `read` reads; `reach` connects to the broker."""

    def __init__(self, reach: Reach, store: DiskStore | None, read: Read) -> None:
        self.token = ""
        self.is_watched = True
        self.asks_first = False
        """Whether the broker does not know yet what we are going to give."""
        self._reach = reach
        self.store = store
        """Where what we get is kept; it may be known later than that there is something to give."""
        self._read = read
        self._getting: dict[Digest, asyncio.Future[None]] = {}
        self._giving: dict[Digest, asyncio.Future[None]] = {}
        # Of what we are getting: what the broker was not asked for yet, and what it was.
        self._unasked: deque[Digest] = deque()
        self._asked: set[Digest] = set()
        self._line: _Line | None = None
        self._reaching: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._backoff = Backoff(random.random)
        self._tries_left = TRIES_MAX
        self._is_closed = False

    # What its owner calls

    async def get(self, digests: Iterable[Digest]) -> None:
        """Have these in our store; raises the first error when all have been tried."""
        futures, fresh = self._wait(digests, self._getting)
        self._unasked += fresh
        self._ask()
        self._start()
        await _all(futures)

    async def give(self, digests: Iterable[Digest]) -> None:
        """Have these in the broker's store; raises the first error when all have been tried."""
        await _all(self.offer(digests))

    def offer(self, digests: Iterable[Digest]) -> list[asyncio.Future[None]]:
        """Begin to give; each of these is done when the broker has it, or will not have it."""
        futures, fresh = self._wait(digests, self._giving)
        if fresh and self._line is not None:
            self._offer(self._line, fresh)
        self._start()
        return futures

    def _wait(
        self, digests: Iterable[Digest], waiting: dict[Digest, asyncio.Future[None]]
    ) -> tuple[list[asyncio.Future[None]], list[Digest]]:
        futures, fresh = [], []
        for digest in digests:
            future = waiting.get(digest)
            if future is None:
                future = waiting[digest] = asyncio.get_running_loop().create_future()
                fresh.append(digest)
            futures.append(future)
        return futures, fresh

    def open(self) -> None:
        """Connect at once: there will be something to give."""
        if self._reaching is None and self._line is None:
            self._reaching = asyncio.get_running_loop().create_task(self._connect())

    def disconnect(self) -> None:
        """Break the connection; what is still wanted goes by the next one."""
        if self._line is not None:
            self._line.connection.abort(ConnectionLost(LOST))

    def forget_given(self) -> None:
        """Give nothing any more: whoever wanted it will ask again."""
        giving, self._giving = self._giving, {}
        for future in giving.values():
            future.cancel()
        self.disconnect()

    async def close(self) -> None:
        """End it; whoever waits hears so."""
        self._is_closed = True
        if self._line is not None:
            self._line.connection.close()
        tasks = [*self._tasks, *([self._reaching] if self._reaching is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fail(ConnectionLost(LOST))

    # The connection

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside, until `close`."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Somebody waits for what this should have done.
            self._fail(InfrastructureError(f"contents could not be moved: {error!r}"))

    @property
    def _has_work(self) -> bool:
        return bool(self._getting or self._giving) and not self._is_closed

    def _start(self) -> None:
        if self._has_work:
            self.open()

    async def _connect(self) -> None:
        try:
            while not self._is_closed:
                try:
                    reached = await self._reach()
                    line = _Line(self, self._read)
                    await reached.attach(line.connection)
                except (OSError, InfrastructureError) as error:
                    if not await self._wait_a_while(f"cannot reach the broker: {error}"):
                        return
                else:
                    await self._drop_what_is_here()
                    self._begin(line)
                    return
        finally:
            self._reaching = None

    async def _drop_what_is_here(self) -> None:
        """Do not ask again for what came just before a connection broke."""
        if self.store is not None and self._getting:
            every = list(self._getting)
            missing = set(await asyncio.to_thread(self.store.missing, every))
            for digest in every:
                if digest not in missing:
                    _settle(self._getting, digest)

    def _begin(self, line: _Line) -> None:
        if line.connection.is_over:
            self.spawn(self._come_back(""))
            return
        self._line = line
        self._asked.clear()
        self._unasked = deque(self._getting)
        self._ask()
        self._offer(line, self._giving)

    async def _wait_a_while(self, reason: str) -> bool:
        self._tries_left -= 1
        if self._tries_left <= 0:
            self._tries_left = TRIES_MAX
            self._fail(ConnectionLost(reason))
            return False
        await asyncio.sleep(self._backoff.next_s())
        return True

    async def _come_back(self, reason: str) -> None:
        if self._has_work and await self._wait_a_while(reason):
            self._start()

    def lost(self, line: _Line, error: MaelstromError | None) -> None:
        """Come back if there is something left to move."""
        if line is not self._line:
            return  # It broke before anything went over it.
        self._line = None
        if not self._is_closed:
            self.spawn(self._come_back(f"{LOST}: {error.message}" if error is not None else LOST))

    # Getting

    def _ask(self) -> None:
        """Ask for more, in large messages and not for everything at once."""
        if self._line is None:
            return
        store = self.store
        while self._unasked and len(self._asked) <= ASKED_MAX - DIGESTS_MAX:
            assert store is not None, "there is a place for what is asked for"
            batch = [self._unasked.popleft() for _ in range(min(len(self._unasked), DIGESTS_MAX))]
            self._asked.update(batch)
            wanted = tuple(
                (digest, store.partial_bytes(digest) if digest.size >= PARTIAL_BYTES_MIN else 0)
                for digest in batch
            )
            self._line.connection.send(messages.Get(wanted))

    def absent(self, digest: Digest, reason: str) -> None:
        """Tell who waits that the broker does not have it."""
        self._asked.discard(digest)
        _settle(self._getting, digest, InfrastructureError(f"the broker lacks a blob: {reason}"))

    def begins(self, piece: messages.Piece) -> None:
        """Take only what was asked for."""
        if piece.digest not in self._getting:
            raise ProtocolError(f"blob {piece.digest.short} came without being asked for")

    def kept(self, digests: tuple[Digest, ...]) -> None:
        """Tell who waits."""
        self._moved()
        for digest in digests:
            self._asked.discard(digest)
            _settle(self._getting, digest)
        self._ask()

    def refused(self, digest: Digest, error: MaelstromError, *, was_resumed: bool) -> None:
        """Tell who waits, unless only its beginning may have been wrong."""
        if was_resumed:
            self._asked.discard(digest)
            self._unasked.append(digest)
            self._ask()
        else:
            self._asked.discard(digest)
            _settle(self._getting, digest, error)

    # Giving

    def _offer(self, line: _Line, digests: Iterable[Digest]) -> None:
        every = list(digests)
        asked = [d for d in every if self.asks_first or d.size >= PARTIAL_BYTES_MIN]
        if not self.asks_first:
            line.sender.send((d, 0) for d in every if d.size < PARTIAL_BYTES_MIN)
        for batch in batches(asked):
            line.connection.send(messages.AskLacking(batch))

    def lacking(
        self, asked: tuple[Digest, ...], wanted: dict[Digest, int]
    ) -> list[tuple[Digest, int]]:
        """Hear what the broker lacks; return what is still to be given."""
        for digest in asked:
            if digest not in wanted:
                _settle(self._giving, digest)
        return [(digest, at) for digest, at in wanted.items() if digest in self._giving]

    def given(self, digests: tuple[Digest, ...]) -> None:
        """Tell who waits that the broker has these."""
        self._moved()
        for digest in digests:
            _settle(self._giving, digest)

    def not_given(self, digest: Digest, error: MaelstromError) -> None:
        """Tell who waits that the broker will not have it."""
        _settle(self._giving, digest, error)

    def unreadable(self, digest: Digest, message: str) -> None:
        """Tell who waits that we do not have what we offered."""
        _settle(self._giving, digest, InfrastructureError(message))

    def _moved(self) -> None:
        self._tries_left = TRIES_MAX
        self._backoff.reset()

    def _fail(self, error: MaelstromError) -> None:
        for waiting in (self._getting, self._giving):
            for digest in list(waiting):
                _settle(waiting, digest, error)


def _settle(
    waiting: dict[Digest, asyncio.Future[None]],
    digest: Digest,
    error: MaelstromError | None = None,
) -> None:
    future = waiting.pop(digest, None)
    if future is None or future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
        # Whoever waited for it may be gone.
        future.exception()


async def _all(futures: list[asyncio.Future[None]]) -> None:
    """Wait for all, whatever becomes of them; then raise the first error."""
    for future in futures:
        if not future.done():
            # Others may wait for the same: that we are cancelled is nothing to them. Not for all at
            # once: many are done when the first of them is, and to be told of each costs more.
            await asyncio.wait((future,))
    errors = [ConnectionLost(LOST) if f.cancelled() else f.exception() for f in futures]
    for error in errors:
        if error is not None:
            raise error
