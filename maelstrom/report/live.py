"""The `fancy` report: a bar and the running targets at the bottom, failures scrolling by above."""

import atexit
import threading
import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from maelstrom.report import text
from maelstrom.report.events import (
    CaseFinished,
    CaseStarted,
    Event,
    Note,
    RunFinished,
    RunStarted,
    TargetFailed,
)
from maelstrom.report.line import Writer
from maelstrom.report.screen import Screen
from maelstrom.report.summary import Place, Summary
from maelstrom.report.wording import WIDTH, Wording

INTERVAL_S = 0.1
LONG_S = 1.0
"""A case that runs for longer is shown by name."""
LONG_MAX = 6
PICTURE_COLUMNS_MAX = 100
CLOSE_TIMEOUT_S = 5.0


class LiveReporter:
    """Draws the state of the run until it is over, then prints the summary."""

    def __init__(
        self, stream: TextIO, *, colour: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.summary = Summary()
        self._stream = stream
        self._writer = Writer(stream)
        self._colour = colour
        self._clock = clock
        self._wording = Wording(colour=colour)
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._started_s = 0.0
        self._since: dict[Place, float] = {}
        self._spinner = Spinner("dots" if _is_unicode(stream) else "line")
        self._screen: Screen | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._closing = threading.Event()
        self._is_settled = threading.Event()

    def handle(self, event: Event) -> None:
        """Take in what happened; called from any thread, and never waits for the terminal."""
        with self._lock:
            self.summary.handle(event)
            self._note(event)
            is_closed = self._is_closed
        if isinstance(event, RunStarted) and not is_closed:
            self._open()
        elif isinstance(event, RunFinished) or is_closed:
            self.close()

    def close(self) -> None:
        """Print what is left and give the terminal back."""
        with self._lock:
            screen, is_first = self._screen, not self._is_closed
            self._is_closed = True
        if screen is not None and is_first:
            self._settle(screen)
        # What came before the picture, or after it, is printed as by any other program.
        with self._lock:
            left, self._lines = self._lines, []
        self._writer.write(left)

    def _settle(self, screen: Screen) -> None:
        atexit.unregister(self.close)
        # While the picture is still drawn, so that nobody prints into what nobody reads; and
        # without the lock, as it waits for the one who draws.
        screen.give_back()
        self._closing.set()
        screen.wake()
        self._is_settled.wait(CLOSE_TIMEOUT_S)

    def _note(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._started_s = self._clock()
            case CaseStarted(target, case):
                self._since[Place(target, case)] = self._clock()
            case CaseFinished(result):
                self._since.pop(Place(result.target, result.case), None)
                if not result.verdict.status.is_good:
                    self._lines += self._wording.case(result)
            case TargetFailed():
                self._lines += self._wording.broken(event)
            case Note(content):
                self._lines += self._wording.note(content)
            case RunFinished():
                self._lines += self._wording.summary(self.summary)
            case _:
                pass

    def _open(self) -> None:
        self._screen = Screen(self._stream.fileno())
        atexit.register(self.close)
        self._thread = threading.Thread(
            target=self._draw, args=(self._screen,), name="maelstrom-report", daemon=True
        )
        self._thread.start()

    def _draw(self, screen: Screen) -> None:
        while not self._closing.is_set():
            screen.wait(INTERVAL_S)
            self._paint(screen)
            # Whoever prints a lot wakes us often: the picture has its own pace.
            self._closing.wait(INTERVAL_S / 2)
        self._paint(screen)
        self._is_settled.set()
        # A child that outlives the run still prints to what we catch.
        while screen.is_used_by_others:
            screen.wait(INTERVAL_S * 10)
            if above := screen.printed():
                screen.paint(above, [], [])

    def _paint(self, screen: Screen) -> None:
        is_closing = self._closing.is_set()
        above = screen.printed()
        if is_closing:
            above += screen.rest()
        with self._lock:
            above += self._lines
            self._lines = []
            lines, widths = ([], []) if is_closing else self._picture(screen, screen.partial())
        screen.paint(above, lines, widths)

    def _picture(self, screen: Screen, partial: str) -> tuple[list[str], list[int]]:
        # One column less than there are: no terminal then breaks a line.
        columns = max(1, min(screen.size.columns - 1, PICTURE_COLUMNS_MAX))
        console = Console(
            width=columns,
            height=screen.size.rows,
            force_terminal=True,
            no_color=not self._colour,
            highlight=False,
            file=self._stream,
        )
        rows = self._rows(columns, screen.size.rows)
        if partial:
            rows.insert(0, Text.from_ansi(partial))
        with console.capture() as captured:
            for row in rows[-max(1, screen.size.rows - 1) :]:
                console.print(row, no_wrap=True, overflow="ellipsis", crop=True)
        lines = captured.get().rstrip("\n").split("\n")
        return lines, [columns] * len(lines)

    def _rows(self, columns: int, rows: int) -> list[Text | Table]:
        now = self._clock()
        shown: list[Text | Table] = []
        long = [(p, now - s) for p, s in self._since.items() if now - s >= LONG_S]
        for place, seconds in long[: max(1, min(LONG_MAX, rows // 4))]:
            line = Text(f"{seconds:.0f}s".rjust(WIDTH) + " ", style="yellow")
            line.append(text.name(place.target), "bold not yellow")
            if place.case != place.target:
                line.append("  " + text.name(place.case), "default")
            shown.append(line)
        targets = dict.fromkeys(text.name(place.target) for place in self._since)
        if targets:
            line = Text("Running".rjust(WIDTH) + " ", style="bold cyan")
            line.append(", ".join(targets), "not bold default")
            shown.append(line)
        shown.append(self._bar(columns, now))
        return shown

    def _bar(self, columns: int, now: float) -> Table:
        summary = self.summary
        elapsed = int(now - self._started_s)
        spin = self._spinner.render(now)
        bar = Table.grid(padding=(0, 1))
        head = Text(f"{elapsed // 60:02}:{elapsed % 60:02} ".rjust(WIDTH - 1), style="dim")
        counted = Text(f"{summary.done}/{summary.total}", style="bold")
        if not summary.total:
            counted = Text("waiting for the first target", style="dim")
        told = Text()
        if summary.failed:
            told.append(f"{summary.failed} failed", "bold red")
        cells: list[Text | ProgressBar] = [head, spin if isinstance(spin, Text) else Text("")]
        width = columns - WIDTH - 2 - counted.cell_len - told.cell_len - 2
        if summary.total and width >= 8:
            cells.append(
                ProgressBar(
                    summary.total,
                    summary.done,
                    width=min(width, 40),
                    complete_style="red" if summary.failed else "green",
                    finished_style="red" if summary.failed else "green",
                )
            )
        bar.add_row(*cells, counted, told)
        return bar


def _is_unicode(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", "") or "").lower().replace("-", "") == "utf8"
