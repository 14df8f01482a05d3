"""Where a program's values come from: command line, environment, files, defaults, in this order.

    --store-size 5G                       the command line
    MAELSTROM_BROKER_STORE_SIZE=5G        the environment, for one program
    MAELSTROM_STORE_SIZE=5G               the environment, for all
    store-size = "5G"                     ~/.config/maelstrom/broker.toml, then those in /etc/xdg

A key that no option has is an error that names the file and the line: a misspelt limit must not be
a missing limit. `--print-config` shows each value and where it is from.
"""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from maelstrom import places

_NOT_CONFIGURED = {"config_file", "print_config", "version", "help"}
_FILES = "maelstrom.files"
NO_FILE = "-"


class Program(click.Command):
    """A command whose options may also be given by environment and files."""

    def __init__(self, *arguments: Any, program: str, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._program = program
        self.context_settings.setdefault("max_content_width", 100)
        for parameter in self._options():
            upper = _key(parameter).upper().replace("-", "_")
            parameter.envvar = [f"MAELSTROM_{program.upper()}_{upper}", f"MAELSTROM_{upper}"]
        self.params += [
            click.Option(
                ["--config-file", "-c"],
                is_eager=True,
                expose_value=False,
                metavar="PATH",
                envvar=f"MAELSTROM_{program.upper()}_CONFIG_FILE",
                callback=self._read,
                help=f"Read only this file; `{NO_FILE}` reads none. [default: "
                f"maelstrom/{program}.toml in the user's configuration, then in the system's]",
            ),
            click.Option(
                ["--print-config", "-P"],
                is_flag=True,
                help="Print every value and where it is from, as TOML, and end.",
            ),
        ]

    def _options(self) -> list[click.Option]:
        return [
            parameter
            for parameter in self.params
            if isinstance(parameter, click.Option) and parameter.name not in _NOT_CONFIGURED
        ]

    def _read(self, ctx: click.Context, _: click.Parameter, value: str | None) -> None:
        paths = _places(self._program) if value is None else [Path(value)]
        keys = {_key(option): option for option in self._options()}
        values: dict[str, Any] = {}
        sources: dict[str, Path] = {}
        for path in [] if value == NO_FILE else paths:
            if value is None and not path.exists():
                continue
            for key, found in _load(path, keys):
                name = str(keys[key].name)
                if name not in values:
                    values[name], sources[name] = found, path
        ctx.default_map = values
        ctx.meta[_FILES] = sources

    def invoke(self, ctx: click.Context) -> Any:
        """Run the program, or only say what it would run with."""
        if ctx.params.pop("print_config", False):
            for line in self._show(ctx):
                click.echo(line)
            return None
        return super().invoke(ctx)

    def _show(self, ctx: click.Context) -> Iterator[str]:
        for option in self._options():
            name = str(option.name)
            key = _key(option)
            value = ctx.params.get(name)
            text = f"# {key} is not set" if value is None else f"{key} = {_toml(value)}"
            yield f"{text:45} # {self._source(ctx, option)}"

    def _source(self, ctx: click.Context, option: click.Option) -> str:
        name = str(option.name)
        match ctx.get_parameter_source(name):
            case ParameterSource.COMMANDLINE:
                return "command line"
            case ParameterSource.ENVIRONMENT:
                names = option.envvar if isinstance(option.envvar, list) else []
                return next((each for each in names if os.environ.get(each)), "environment")
            case ParameterSource.DEFAULT_MAP:
                return str(ctx.meta[_FILES][name])
            case _:
                return "default"


def _key(option: click.Option) -> str:
    """How files call it: as the command line does."""
    return next(name for name in option.opts if name.startswith("--")).removeprefix("--")


def _places(program: str) -> list[Path]:
    return [place / f"{program}.toml" for place in places.configuration()]


def _load(path: Path, keys: dict[str, click.Option]) -> Iterator[tuple[str, Any]]:
    try:
        text = path.read_text()
        values = tomllib.loads(text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.UsageError(f"{path}: {reason}") from error
    for key, value in values.items():
        if key not in keys:
            known = ", ".join(sorted(keys))
            raise click.UsageError(
                f"{path}:{places.line_of(text, key)}: `{key}` is no value of this program; "
                f"it has {known}"
            )
        if not _fits(value, keys[key]):
            raise click.UsageError(
                f"{path}:{places.line_of(text, key)}: `{key}` cannot be a {type(value).__name__}"
            )
        yield key, value


def _fits(value: object, option: click.Option) -> bool:
    if option.is_flag:
        return isinstance(value, bool)
    if option.multiple:
        return isinstance(value, list) and all(isinstance(each, str | int) for each in value)
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
