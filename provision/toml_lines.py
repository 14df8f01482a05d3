"""Find the line of a TOML text on which a key stands: tomllib does not tell.

Only for messages: a text that tomllib accepted is assumed.
"""

import re

Path = tuple[str, ...]

_WORD = r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'"""
_DOTTED = rf"(?:{_WORD})(?:\s*\.\s*(?:{_WORD}))*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")
_LONG_STRING = re.compile(r'"""|\'\'\'')


def lines_of(text: str) -> dict[Path, int]:
    """Return the number of the line for each table and key."""
    found: dict[Path, int] = {}
    table: Path = ()
    is_in_string = False
    for number, line in enumerate(text.splitlines(), 1):
        was_in_string = is_in_string
        if len(_LONG_STRING.findall(line)) % 2:
            is_in_string = not is_in_string
        if was_in_string:
            continue
        if header := _HEADER.match(line):
            table = _split(header[1])
            _note(found, table, number)
        elif key := _KEY.match(line):
            _note(found, table + _split(key[1]), number)
    return found


def line_of(lines: dict[Path, int], path: Path) -> int:
    """Return the line of a key, or of the innermost table around it that is known."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _note(found: dict[Path, int], path: Path, number: int) -> None:
    for depth in range(1, len(path) + 1):
        found.setdefault(path[:depth], number)


def _split(dotted: str) -> Path:
    return tuple(word.strip("\"'") for word in re.findall(_WORD, dotted))
