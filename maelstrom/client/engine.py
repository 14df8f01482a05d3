"""What a test run needs of whoever runs its jobs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from maelstrom.errors import MaelstromError
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import Outcome
from maelstrom.model.spec import JobSpec


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to be run, and who hears of it."""

    spec: JobSpec
    on_outcome: Callable[[Outcome], None]
    """Called exactly once, on a thread of the engine; must not block."""
    on_status: Callable[[str], None] | None = None
    """Hears "" when the job waits for a worker, and then the name of the one it runs on."""
    priority: int = 0
    estimate_s: float = 0.0
    """0 for unknown."""
    may_be_cached: bool = False
    """Whether a shared broker may answer with the outcome of an equal job, and keep this one's."""


class Engine(Protocol):
    """Where jobs run: a session with a broker, or plain processes of this host."""

    failure: MaelstromError | None

    def start(self) -> None:
        """Begin to start up; returns at once."""

    def offer(self, sources: Mapping[Any, Any]) -> None:
        """Tell where content can be had; before jobs are submitted that need it."""

    def submit(self, job: Submission) -> int:
        """Queue a job; returns its number here."""

    def output(self, blob: Digest) -> Path:
        """Return where a content lies that an outcome refers to."""

    def cancel_all(self, *, running: bool) -> None:
        """Take jobs back, those that run too if `running`; outcomes come as ever."""

    def close(self, *, timeout_s: float) -> None:
        """End everything."""
