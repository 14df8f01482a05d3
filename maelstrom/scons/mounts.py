"""Check `mounts=` while the SConstruct is read: which types there are, and what they need."""

import posixpath
from collections.abc import Mapping
from typing import Any

from maelstrom.scons import keywords
from maelstrom.scons.keywords import Complaint

_REQUIRED: dict[str, dict[str, type]] = {
    "bind": {"mount_point": str, "host_path": str},
    "tmp": {"mount_point": str},
    "sys": {},
    "devpts": {},
    "mqueue": {},
}
_OPTIONAL: dict[str, dict[str, type]] = {
    "bind": {"is_read_only": bool},
    "tmp": {"size_bytes": int},
    "sys": {"mount_point": str},
    "devpts": {"mount_point": str},
    "mqueue": {"mount_point": str},
}
TYPES = tuple(_REQUIRED)


def checked(complain: Complaint, value: Any) -> tuple[dict[str, Any], ...]:
    """Return mounts as dictionaries with a type; a name alone stands for its type."""
    found = []
    for item in keywords.items(value):
        if isinstance(item, Mapping):
            mount = dict(item)
        elif isinstance(item, str):
            kind, _, mount_point = item.partition(":")
            mount = {"type": kind} | ({"mount_point": mount_point} if mount_point else {})
        else:
            raise complain(f"mounts: {item!r} is neither a name nor a dictionary")
        _check(complain, item, mount)
        found.append(mount)
    return tuple(found)


def is_local(mounts: tuple[dict[str, Any], ...]) -> bool:
    """Whether one of them shows files of this host."""
    return any(mount["type"] == "bind" for mount in mounts)


def _check(complain: Complaint, item: Any, mount: dict[str, Any]) -> None:
    kind = mount.get("type")
    if kind is None:
        raise complain(f'mounts: {item!r} needs a "type"; it is one of {", ".join(TYPES)}')
    if not isinstance(kind, str) or kind not in _REQUIRED:
        raise complain(f"mounts: {item!r}: the type is one of {', '.join(TYPES)}")
    required = _REQUIRED[kind]
    known = required | _OPTIONAL[kind]
    for key in required:
        if key not in mount:
            raise complain(f'mounts: {item!r}: a {kind} mount needs "{key}"')
    for key, value in mount.items():
        if key == "type":
            continue
        if key not in known:
            raise complain(f"mounts: {item!r}: {key!r} is unknown; known are {', '.join(known)}")
        # A bool is an int for Python, but never a size.
        if not isinstance(value, known[key]) or (known[key] is int and type(value) is not int):
            raise complain(f"mounts: {item!r}: {key} must be of type {known[key].__name__}")
    mount_point = mount.get("mount_point", "/sys")
    is_plain = posixpath.normpath(mount_point) == mount_point and not mount_point.startswith("//")
    if not mount_point.startswith("/") or mount_point == "/" or not is_plain:
        raise complain(f"mounts: {item!r}: the mount point is an absolute path, but not `/`")
