"""Where our programs find what they read, settings and certificates, and keep what they have.

These are the places of the XDG base directory specification. A user without a home, as services
have them, keeps it where he was started, in `.cache`.
"""

import os
import re
from pathlib import Path


def configuration() -> list[Path]:
    """Return our directories of configuration, the user's before the system's."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    others = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    return [place / "maelstrom" for place in (own, *map(Path, others))]


def store(program: str) -> Path:
    """Return where a daemon keeps contents."""
    own = _own("XDG_CACHE_HOME", ".cache")
    if own is not None:
        return own / "maelstrom" / f"{program}-store"
    return Path.cwd() / ".cache" / f"maelstrom-{program}"


def journal() -> Path:
    """Return where a broker keeps its jobs."""
    own = _own("XDG_STATE_HOME", ".local/state")
    if own is not None:
        return own / "maelstrom" / "broker-journal.sqlite"
    return Path.cwd() / ".cache" / "maelstrom-broker-journal.sqlite"


def _own(variable: str, usual: str) -> Path | None:
    """Return a directory of the user's, if he has one or a home to make it in."""
    if given := os.environ.get(variable):
        return Path(given)
    try:
        home = Path.home()
    except RuntimeError:
        return None  # Nobody knows of one.
    return home / usual if os.access(home, os.W_OK) else None


def line_of(text: str, key: str) -> int:
    """Return the line on which a TOML file says something of a key at its top."""
    pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[]=.]""")
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if pattern.match(line)), 1)
