"""Bring what layers are made of into the worker's store, and have them laid out."""

import asyncio
import contextlib
from collections.abc import Iterable

from maelstrom.errors import StoreError
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import Manifest
from maelstrom.store.depot import Depot
from maelstrom.store.disk import DiskStore
from maelstrom.worker.builder import LayerBuilder

BUILDS_AT_ONCE_MAX = 4


class Fetcher:
    """Prepares layers; `depot` is the way to the broker's store, or None if that is ours, too."""

    def __init__(self, store: DiskStore, depot: Depot | None) -> None:
        self._store = store
        self._builder = LayerBuilder(store)
        self._depot = depot
        self._building = asyncio.Semaphore(BUILDS_AT_ONCE_MAX)

    async def prepare(self, layer: Digest) -> None:
        """Pin a layer, fetch what it is made of and lay it out; raises MaelstromError."""
        await asyncio.to_thread(self._store.pin, [layer], layer.hash)
        if await asyncio.to_thread(self._store.touch_layer, layer):
            return
        await self._have((layer,))
        manifest = await asyncio.to_thread(self._read, layer)
        await self._have(manifest.contents())
        async with self._building:
            await asyncio.to_thread(self._builder.ensure, manifest)

    def _read(self, layer: Digest) -> Manifest:
        return Manifest.decode(self._store.read(layer))

    async def _have(self, digests: Iterable[Digest]) -> None:
        missing = await asyncio.to_thread(self._store.missing, digests)
        if not missing:
            return
        if self._depot is None:
            raise StoreError(
                f"blob {missing[0].short} is not in the store that is shared with the broker"
            )
        await self._depot.get(missing)

    async def release(self, layer: Digest) -> None:
        """Let a layer be evicted."""
        with contextlib.suppress(StoreError):
            await asyncio.to_thread(self._store.unpin, layer.hash)
