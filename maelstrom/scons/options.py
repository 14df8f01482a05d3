"""Options and settings of a test run, from wherever they come.

Precedence: command line, then environment, then construction variable, then default. All have one
name: `--maelstrom-slots`, `MAELSTROM_SLOTS` in the environment and in an SConstruct.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import SCons.Errors
import SCons.Script

UIS = ("auto", "fancy", "simple", "quiet")
SLOTS_MAX = 4096
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("", "0", "false", "no", "off")


class Settings(NamedTuple):
    """What holds for the whole run."""

    is_contained: bool
    """Each case in a container of its own; otherwise as plain processes of this host."""
    broker: str | None
    """HOST:PORT or unix:PATH; None for a broker of our own."""
    slots: int | None
    timeout_s: float
    """For tests that have none of their own; 0 means no limit."""
    ui: str
    junit: str | None
    uses_cache: bool = True
    """Whether a pass of an equal job, here or on the broker, will do."""


def _broker(text: str) -> str:
    if text.startswith("unix:") and len(text) > len("unix:") and "\0" not in text:
        return text
    match = re.fullmatch(r"(?:plain:)?(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):([0-9]{1,5})", text)
    if match is None or not 0 < int(match[2]) < 1 << 16:
        raise ValueError("HOST:PORT or unix:PATH")
    return text


def _slots(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) <= SLOTS_MAX:
        raise ValueError(f"a number from 1 to {SLOTS_MAX}")
    return int(text)


def seconds(text: str) -> float:
    """Read a time in seconds; raises ValueError that says what was expected."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 7 * 24 * 3600 or not math.isfinite(value):
        raise ValueError("a number of seconds, at most one week; 0 for no limit")
    return value


def _ui(text: str) -> str:
    if text not in UIS:
        raise ValueError("one of " + ", ".join(UIS))
    return text


def _file(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("the name of a file")
    return text


class _Option(NamedTuple):
    name: str
    metavar: str
    read: Callable[[str], Any]
    default: Any
    help: str

    @property
    def variable(self) -> str:
        return f"MAELSTROM_{self.name.upper()}"


OPTIONS = (
    _Option(
        "broker",
        "ADDRESS",
        _broker,
        None,
        "Run them on the broker at HOST:PORT or unix:PATH; implies --maelstrom.",
    ),
    _Option("slots", "N", _slots, None, "Run at most N cases at once in containers."),
    _Option("timeout", "S", seconds, 300.0, "Seconds a case may take; 300 if nothing is said."),
    _Option("ui", "UI", _ui, "auto", "How to report: auto, fancy, simple or quiet."),
    _Option("junit", "FILE", _file, None, "Write a JUnit XML report."),
)


def add() -> None:
    """Add our options to SCons', once."""
    try:
        SCons.Script.GetOption("maelstrom")
    except AttributeError:
        pass
    else:
        return
    SCons.Script.AddOption(
        "--maelstrom",
        dest="maelstrom",
        action="store_true",
        default=False,
        help="Run each test case in a container of its own.",
    )
    SCons.Script.AddOption(
        "--maelstrom-no-cache",
        dest="maelstrom_no_cache",
        action="store_true",
        default=False,
        help="Run every case, whether or not an equal one has passed before.",
    )
    for option in OPTIONS:
        SCons.Script.AddOption(
            f"--maelstrom-{option.name}",
            dest=f"maelstrom_{option.name}",
            nargs=1,
            type="string",
            action="store",
            default=None,
            metavar=option.metavar,
            help=option.help,
        )
    _show_in_help()


def _show_in_help() -> None:
    """A project that called Help() before has frozen the text of the options: add ours."""
    text = SCons.Script.help_text
    parser = SCons.Script.Main.OptionsParser
    if text is None or "--maelstrom" in text or not hasattr(parser, "format_local_option_help"):
        return
    SCons.Script.HelpFunction("\n" + parser.format_local_option_help(), append=True)


def resolve(variables: Mapping[str, Any]) -> Settings:
    """Find what holds; `variables` are construction variables. Raises SCons' UserError."""
    values = {option.name: _resolve(option, variables) for option in OPTIONS}
    from_line = SCons.Script.GetOption("maelstrom")
    has_broker = SCons.Script.GetOption("maelstrom_broker") is not None
    return Settings(
        is_contained=bool(from_line or has_broker or _is_on(variables)),
        broker=values["broker"],
        slots=values["slots"],
        timeout_s=values["timeout"],
        ui=values["ui"],
        junit=values["junit"],
        uses_cache=not SCons.Script.GetOption("maelstrom_no_cache"),
    )


def _resolve(option: _Option, variables: Mapping[str, Any]) -> Any:
    sources = (
        (f"--maelstrom-{option.name}", SCons.Script.GetOption(f"maelstrom_{option.name}")),
        (f"the environment variable {option.variable}", os.environ.get(option.variable) or None),
        (f"the construction variable {option.variable}", variables.get(option.variable)),
    )
    for where, value in sources:
        if value is None:
            continue
        try:
            return option.read(str(value))
        except ValueError as error:
            message = f"{where} is {str(value)!r}: it must be {error}"
            raise SCons.Errors.UserError(message) from None
    return option.default


def given() -> list[str]:
    """Return those options of the command line that change what a test finds."""
    found = []
    for name in ("broker", "timeout"):
        value = SCons.Script.GetOption(f"maelstrom_{name}")
        if value is not None:
            found.append(f"--maelstrom-{name}={value}")
    if SCons.Script.GetOption("maelstrom") and SCons.Script.GetOption("maelstrom_broker") is None:
        found.insert(0, "--maelstrom")
    return found


def _is_on(variables: Mapping[str, Any]) -> bool:
    sources = (
        ("the environment variable MAELSTROM", os.environ.get("MAELSTROM")),
        ("the construction variable MAELSTROM", variables.get("MAELSTROM")),
    )
    for where, value in sources:
        if value is None:
            continue
        text = str(value).lower()
        if text not in _TRUE + _FALSE:
            raise SCons.Errors.UserError(f"{where} is {str(value)!r}: it must be 1 or 0")
        return text in _TRUE
    return False
