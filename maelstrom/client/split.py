"""Jobs that need this machine run here, whatever broker the others go to.

A job that sees files of this host or uses its network means this host, not the one of a worker that
happens to be free. So there are two sessions; the second one starts when the first such job comes.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from maelstrom.client.engine import Engine, Submission
from maelstrom.errors import MaelstromError, StoreError
from maelstrom.model.digest import Digest


class SplitEngine:
    """A session with a shared broker, and one of our own for what must stay here."""

    def __init__(self, shared: Engine, make_own: Callable[[], Engine]) -> None:
        self._shared = shared
        self._make_own = make_own
        self._own: Engine | None = None
        self._sources: dict[Any, Any] = {}

    @property
    def failure(self) -> MaelstromError | None:
        """Why nothing can run any more. What fails our own session fails its jobs only."""
        return self._shared.failure

    @failure.setter
    def failure(self, failure: MaelstromError | None) -> None:
        self._shared.failure = failure

    def start(self) -> None:
        """Begin to start up; returns at once."""
        self._shared.start()

    def offer(self, sources: Mapping[Any, Any]) -> None:
        """Tell where content can be had."""
        self._sources.update(sources)
        self._shared.offer(sources)
        if self._own is not None:
            self._own.offer(sources)

    def submit(self, job: Submission) -> int:
        """Queue a job where it belongs."""
        engine = self._reach_own() if job.spec.is_local else self._shared
        return engine.submit(job)

    def _reach_own(self) -> Engine:
        if self._own is None:
            self._own = self._make_own()
            self._own.start()
            self._own.offer(self._sources)
        return self._own

    def output(self, blob: Digest) -> Path:
        """Return where a content lies; what the shared one lacks is of a job of our own."""
        try:
            return self._shared.output(blob)
        except StoreError:
            if self._own is None:
                raise
            return self._own.output(blob)

    def cancel_all(self, *, running: bool) -> None:
        """Take jobs back."""
        for engine in self._engines():
            engine.cancel_all(running=running)

    def close(self, *, timeout_s: float) -> None:
        """End everything."""
        for engine in self._engines():
            engine.close(timeout_s=timeout_s)

    def _engines(self) -> list[Engine]:
        return [self._shared] if self._own is None else [self._shared, self._own]
