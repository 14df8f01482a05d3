"""Options and settings of a test run, from wherever they come.

Precedence: command line, then environment, then construction variable, then the user's file, the
system's, the default. All have one name: `--maelstrom-slots`, `MAELSTROM_SCONS_SLOTS` or, for all
our programs, `MAELSTROM_SLOTS` in the environment, `MAELSTROM_SLOTS` in an SConstruct, and `slots`
in a file (see configuration.py).
"""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import SCons.Errors
import SCons.Script

from maelstrom.model.amounts import Amounts, read_resources
from maelstrom.model.label import read_labels
from maelstrom.scons import configuration
from maelstrom.scons.configuration import Entry

UIS = ("auto", "fancy", "simple", "quiet")
SLOTS_MAX = 4096
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
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
    identity: str | None = None
    """Directory of the certificate to show to a broker; None for the usual places."""
    store_bytes: int = 10 << 30
    """How much content is kept on this machine."""
    is_hybrid: bool = False
    """Whether slots of this machine help the broker."""
    resources: Amounts = ()
    """What this machine has for cases that ask for more than slots."""
    labels: Amounts = ()
    """What it is."""


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


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,15})([KMGT]?)(?:I?B)?", text.upper())
    if match is None or not int(match[1]):
        raise ValueError("a size as in 500M or 10G")
    return int(match[1]) * _UNITS[match[2]]


def _resources(text: str) -> Amounts:
    try:
        return read_resources(text)
    except ValueError:
        raise ValueError("names with amounts, as in gpu=2,scope=1") from None


def _labels(text: str) -> Amounts:
    try:
        return read_labels(text)
    except ValueError:
        raise ValueError("words, as in arch=x86,fast") from None


