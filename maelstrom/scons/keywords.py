"""Check the keywords of a builder while the SConstruct is read, so that SCons names the line.

Only forms are checked here, with the standard library; what layer recipes say inside is read when
the test really runs.
"""

import posixpath
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

import SCons.Errors
import SCons.Node.FS
import SCons.Util

from maelstrom.model.label import as_resources
from maelstrom.scons import options

FRAMEWORKS = ("boost", "catch2", "doctest", "gtest", "plain", "pytest", "tap", "unittest")
NETWORKS = ("disabled", "loopback", "local")
LIMITS = {
    "output": "output_bytes_max",
    "memory": "memory_bytes_max",
    "disk": "write_bytes_max",
    "processes": "processes_max",
    "open_files": "open_files_max",
    "swap": "swap_bytes_max",
    "processors": "processors",
}
"""Resources of a test that are limits of each of its jobs, not places to wait for."""
KERNEL_LIMITS = (
    *("address_space", "cpu_s", "data", "file_size", "locked_memory"),
    *("message_queues", "pending_signals", "stack"),
)
"""Limits of each process of a job, which the kernel keeps."""
PREFIX = {
    "follow_symlinks": bool,
    "canonicalize": bool,
    "strip_prefix": str,
    "prepend_prefix": str,
}
"""Options that say where the files of a layer are in a container, and their types."""
NAME_LENGTH_MAX = 200
DEFAULT_USER = 1000
IDS_MAX = 1 << 31


class Complaint:
    """Raises errors that name the builder and the target."""

    def __init__(self, builder: str, name: str) -> None:
        self._where = f"{builder}({name!r})"
        self.doubts: list[tuple[Any, SCons.Errors.UserError]] = []
        """Files that are not there, and what is wrong if no later line builds them."""
        self.directories: list[tuple[Any, tuple[str, ...]]] = []
        """Into these later lines may build more, but for what is ignored."""

    def __call__(self, message: str) -> SCons.Errors.UserError:
        return SCons.Errors.UserError(f"{self._where}: {message}")

    def unless_built(self, keyword: str, node: Any) -> None:
        """Complain when all has been read, with the present line, if nothing builds a file."""
        what = (
            f"the directory {str(node)!r}"
            if isinstance(node, SCons.Node.FS.Dir)
            else repr(str(node))
        )
        error = self(f"{keyword}: {what} does not exist, and nothing builds it")
        error.place = traceback.extract_stack()
        self.doubts.append((node, error))


def name(builder: str, value: Any) -> str:
    """Check a target's name, which becomes part of paths, aliases and reports."""
    complain = Complaint(builder, value if isinstance(value, str) else str(value))
    if not isinstance(value, str):
        raise complain(f"the first argument is the target's name, not a {type(value).__name__}")
    if not value or len(value) > NAME_LENGTH_MAX:
        raise complain(f"a name has between 1 and {NAME_LENGTH_MAX} characters")
    if not value.isprintable() or not _is_utf8(value):
        raise complain("a name has no newlines, control characters or broken UTF-8 in it")
    if value.startswith(("/", "..")) or posixpath.normpath(value) != value:
        raise complain("a name is a plain relative path such as `codec` or `net/codec`")
    return value


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def framework(complain: Complaint, value: Any) -> str:
    """Check `framework=`."""
    if value is None:
        return ""
    if value not in FRAMEWORKS:
        known = ", ".join(FRAMEWORKS)
        raise complain(f"unknown framework {value!r}; it is one of {known}")
    return str(value)


def network(complain: Complaint, value: Any) -> str:
    """Check `network=`."""
    if value is None or value is False:
        return "disabled"
    if value not in NETWORKS:
        raise complain(f"network={value!r} must be one of {', '.join(NETWORKS)}")
    return str(value)


def environment(complain: Complaint, value: Any) -> tuple[tuple[str, str], ...]:
    """Check `env_vars=`: a dictionary of strings."""
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise complain(f"env_vars must be a dictionary, not a {type(value).__name__}")
    for key, text in value.items():
        if not isinstance(key, str) or not key or "=" in key or "\0" in key:
            raise complain(f"env_vars: {key!r} cannot be the name of a variable")
        if not isinstance(text, str) or "\0" in text:
            raise complain(
                f"env_vars: the value of {key} must be a string, "
                f"not the {type(text).__name__} {text!r}"
            )
    return tuple(sorted(value.items()))


def arguments(complain: Complaint, value: Any) -> tuple[str, ...]:
    """Check `arguments=`: strings that can be arguments of a program."""
    found = strings(complain, "arguments", value)
    for item in found:
        if "\0" in item:
            raise complain(f"arguments: {item!r} has a NUL in it")
    return found


