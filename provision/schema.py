"""Check a table of the inventory: which keys it may have, and what each must look like."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from maelstrom.errors import UserError
from maelstrom.model.label import is_label
from provision.toml_lines import Path, line_of

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# Somebody may have written a secret where only its place is wanted.
_SECRET = {"ca_passphrase"}
PORT_MAX = 65535
SLOTS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table was read: for messages."""

    name: str
    lines: dict[Path, int]

    def error(self, path: Path, message: str, hint: str) -> UserError:
        """Return what to raise about a key."""
        return UserError(f"{self.name} line {line_of(self.lines, path)}: {message}", hint=hint)


Reader = Callable[[object], Any]  # Raises ValueError with what is expected instead.


def read_table(
    source: Source, path: Path, table: object, readers: Mapping[str, Reader], title: str
) -> dict[str, Any]:
    """Return the values of a table, checked; keys that are not there are not in it."""
    if not isinstance(table, dict):
        raise source.error(
            path, f"`{'.'.join(path)}` is not a table", f"write `[{'.'.join(path)}]`"
        )
    values = {}
    for key, value in table.items():
        if key not in readers:
            raise source.error(
                (*path, key), f"`{key}` is not a key of {title}", _near(key, readers)
            )
        try:
            values[key] = readers[key](value)
        except ValueError as error:
            is_shown = isinstance(value, str | int) and key not in _SECRET
            shown = f"`{key} = {value!r}`" if is_shown else f"`{key}`"
            raise source.error((*path, key), f"{shown} cannot be", str(error)) from error
    return values


def _near(key: str, known: Mapping[str, Reader]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean `{near[0]}`?" if near else f"it has {', '.join(sorted(known))}"


def text(pattern: str, expected: str) -> Reader:
    """Return a reader of texts of one form."""
    form = re.compile(pattern)

    def read(value: object) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise ValueError(expected)
        return value

    return read


def whole(low: int, high: int) -> Reader:
    """Return a reader of whole numbers."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"write a whole number from {low} to {high}")
        return value

    return read


def size(value: object) -> int:
    """Read a number of bytes, such as "20G"."""
    match = re.fullmatch(r"([0-9]{1,6})([KMGT])", value) if isinstance(value, str) else None
    if match is None or not int(match[1]):
        raise ValueError('write a size such as "500M" or "20G"')
    return int(match[1]) * _UNITS[match[2]]


def resources(value: object) -> tuple[tuple[str, int], ...]:
    """Read how much of each resource there is, such as `{ gpu = 2 }`."""
    expected = "write names and amounts, such as `{ gpu = 2 }`; `slots` has a key of its own"
    if not isinstance(value, dict):
        raise ValueError(expected)
    for name, amount in value.items():
        is_amount = isinstance(amount, int) and not isinstance(amount, bool) and amount > 0
        if not is_amount or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name) or name == "slots":
            raise ValueError(expected)
    return tuple(sorted(value.items()))


def labels(value: object) -> tuple[str, ...]:
    """Read what a host is called for jobs that require it, such as `["arch=x86", "fast"]`."""
    expected = 'write a list of words, such as `["arch=x86", "fast"]`'
    if not isinstance(value, list):
        raise ValueError(expected)
    for word in value:
        if not isinstance(word, str) or not is_label(word):
            raise ValueError(expected)
    return tuple(sorted(set(value)))


def flag(value: object) -> bool:
    """Read a yes or no."""
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def anything(value: object) -> object:
    """Leave a value for somebody else to check."""
    return value


host_name = text(
    r"[A-Za-z0-9:][A-Za-z0-9._:-]{0,252}", "write a host name, an address, or a `Host` of ssh"
)
user_name = text(r"[a-z_][a-z0-9_-]{0,31}", "write the name of a user")
path_name = text(r"[^\0\n]{1,4096}", "write the path of a file")
port = whole(1, PORT_MAX)
slots = whole(1, SLOTS_MAX)
