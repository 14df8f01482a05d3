"""What a job may be tied to while it runs: where its files go, and who sits at its terminal."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from maelstrom.sandbox.channel import Message

NOTES = frozenset(("found", "content", "output"))
"""The messages of a slot that do not end its job."""


class FileSink(Protocol):
    """Takes what comes back from a job."""

    def found(self, path: bytes, kind: str, target: bytes) -> None:
        """Take the next entry: a `file`, `program`, `directory`, `opaque`, `link`, `whiteout`."""

    def content(self, content: bytes) -> None:
        """Take the next bytes of the last file."""


class Terminal:
    """The worker's end of a job's terminal."""

    def __init__(self, on_output: Callable[[bytes], None]) -> None:
        self.on_output = on_output
        self.send: Callable[[Message], None] | None = None
        """Set while the job runs."""

    def type(self, content: bytes) -> None:
        """Have bytes typed."""
        if self.send is not None:
            self.send(("input", content))

    def resize(self, rows: int, columns: int) -> None:
        """Tell of a new size."""
        if self.send is not None:
            self.send(("resize", rows, columns))


class Ties(NamedTuple):
    """Of one job; those of most jobs are none."""

    files: FileSink | None = None
    terminal: Terminal | None = None

    def take(self, message: Message) -> None:
        """Take a note; what nobody wants is lost."""
        match message:
            case ("found", bytes(path), str(kind), bytes(target)):
                if self.files is not None:
                    self.files.found(path, kind, target)
            case ("content", bytes(content)):
                if self.files is not None:
                    self.files.content(content)
            case ("output", bytes(content)):
                if self.terminal is not None:
                    self.terminal.on_output(content)
            case _:
                raise AssertionError(message[:1])


UNTIED = Ties()
