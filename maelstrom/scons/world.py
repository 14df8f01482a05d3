"""Check the keywords that say what a container is to have beyond the usual."""

import posixpath
from collections.abc import Mapping
from typing import Any

from maelstrom.scons import keywords
from maelstrom.scons.keywords import Complaint

KEYWORDS = ("capabilities", "devices", "identities", "outputs", "read_only", "uptime")
DEVICES = ("full", "null", "random", "shm", "tty", "urandom", "zero", "fuse")
UPTIME_S_MAX = 100 * 365 * 24 * 3600

Extras = tuple[tuple[str, Any], ...]
"""Fields of the spec with their values, those only that are not the usual ones."""


def checked(complain: Complaint, given: Mapping[str, Any], user: tuple[int, int]) -> Extras:
    """Return what was asked for."""
    found: dict[str, Any] = {}
    if given.get("devices") is not None:
        found["devices"] = _devices(complain, given["devices"])
    outputs = keywords.strings(complain, "outputs", given.get("outputs"))
    if outputs:
        found["outputs"] = tuple(_output(complain, path) for path in outputs)
    if _flag(complain, "read_only", given):
        found["root"] = "read-only"
    if _flag(complain, "identities", given):
        found["has_identities"] = True
    if _flag(complain, "capabilities", given):
        if user != (0, 0):
            raise complain('capabilities=True: they are root\'s; say user="root", too')
        found["has_powers"] = True
    if given.get("uptime") is not None:
        found["uptime_s"] = _uptime(complain, given["uptime"])
    return tuple(found.items())


def _devices(complain: Complaint, value: Any) -> tuple[str, ...]:
    names = keywords.strings(complain, "devices", value)
    for name in names:
        if name not in DEVICES:
            raise complain(f"devices: {name!r} is none of {', '.join(DEVICES)}")
    return tuple(dict.fromkeys(names))


def _output(complain: Complaint, path: str) -> str:
    """Check a path in the project, or an absolute one in the container."""
    text = path.removeprefix("#").rstrip("/")
    normal = posixpath.normpath(text) if text else "."
    if normal in (".", "..", "/") or normal.startswith(("../", "//")) or "\0" in text:
        raise complain(f"outputs: {path!r} must be a path in the project, or an absolute one")
    return normal


def _flag(complain: Complaint, keyword: str, given: Mapping[str, Any]) -> bool:
    value = given.get(keyword, False)
    if not isinstance(value, bool):
        raise complain(f"{keyword}={value!r} must be True or False")
    return value


def _uptime(complain: Complaint, value: Any) -> int:
    if type(value) is not int or not 0 <= value <= UPTIME_S_MAX:
        raise complain(f"uptime={value!r} must be a whole number of seconds, at most 100 years")
    return value
