"""How a job ended, and what it left to be seen."""

import msgspec

from maelstrom.model.digest import Digest


class Output(msgspec.Struct, frozen=True, array_like=True):
    """One captured stream: its first bytes, its last bytes, and how many between were dropped."""

    head: bytes = b""
    tail: bytes = b""
    dropped_bytes: int = 0
    blob: Digest | None = None
    """On its way, head and tail may be in the store instead of here."""
    head_bytes: int = 0
    """How much of the blob is the head."""

    def text(self) -> str:
        """Return it for a person, with the gap told."""
        if not self.dropped_bytes:
            return (self.head + self.tail).decode(errors="replace")
        gap = f"\n[... {self.dropped_bytes} bytes dropped ...]\n"
        return self.head.decode(errors="replace") + gap + self.tail.decode(errors="replace")

    @property
    def content(self) -> bytes:
        """What was kept, as bytes."""
        return self.head + self.tail


class OutputFile(msgspec.Struct, frozen=True, array_like=True):
    """Something that a job has made and that came back."""

    path: bytes
    """In the container, without the first slash."""
    kind: str
    """One of `file`, `program`, `directory`, `link`; of a captured root `opaque`, `whiteout`."""
    content: bytes
    """Of a link, where it leads."""
    blob: Digest | None = None
    """Where a large content is: in the store, and not here."""


class Effects(msgspec.Struct, frozen=True, array_like=True):
    """What a job that ran produced and used."""

    stdout: Output = Output()
    stderr: Output = Output()
    duration_s: float = 0.0
    cpu_user_s: float = 0.0
    cpu_system_s: float = 0.0
    memory_peak_bytes: int = 0
    worker: str = ""
    """Where it ran, for a person."""
    is_cached: bool = False
    """Whether this is how an equal job ended that ran before."""
    files: tuple[OutputFile, ...] = ()
    """What the spec wanted back, as far as it was there."""
    missed: str = ""
    """Why no equal job's outcome would do, as far as its broker knows."""


class Exited(msgspec.Struct, frozen=True, array_like=True, tag="exited"):
    """The program ended by itself with an exit status."""

    status: int
    effects: Effects


class Signaled(msgspec.Struct, frozen=True, array_like=True, tag="signaled"):
    """The program was ended by a signal that was not ours."""

    signal: int
    effects: Effects


class TimedOut(msgspec.Struct, frozen=True, array_like=True, tag="timed-out"):
    """We ended the program because its time was up."""

    effects: Effects


class LimitExceeded(msgspec.Struct, frozen=True, array_like=True, tag="limit"):
    """We ended the program because it used too much; `limit` says of what."""

    limit: str
    effects: Effects


class ExecutionError(msgspec.Struct, frozen=True, array_like=True, tag="execution-error"):
    """The job could not be started, and its spec is to blame."""

    message: str
    hint: str = ""


class InfrastructureFault(msgspec.Struct, frozen=True, array_like=True, tag="infrastructure-error"):
    """The job could not be run, and we are to blame: never a test failure."""

    message: str
    hint: str = ""


class Cancelled(msgspec.Struct, frozen=True, array_like=True, tag="cancelled"):
    """The client took the job back."""


def effects_of(outcome: "Outcome") -> Effects:
    """Return what the job did, which is nothing if it did not run."""
    return outcome.effects if isinstance(outcome, Ran) else Effects()


Ran = Exited | Signaled | TimedOut | LimitExceeded
Outcome = Ran | ExecutionError | InfrastructureFault | Cancelled


def blobs_of(outcome: Outcome) -> tuple[Digest, ...]:
    """Return what an outcome refers to and does not contain."""
    if not isinstance(outcome, Ran):
        return ()
    effects = outcome.effects
    out, err = effects.stdout.blob, effects.stderr.blob
    if out is None and err is None and not effects.files:
        return ()  # As of most jobs.
    blobs = [out, err, *(file.blob for file in effects.files)]
    return tuple(dict.fromkeys(blob for blob in blobs if blob is not None))
