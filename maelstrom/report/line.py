"""The `simple` report: one line per case, and the output of a failure right below it."""

import threading
from typing import TextIO

from maelstrom.report.events import CaseFinished, Event, Note, RunFinished, TargetFailed
from maelstrom.report.summary import Summary
from maelstrom.report.wording import Wording


class Writer:
    """Prints whole lines to a stream that may be narrow in its encoding or be closed early.

    A reader that went away is no reason to end the tests: what follows is dropped.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, lines: list[str]) -> None:
        """Print lines at once, so that other writers do not come between them."""
        if self._stream is None or not lines:
            return
        told = "".join(line + "\n" for line in lines)
        told = told.encode(self._encoding, "backslashreplace").decode(self._encoding)
        try:
            self._stream.write(told)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None


class LineReporter:
    """Prints each case as it finishes and the summary at the end; with `is_quiet` no good case."""

    def __init__(self, stream: TextIO, *, colour: bool, is_quiet: bool = False) -> None:
        self.summary = Summary()
        self._writer = Writer(stream)
        self._wording = Wording(colour=colour)
        self._is_quiet = is_quiet
        self._lock = threading.Lock()

    def handle(self, event: Event) -> None:
        """Take in what happened; called from any thread."""
        with self._lock:
            self.summary.handle(event)
            self._writer.write(self._lines(event))

    def close(self) -> None:
        """Nothing is held back, so nothing is left to do."""

    def _lines(self, event: Event) -> list[str]:
        match event:
            case CaseFinished(result):
                if self._is_quiet and result.verdict.status.is_good:
                    return []
                return self._wording.case(result)
            case TargetFailed():
                return self._wording.broken(event)
            case Note(content):
                return [] if self._is_quiet else self._wording.note(content)
            case RunFinished():
                return self._wording.summary(self.summary)
            case _:
                return []
