"""A session that needs no broker: jobs run on this host, with the project mapped from /project.

It notes what it was asked for in the file that MAELSTROM_FAKE_LOG names, one JSON object a line.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from maelstrom.client.engine import Submission
from maelstrom.client.plain import PlainEngine
from maelstrom.errors import MaelstromError, SandboxUnavailable
from maelstrom.model.amounts import Amounts
from maelstrom.model.digest import Digest
from maelstrom.model.layer import PROJECT_ROOT
from maelstrom.model.outcome import InfrastructureFault, Outcome
from maelstrom.model.spec import JobSpec


class Session:
    """Has the face of the real one."""

    def __init__(
        self,
        *,
        broker: str | None,
        slots: int | None,
        resources: Amounts,
        store_root: Path,
        store_bytes_max: int,
        identity: Path | None,
    ) -> None:
        self._engine = PlainEngine(slots=slots or 64)
        self._project = str(Path.cwd())
        self._in_flight = 0
        self._waiting: list[Callable[[Outcome], None]] = []
        self.failure: MaelstromError | None = None
        shown = str(identity) if identity else None
        opened = {"broker": broker, "slots": slots, "has": resources, "store": store_bytes_max}
        _note(event="open", **opened, identity=shown)

    def start(self) -> None:
        """Fail as a host without user namespaces does, if the test asks for it."""
        if os.environ.get("MAELSTROM_FAKE_FAILURE"):
            self.failure = SandboxUnavailable("this host forbids it", hint="allow it")

    def offer(self, sources: Mapping[Any, Any]) -> None:
        """All is here already."""

    def submit(self, job: Submission) -> int:
        """Run it on the host."""
        spec, on_outcome = job.spec, job.on_outcome
        if self.failure is not None:
            on_outcome(InfrastructureFault(self.failure.message, self.failure.hint))
            return 0
        self._in_flight += 1
        self._waiting.append(on_outcome)
        _note(event="submit", in_flight=self._in_flight, time_s=time.monotonic(), **_told(spec))

        def ended(outcome: Outcome) -> None:
            self._in_flight -= 1
            _note(event="end", how=type(outcome).__name__)
            on_outcome(outcome)

        def here(text: str) -> str:
            return text.replace(PROJECT_ROOT, self._project, 1) if PROJECT_ROOT in text else text

        mapped = msgspec.structs.replace(
            spec,
            program=here(spec.program),
            arguments=tuple(map(here, spec.arguments)),
            working_directory=here(spec.working_directory),
            environment=(*spec.environment, ("PYTHONPATH", os.environ.get("PYTHONPATH", ""))),
        )
        return self._engine.submit(replace(job, spec=mapped, on_outcome=ended))

    def cancel(self, job: int, *, even_running: bool) -> None:
        """Nothing comes back that was given out."""

    def output(self, blob: Digest) -> Path:
        """Nothing is kept apart here."""
        raise AssertionError(blob)

    def cancel_all(self, *, running: bool) -> None:
        """Take jobs back; break instead, as a broker that is gone, if the test asks for it."""
        _note(event="cancel", running=running)
        if os.environ.get("MAELSTROM_FAKE_BREAKS"):
            for on_outcome in self._waiting:
                on_outcome(InfrastructureFault("the broker is gone"))
        self._engine.cancel_all(running=running)

    def close(self, *, timeout_s: float) -> None:
        """End everything."""
        _note(event="close")
        self._engine.close(timeout_s=timeout_s)


def _told(spec: JobSpec) -> dict[str, Any]:
    return {
        "program": spec.program,
        "arguments": list(spec.arguments),
        "environment": dict(spec.environment),
        "working_directory": spec.working_directory,
        "timeout_s": spec.timeout_s,
        "network": spec.network.value,
        "layers": len(spec.layers),
        "user": spec.user,
        "memory": spec.limits.memory_bytes_max,
        "mounts": [mount.mount_point for mount in spec.mounts],
    }


def _note(**event: Any) -> None:
    path = os.environ.get("MAELSTROM_FAKE_LOG")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
