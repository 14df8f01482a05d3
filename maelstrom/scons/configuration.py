"""The settings that a user or a host keeps in files; only the standard library is needed.

    slots = 8
    broker = "build1.lan:9001"          # in ~/.config/maelstrom/scons.toml or /etc/xdg/...

Rules of this file:
1. Nothing is read before the first test is declared, and each file once.
2. A key that no option has is an error that names file and line: a misspelt limit must not be a
   missing limit.
"""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from maelstrom import places

NAME = "scons.toml"
NO_FILE = "-"


class Mistake(Exception):
    """A file that cannot be used, in words for its author."""


class Entry(NamedTuple):
    """A value, and the place it is from."""

    value: str
    where: str


def read(named: str | None, keys: Collection[str]) -> dict[str, Entry]:
    """Read the file that was named, or those there are, of which the first has the last word.

    Raises Mistake.
    """
    if named == NO_FILE:
        return {}
    paths = [place / NAME for place in places.configuration()]
    paths = [path for path in paths if path.exists()] if named is None else [Path(named)]
    found: dict[str, Entry] = {}
    for path in paths:
        for key, entry in _load(path, keys).items():
            found.setdefault(key, entry)
    return found


def _load(path: Path, keys: Collection[str]) -> dict[str, Entry]:
    import tomllib  # Most users have no such file.

    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise Mistake(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    found = {}
    for key, value in values.items():
        where = f"{path}:{places.line_of(text, key)}"
        if key not in keys:
            known = ", ".join(sorted(keys))
            raise Mistake(f"{where}: `{key}` is no setting; there are {known}")
        if not isinstance(value, str | int | float):
            raise Mistake(f"{where}: `{key}` cannot be a {type(value).__name__}")
        plain = str(int(value)) if isinstance(value, bool) else str(value)
        found[key] = Entry(plain, f"`{key}` in {where}")
    return found
