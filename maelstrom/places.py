"""Where people and hosts keep what our programs read: settings and certificates."""

import os
import re
from pathlib import Path


def configuration() -> list[Path]:
    """Return our directories of configuration, the user's before the system's."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    others = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    return [place / "maelstrom" for place in (own, *map(Path, others))]


def line_of(text: str, key: str) -> int:
    """Return the line on which a TOML file says something of a key at its top."""
    pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[]=.]""")
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if pattern.match(line)), 1)