def links(complain: Complaint, value: Any) -> list[list[str]]:
    """Check `symlinks=`: a dictionary of strings, or pairs."""
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if isinstance(pairs, str) or not isinstance(pairs, list | tuple):
        raise complain(f"symlinks: {value!r} is neither a dictionary nor a list of pairs")
    for pair in pairs:
        is_pair = isinstance(pair, list | tuple) and len(pair) == 2
        if not is_pair or not all(isinstance(item, str) and item for item in pair):
            raise complain(f"symlinks: {pair!r} is no pair of a link and its target")
    return [list(pair) for pair in pairs]


def interpreter(complain: Complaint, value: Any) -> str:
    """Check `python=`: True for the Python that runs SCons, or the name or path of another."""
    if value is True:
        return ""
    if not isinstance(value, str) or not value:
        raise complain(f"python={value!r} must be True, or the name or path of a Python")
    return value


def prefix(complain: Complaint, given: Mapping[str, Any]) -> dict[str, Any]:
    """Take the options of prefixes out of a layer's keywords, and check them."""
    found = {key: given[key] for key in PREFIX if key in given}
    for key, value in found.items():
        if not isinstance(value, PREFIX[key]):
            kind = {bool: "True or False", str: "a string"}[PREFIX[key]]
            raise complain(f"{key}={value!r} must be {kind}")
    return found


def strings(complain: Complaint, keyword: str, value: Any) -> tuple[str, ...]:
    """Check a list of strings; one string is a list of one."""
    items = SCons.Util.flatten([value]) if value is not None else []
    for item in items:
        if not isinstance(item, str):
            raise complain(f"{keyword}: {item!r} is not a string")
    return tuple(items)


def directory(complain: Complaint, value: Any) -> str:
    """Check `working_directory=`: a path below the project's root."""
    if value is None:
        return ""
    text = str(value).removeprefix("#").rstrip("/")
    normal = posixpath.normpath(text) if text else ""
    if normal.startswith(("/", "..")):
        raise complain(f"working_directory {str(value)!r} is outside the project")
    return "" if normal == "." else normal


def timeout(complain: Complaint, value: Any) -> float | None:
    """Check `timeout=` in seconds; None for the run's default."""
    if value is None:
        return None
    try:
        if isinstance(value, bool):
            raise ValueError("a number of seconds")
        return options.seconds(str(value))
    except ValueError as error:
        raise complain(f"timeout={value!r} must be {error}") from None


def user(complain: Complaint, value: Any) -> tuple[int, int]:
    """Check `user=`: a number, `root`, or a pair of user and group."""
    if value is None:
        return DEFAULT_USER, DEFAULT_USER
    if value == "root":
        return 0, 0
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or not all(type(n) is int and 0 <= n < IDS_MAX for n in pair):
        raise complain(f"user={value!r} must be a number, 'root', or (user, group)")
    return pair[0], pair[1]


Amounts = tuple[tuple[str, int], ...]
Limits = tuple[tuple[str, Any], ...]


Cases = tuple[tuple[str, tuple[str, ...]], ...]


def cases(complain: Complaint, value: Any) -> Cases:
    """Check `cases=`: names with arguments, or a list of names that are the arguments."""
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        value = {item: item for item in strings(complain, "cases", value)}
    found = tuple((str(key), strings(complain, "cases", given)) for key, given in value.items())
    if not found or not all(key for key, _ in found):
        raise complain("cases: name at least one, and none without a name")
    return found


def resources(complain: Complaint, value: Any) -> tuple[Limits, Amounts]:
    """Check `resources=`; returns the limits and what the job takes of its worker."""
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        raise complain(f"resources must be a dictionary, not a {type(value).__name__}")
    for key, amount in value.items():
        if not isinstance(key, str) or type(amount) is not int or amount < 1:
            raise complain(f"resources: {key!r} needs a whole number from 1, not {amount!r}")
    limits: dict[str, Any] = {LIMITS[key]: value[key] for key in value if key in LIMITS}
    kernel = tuple(sorted((key, value[key]) for key in value if key in KERNEL_LIMITS))
    if kernel:
        limits["kernel"] = kernel
    ours = (*LIMITS, *KERNEL_LIMITS)
    taken = {"slots": 1} | {key: value[key] for key in value if key not in ours}
    return tuple(sorted(limits.items())), tuple(sorted(taken.items()))


def labels(complain: Complaint, value: Any) -> Amounts:
    """Check `labels=`: words that the worker must have."""
    try:
        return as_resources(strings(complain, "labels", value))
    except ValueError as error:
        raise complain(f"labels: {str(error)!r} is not a word such as 'arch=x86'") from None


def items(value: Any) -> list[Any]:
    """Return anything a user may give for a list as a list."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [value]
    return list(SCons.Util.flatten([value]))


def unknown(complain: Complaint, given: Iterable[str], known: Iterable[str]) -> None:
    """Complain of keywords nobody knows."""
    allowed = sorted(known)
    for keyword in given:
        if keyword not in allowed:
            raise complain(f"unknown keyword {keyword!r}; known are {', '.join(allowed)}")
