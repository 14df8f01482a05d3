"""Bring the large outputs of a job, which its outcome names, to where a client can read them.

Rules of this file:
1. An outcome is told when all it names is here; if that cannot be had, it is an infrastructure
   error.
2. What is here is pinned until the session ends: whoever is told of a blob can read it.
3. A connection that breaks is no error as long as the broker is tried again.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from maelstrom.errors import ConnectionLost, MaelstromError
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import InfrastructureFault, Outcome, Output, Ran, blobs_of
from maelstrom.store.depot import Depot
from maelstrom.store.disk import DiskStore

PIN = "outputs"
ROUNDS_MAX = 12
"""How often a depot may give up: it tries for about 10 s, and a broker is waited for longer."""


class Outputs:
    """The outputs of a session's jobs, in a store of ours, which may be the broker's, too."""

    def __init__(self, open_store: Callable[[], DiskStore]) -> None:
        self._open_store = open_store
        self._store: DiskStore | None = None

    @property
    def store(self) -> DiskStore:
        """Return the store, open from the first output on; raises StoreError."""
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def path(self, digest: Digest) -> Path:
        """Return where a blob lies that an outcome names."""
        return Path(os.fspath(self.store.path(digest)))

    async def brought(self, outcome: Outcome, depot: Depot | None) -> Outcome:
        """Return the outcome when all that it names is here; without a depot it must be."""
        try:
            await self._have(blobs_of(outcome), depot)
            return await asyncio.to_thread(self._filled, outcome)
        except (MaelstromError, OSError) as error:
            hint = error.hint if isinstance(error, MaelstromError) else ""
            reason = error.message if isinstance(error, MaelstromError) else str(error)
            return InfrastructureFault(f"the outputs of the job cannot be fetched: {reason}", hint)

    async def _have(self, blobs: tuple[Digest, ...], depot: Depot | None) -> None:
        store = await asyncio.to_thread(lambda: self.store)
        await asyncio.to_thread(store.pin, blobs, PIN)
        for tries_left in reversed(range(ROUNDS_MAX)):
            if depot is None:
                return
            missing = await asyncio.to_thread(store.missing, blobs)
            if not missing:
                return
            depot.store = store
            try:
                await depot.get(missing)
            except ConnectionLost:
                if not tries_left:
                    raise

    def _filled(self, outcome: Outcome) -> Outcome:
        assert isinstance(outcome, Ran), "others have no outputs"
        effects = outcome.effects
        filled = msgspec.structs.replace(
            effects, stdout=self._read(effects.stdout), stderr=self._read(effects.stderr)
        )
        for file in effects.files:
            if file.blob is not None:
                self.path(file.blob)
        return msgspec.structs.replace(outcome, effects=filled)

    def _read(self, output: Output) -> Output:
        if output.blob is None:
            return output
        content = self.store.read(output.blob)
        head = output.head_bytes
        return Output(content[:head], content[head:], output.dropped_bytes)

    def close(self) -> None:
        """Let all of it go."""
        if self._store is not None:
            self._store.close()
            self._store = None
