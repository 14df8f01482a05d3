"""Keep what comes back from a job, to be sent with its outcome."""

import msgspec

from maelstrom.model.outcome import ExecutionError, Outcome, OutputFile, Ran

FILES_BYTES_MAX = 16 << 20
"""What may come back of one job; names count, too."""


class Collected:
    """The files of one job."""

    def __init__(self) -> None:
        self._files: list[OutputFile] = []
        self._content = bytearray()
        self._bytes_left = FILES_BYTES_MAX

    def found(self, path: bytes, kind: str, target: bytes) -> None:
        """Take the next entry."""
        self._end_file()
        self._bytes_left -= len(path) + len(target)
        if self._bytes_left >= 0:
            self._files.append(OutputFile(path, kind, target))

    def content(self, content: bytes) -> None:
        """Take the next bytes of the last file."""
        self._bytes_left -= len(content)
        if self._bytes_left >= 0:
            self._content += content

    def added_to(self, outcome: Outcome) -> Outcome:
        """Return the outcome with these files."""
        if not isinstance(outcome, Ran):
            return outcome
        if self._bytes_left < 0:
            return ExecutionError(
                f"outputs of more than {FILES_BYTES_MAX} bytes",
                "let the job pack them, or write them to a bind mount",
            )
        self._end_file()
        effects = msgspec.structs.replace(outcome.effects, files=tuple(self._files))
        return msgspec.structs.replace(outcome, effects=effects)

    def _end_file(self) -> None:
        if self._content:
            path, kind = self._files[-1].path, self._files[-1].kind
            self._files[-1] = OutputFile(path, kind, bytes(self._content))
            self._content.clear()
