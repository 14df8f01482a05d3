"""Keep what comes back from a job: the small of it in its outcome, the large as blobs.

Rules of this file:
1. No content is held in memory that is larger than INLINE_BYTES_MAX: it goes into the store while
   it comes, and the outcome names it.
2. What the outcome names is pinned before it can be seen, under a name that the caller unpins.
3. What is inline has INLINE_SUM_MAX; beyond that, small contents become blobs, too.
"""

import msgspec

from maelstrom.errors import StoreError
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import (
    ExecutionError,
    InfrastructureFault,
    Outcome,
    Output,
    OutputFile,
    Ran,
    effects_of,
)
from maelstrom.store.disk import DiskStore
from maelstrom.store.writer import Spool

FILES_BYTES_MAX = 1 << 30
"""What may come back of one job; names count, too."""
NAMES_BYTES_MAX = 8 << 20
"""How much of it may be names: they are never blobs."""
INLINE_BYTES_MAX = 64 << 10
INLINE_SUM_MAX = 512 << 10


class Collected:
    """The files of one job."""

    def __init__(self, store: DiskStore, pin: str) -> None:
        self._store = store
        self._pin = pin
        self._files: list[OutputFile] = []
        self._content = bytearray()
        self._spool: Spool | None = None
        self._bytes_left = FILES_BYTES_MAX
        self._names_left = NAMES_BYTES_MAX
        self._inline_left = INLINE_SUM_MAX
        self._error: StoreError | None = None

    @property
    def _is_taking(self) -> bool:
        return self._bytes_left >= 0 and self._names_left >= 0 and self._error is None

    def found(self, path: bytes, kind: str, target: bytes) -> None:
        """Take the next entry."""
        self._end_file()
        size = len(path) + len(target)
        self._bytes_left -= size
        self._names_left -= size
        if self._is_taking:
            self._files.append(OutputFile(path, kind, target))

    def content(self, content: bytes) -> None:
        """Take the next bytes of the last file."""
        self._bytes_left -= len(content)
        if not self._is_taking:
            return
        try:
            self._append(content)
        except StoreError as error:
            self._error = error

    def _append(self, content: bytes) -> None:
        if self._spool is None:
            self._content += content
            if len(self._content) <= min(INLINE_BYTES_MAX, self._inline_left):
                return
            self._spool = self._store.spool()
            content = bytes(self._content)
            self._content.clear()
        self._spool.write(content)

    def _end_file(self) -> None:
        if not self._is_taking:
            self.drop()
        elif self._spool is not None:
            path, kind = self._files[-1].path, self._files[-1].kind
            spool, self._spool = self._spool, None
            try:
                blob = spool.keep(self._pin, is_executable=kind == "program")
                self._files[-1] = OutputFile(path, kind, b"", blob)
            except StoreError as error:
                self._error = error
        elif self._content:
            path, kind = self._files[-1].path, self._files[-1].kind
            self._files[-1] = OutputFile(path, kind, bytes(self._content))
            self._inline_left -= len(self._content)
            self._content.clear()

    def drop(self) -> None:
        """Forget what came of the last file."""
        self._content.clear()
        if self._spool is not None:
            self._spool.abort()
            self._spool = None

    def added_to(self, outcome: Outcome) -> Outcome:
        """Return the outcome with these files."""
        if not isinstance(outcome, Ran):
            self.drop()
            return outcome
        self._end_file()
        if self._bytes_left < 0 or self._names_left < 0:
            limit = FILES_BYTES_MAX if self._bytes_left < 0 else NAMES_BYTES_MAX
            what = "outputs" if self._bytes_left < 0 else "names of outputs"
            return ExecutionError(
                f"{what} of more than {limit} bytes",
                "let the job pack them, or write them to a bind mount",
            )
        if self._error is not None:
            message = f"the outputs of the job cannot be kept: {self._error.message}"
            return InfrastructureFault(message, self._error.hint)
        effects = msgspec.structs.replace(outcome.effects, files=tuple(self._files))
        return msgspec.structs.replace(outcome, effects=effects)


def has_large_output(outcome: Outcome) -> bool:
    """Whether a stream of it is too large to be inline."""
    effects = effects_of(outcome)
    return max(_size(effects.stdout), _size(effects.stderr)) > INLINE_BYTES_MAX


def with_large_output_moved(outcome: Outcome, store: DiskStore, pin: str) -> Outcome:
    """Return the outcome with its streams as blobs where they are large."""
    assert isinstance(outcome, Ran), "others have no output"
    effects = outcome.effects
    try:
        moved = msgspec.structs.replace(
            effects,
            stdout=_moved(effects.stdout, store, pin),
            stderr=_moved(effects.stderr, store, pin),
        )
    except StoreError as error:
        return InfrastructureFault(
            f"the output of the job cannot be kept: {error.message}", error.hint
        )
    return msgspec.structs.replace(outcome, effects=moved)


def _size(output: Output) -> int:
    return len(output.head) + len(output.tail)


def _moved(output: Output, store: DiskStore, pin: str) -> Output:
    if _size(output) <= INLINE_BYTES_MAX:
        return output
    digest = Digest.of(output.content)
    store.pin([digest], pin)
    store.put_bytes(digest, output.content)
    return Output(b"", b"", output.dropped_bytes, digest, len(output.head))