def _is_yes(text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise ValueError("1 or 0")
    return text.lower() in _TRUE


class _Option(NamedTuple):
    key: str
    """Its name in files; its names elsewhere follow from it."""
    metavar: str
    read: Callable[[str], Any]
    default: Any
    help: str
    flag: str = ""
    """The option of the command line, if that takes no value."""
    flag_means: str = "1"

    @property
    def switch(self) -> str:
        return self.flag or f"--maelstrom-{self.key}"

    @property
    def attribute(self) -> str:
        return self.switch.removeprefix("--").replace("-", "_")

    @property
    def variable(self) -> str:
        name = self.key.upper().replace("-", "_")
        return name if self.flag == "--maelstrom" else f"MAELSTROM_{name}"

    def given(self) -> str | None:
        """Return what the command line says."""
        value = SCons.Script.GetOption(self.attribute)
        if self.flag:
            return self.flag_means if value else None
        return None if value is None else str(value)


OPTIONS = (
    _Option(
        "maelstrom",
        "",
        _is_yes,
        False,
        "Run each test case in a container of its own.",
        "--maelstrom",
    ),
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
    _Option(
        "cache",
        "",
        _is_yes,
        True,
        "Run every case, whether or not an equal one has passed before.",
        "--maelstrom-no-cache",
        "0",
    ),
    _Option("identity", "DIR", _file, None, "Show the broker the certificate in this directory."),
    _Option("store-size", "SIZE", _size, 10 << 30, "Keep so much content here; 10G if not said."),
    _Option(
        "hybrid",
        "",
        _is_yes,
        False,
        "With a broker: run cases in the slots of this machine, too.",
        "--maelstrom-hybrid",
    ),
    _Option("resources", "NAME=N,...", _resources, (), "What this machine has for its own slots."),
    _Option("labels", "WORD,...", _labels, (), "What it is, for cases that require labels."),
)
KEYS = tuple(option.key for option in OPTIONS)
VARIABLES = {
    field: option.variable for field, option in zip(Settings._fields, OPTIONS, strict=True)
}
"""How construction variables call what is in the settings."""


def add() -> None:
    """Add our options to SCons', once."""
    try:
        SCons.Script.GetOption("maelstrom")
    except AttributeError:
        pass
    else:
        return
    for option in OPTIONS:
        if option.flag:
            _add_flag(option.flag, option.help)
        else:
            _add(option.switch, option.metavar, option.help)
    _add(
        "--maelstrom-config-file",
        "FILE",
        f"Read settings from this file only; `{configuration.NO_FILE}` reads none.",
    )
    _add_flag(
        "--maelstrom-explain-order",
        "Run no case; tell in which order they would be run, and why.",
        "--explain-order",
    )
    _add_flag("--maelstrom-print-config", "Print all settings and where they are from, and end.")
    _show_in_help()


def _add_flag(switch: str, text: str, *others: str) -> None:
    dest = switch.removeprefix("--").replace("-", "_")
    SCons.Script.AddOption(
        switch, *others, dest=dest, action="store_true", default=False, help=text
    )


def explains_order() -> bool:
    """Whether cases are only put in order."""
    return bool(SCons.Script.GetOption("maelstrom_explain_order"))


def _add(switch: str, metavar: str, text: str) -> None:
    SCons.Script.AddOption(
        switch,
        dest=switch.removeprefix("--").replace("-", "_"),
        nargs=1,
        type="string",
        action="store",
        default=None,
        metavar=metavar,
        help=text,
    )


def _show_in_help() -> None:
    """A project that called Help() before has frozen the text of the options: add ours."""
    text = SCons.Script.help_text
    parser = SCons.Script.Main.OptionsParser
    if text is None or "--maelstrom" in text or not hasattr(parser, "format_local_option_help"):
        return
    SCons.Script.HelpFunction("\n" + parser.format_local_option_help(), append=True)


_files: dict[str | None, dict[str, Entry]] = {}


def _from_files() -> dict[str, Entry]:
    named = SCons.Script.GetOption("maelstrom_config_file")
    named = named or os.environ.get("MAELSTROM_SCONS_CONFIG_FILE") or None
    if named not in _files:
        try:
            _files[named] = configuration.read(named, KEYS)
        except configuration.Mistake as mistake:
            raise SCons.Errors.UserError(str(mistake)) from None
    return _files[named]


def resolve(variables: Mapping[str, Any]) -> Settings:
    """Find what holds; `variables` are construction variables. Raises SCons' UserError.

    If the command line asks for it, show it all, and end.
    """
    if SCons.Script.GetOption("maelstrom_print_config"):
        print("\n".join(_show(variables)), flush=True)
        SCons.Script.Exit(0)
    found = {option.key: _resolve(option, variables)[0] for option in OPTIONS}
    has_broker = SCons.Script.GetOption("maelstrom_broker") is not None
    return Settings(
        is_contained=found["maelstrom"] or has_broker,
        broker=found["broker"],
        slots=found["slots"],
        timeout_s=found["timeout"],
        ui=found["ui"],
        junit=found["junit"],
        uses_cache=found["cache"],
        identity=found["identity"],
        store_bytes=found["store-size"],
        is_hybrid=found["hybrid"],
        resources=found["resources"],
        labels=found["labels"],
    )


def _resolve(option: _Option, variables: Mapping[str, Any]) -> tuple[Any, str]:
    """Return a value, and where it is from."""
    entry = _find(option, variables)
    if entry is None:
        return option.default, "default"
    try:
        return option.read(entry.value), entry.where
    except ValueError as error:
        message = f"{entry.where} is {entry.value!r}: it must be {error}"
        raise SCons.Errors.UserError(message) from None


def _find(option: _Option, variables: Mapping[str, Any]) -> Entry | None:
    given = option.given()
    if given is not None:
        return Entry(given, option.switch)
    own = option.variable.replace("MAELSTROM_", "MAELSTROM_SCONS_", 1)
    for name in (own, option.variable):
        if os.environ.get(name):
            return Entry(os.environ[name], f"the environment variable {name}")
    if variables.get(option.variable) is not None:
        text = str(variables[option.variable])
        return Entry(text, f"the construction variable {option.variable}")
    return _from_files().get(option.key)


def _show(variables: Mapping[str, Any]) -> Iterator[str]:
    for option in OPTIONS:
        value, where = _resolve(option, variables)
        shown = f"# {option.key} is not set" if value is None else f"{option.key} = {_toml(value)}"
        yield f"{shown:40} # {where}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


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
