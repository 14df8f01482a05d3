"""Give the broker the contents it wants: as paths on one machine, else over a connection."""

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from maelstrom.errors import InfrastructureError, MaelstromError
from maelstrom.model.digest import Digest
from maelstrom.store.depot import Depot
from maelstrom.wire import messages
from maelstrom.wire.connection import Connection
from maelstrom.wire.dial import Reach

OFFER_FILES_MAX = 1000


class Uploader:
    """Answers what the broker wants; `source` says where a content is."""

    def __init__(
        self,
        control: Connection,
        source: Callable[[Digest], str | bytes | None],
        reach: Reach,
    ) -> None:
        self._control = control
        self._source = source
        self._is_local = False
        self.depot = Depot(reach, None, self._read)

    def disconnected(self) -> None:
        """Forget what is to be sent: the broker asks again when it is there again."""
        self.depot.forget_given()

    def welcomed(self, control: Connection, token: str, *, is_local: bool) -> None:
        """Hear what the broker makes of us, by this connection."""
        self._control = control
        self.depot.token = token
        self.depot.is_watched = not is_local
        self._is_local = is_local
        if is_local:
            # A broker of our own has the other end since it started, and does not wait for a hello
            # for as long as a build may take.
            self.depot.open()

    def give(self, digests: Sequence[Digest]) -> None:
        """Offer, upload or withhold these contents."""
        files: list[tuple[Digest, bytes]] = []
        rest: list[Digest] = []
        for digest in digests:
            source = self._source(digest)
            if source is None:
                self._withhold(digest, f"content {digest.short} was never offered")
            elif isinstance(source, str) and self._is_local:
                files.append((digest, os.fsencode(Path(source).absolute())))
            else:
                rest.append(digest)
        for start in range(0, len(files), OFFER_FILES_MAX):
            self._control.send(messages.Offer(tuple(files[start : start + OFFER_FILES_MAX])))
        for digest, future in zip(rest, self.depot.offer(rest), strict=True):
            future.add_done_callback(partial(self._given, digest))

    def _given(self, digest: Digest, future: "asyncio.Future[None]") -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:
            reason = error.message if isinstance(error, MaelstromError) else str(error)
            self._withhold(digest, reason)

    def _withhold(self, digest: Digest, reason: str) -> None:
        self._control.send(messages.Withhold(digest, reason))

    async def close(self) -> None:
        """Stop."""
        await self.depot.close()

    def _read(self, digest: Digest, offset: int, length: int) -> tuple[bytes, bool]:
        """Read a part of a content; on a thread of its own."""
        source = self._source(digest)
        assert source is not None, "it was there when it was wanted"
        if isinstance(source, bytes):
            if len(source) != digest.size:
                raise InfrastructureError(f"content {digest.short} is not what was offered")
            return source[offset : offset + length], False
        # A FIFO in its place must not make us wait.
        file = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(file)
            if status.st_size != digest.size:
                raise InfrastructureError(f"`{source}` is not what it was when it was hashed")
            content = os.pread(file, length, offset)
        finally:
            os.close(file)
        if len(content) < length:
            raise InfrastructureError(f"`{source}` became shorter while it was sent")
        return content, bool(status.st_mode & 0o111)
