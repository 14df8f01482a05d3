"""See whether a Python, or a package it has, has changed: one look at each file, none is read.

Used where nothing has changed in nearly all cases, so only the standard library is loaded.
"""

import ast
import hashlib
import json
import os
import posixpath
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PROBE_TIMEOUT_S = 60.0
_PROBE = Path(__file__).parent / "python_probe.py"
_PYTHON = re.compile(r"python[0-9.]*")
_MAPPING = re.compile(r"^MAPPING(?:: [^=]+)? = (\{.*?\})$", re.MULTILINE)


def is_python(program: str) -> bool:
    """Whether a program is a Python, by its name: without its library it is of no use."""
    return _PYTHON.fullmatch(posixpath.basename(program)) is not None


def probe(path: str) -> dict[str, Any]:
    """Ask a Python where it lives; raises OSError, SubprocessError or ValueError."""
    command = [path, "-I", os.fspath(_PROBE)]
    done = subprocess.run(command, capture_output=True, timeout=PROBE_TIMEOUT_S, check=True)
    try:
        facts = json.loads(done.stdout)
        return dict(facts)
    except (TypeError, ValueError):
        raise ValueError("it does not answer as a Python does") from None


def roots(path: str, facts: dict[str, Any]) -> list[str]:
    """Return the files and directories that a Python, of which we have the facts, consists of."""
    found = [path, facts["base_executable"]]
    if facts["prefix"] != facts["base_prefix"]:
        found += [f"{facts['prefix']}/pyvenv.cfg", f"{facts['prefix']}/bin"]
    found.append(facts["library"])
    for item in facts["path"]:
        found.append(item)
        found += _editable(item)
    return list(dict.fromkeys(found))


def _editable(directory: str) -> Iterator[str]:
    """Yield what the finders of editable installs in a directory lead to."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        if name.startswith("__editable__") and name.endswith(".py"):
            yield from editable_targets(f"{directory}/{name}")


def editable_targets(finder: str) -> list[str]:
    """Return the packages and modules that the finder of an editable install maps."""
    try:
        match = _MAPPING.search(Path(finder).read_text(errors="replace"))
        mapping = ast.literal_eval(match[1]) if match else {}
    except (OSError, SyntaxError, ValueError):
        return []
    targets = [os.path.realpath(target) for target in mapping.values()]
    return [t if os.path.isdir(t) else f"{t}.py" for t in targets]


def fingerprint(roots: Iterable[str], *, suffixes: tuple[str, ...] = ("",)) -> str:
    """Return what changes when any file below the roots does, by its size, times or inode.

    Of the files in directories only those with one of the suffixes count.
    """
    state = hashlib.sha256()
    for told in _looks(list(roots), suffixes):
        state.update(os.fsencode(told))
    return state.hexdigest()


def shared_objects(roots: Iterable[str]) -> list[str]:
    """Return the shared objects below the roots."""
    lines = _looks(list(roots), ("",))
    paths = [line.split("\0")[0] for line in lines]
    return [path for path in paths if path.endswith(".so") or ".so." in posixpath.basename(path)]


def _looks(todo: list[str], suffixes: tuple[str, ...]) -> Iterator[str]:
    tops, seen = set(todo), set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except NotADirectoryError:
            yield _look(path)
            continue
        except OSError as error:
            yield f"{path}\0{error.errno}\n"
            continue
        is_top = path in tops
        if not is_top and any(entry.name == "pyvenv.cfg" for entry in entries):
            # The path of an editable install may be a checkout with environments in it.
            continue
        for entry in entries:
            if entry.name == "__pycache__":
                continue
            if entry.is_symlink():
                # What a link leads to is watched, where it is a directory once for all links.
                end = os.path.realpath(entry.path)
                yield f"{entry.path}\0{end}\n"
                todo.append(end)
            elif not entry.is_dir(follow_symlinks=False):
                if entry.name.endswith(suffixes):
                    yield _look(entry.path, entry)
            # Of packages inside a library only those count that are in use: as roots.
            elif not entry.name.endswith("-packages") and not (is_top and entry.name[0] == "."):
                todo.append(entry.path)


def _look(path: str, entry: "os.DirEntry[str] | None" = None) -> str:
    try:
        status = entry.stat(follow_symlinks=False) if entry else os.stat(path)
    except OSError as error:
        return f"{path}\0{error.errno}\n"
    return f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\n"
