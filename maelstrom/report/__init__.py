"""Tell people and programs what became of the tests."""

import os
from collections.abc import Mapping
from typing import Protocol, TextIO

from maelstrom.errors import UserError
from maelstrom.report.events import Event
from maelstrom.report.line import LineReporter
from maelstrom.report.summary import Summary

UIS = ("auto", "fancy", "simple", "quiet")


class Reporter(Protocol):
    """Whoever is told what happens in a run; called from any thread."""

    @property
    def summary(self) -> Summary:
        """What it has been told so far, counted."""

    def handle(self, event: Event) -> None:
        """Take in what happened."""

    def close(self) -> None:
        """Give back the terminal and finish files; may be called twice."""


def reporter(
    ui: str,
    stream: TextIO,
    *,
    junit: str | None = None,
    is_terminal: bool | None = None,
    environment: Mapping[str, str] | None = None,
) -> Reporter:
    """Return the report called `ui`; raises UserError for an unknown one or a bad `junit` path.

    `auto` is fancy on a terminal and simple elsewhere.
    """
    if ui not in UIS:
        raise UserError(f"unknown user interface `{ui}`", hint=f"it is one of {', '.join(UIS)}")
    environment = os.environ if environment is None else environment
    if is_terminal is None:
        is_terminal = stream.isatty()
    is_smart = is_terminal and environment.get("TERM", "") not in ("", "dumb")
    colour = is_smart and not environment.get("NO_COLOR")
    shown = _shown(ui, stream, is_smart=is_smart, colour=colour)
    if not junit:
        return shown
    # Not everybody asks for the file, and to read the XML parts of the library takes a while.
    from maelstrom.report.junit import JunitReporter

    return JunitReporter(junit, shown)


def _shown(ui: str, stream: TextIO, *, is_smart: bool, colour: bool) -> Reporter:
    if is_smart and ui in ("auto", "fancy"):
        from maelstrom.report.live import LiveReporter

        return LiveReporter(stream, colour=colour)
    return LineReporter(stream, colour=colour, is_quiet=ui == "quiet")
