"""Tell whether the Python of a test, or a package it has, has changed since the last build.

SCons knows nothing of the environment that pytest and unittest targets run with, nor of the layers
made by `python=`: their nodes have in their signatures what is said here. Rules of this file:
1. What an environment consists of is asked of its Python, and remembered with the state all that
   was in: it is asked again only when something has changed. Otherwise a look at each file is all.
2. Plain tests see more than containers do: packages of the user, and the sources of editable
   installs in the project.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from maelstrom.layers import python_state
from maelstrom.scons.closures import LOADER_CACHE

FORMAT_VERSION = 1
SOURCES = (".py", ".so")
KEYS = {"roots", "user", "project", "libraries", "state"}


class Pythons:
    """A memory of what Pythons consist of, kept in one file."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._project = ""
        self._known: dict[str, dict[str, Any]] = {}
        self._is_changed = False
        self._told: dict[tuple[str, bool], str] = {}

    def load(self, path: Path, project: str) -> None:
        """Take in what is remembered; whatever is wrong with it is forgotten."""
        self._path, self._project = path, project
        try:
            known = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return
        if isinstance(known, dict) and known.get("version") == FORMAT_VERSION:
            pythons = known.get("pythons")
            items = pythons.items() if isinstance(pythons, dict) else ()
            self._known = {path: item for path, item in items if _is_whole(item)}

    def forget(self) -> None:
        """Look afresh from now on: a build begins."""
        self._told.clear()

    def state(self, interpreter: str = "", *, is_contained: bool) -> str:
        """Return what changes with an environment; "" is that of the running Python."""
        key = (interpreter, is_contained)
        if key not in self._told:
            self._told[key] = self._state(interpreter, is_contained)
        return self._told[key]

    def _state(self, interpreter: str, is_contained: bool) -> str:
        path = self._find(interpreter)
        try:
            known = self._environment(path)
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            return f"{path}: {error}"  # The test itself will tell what is wrong with it.
        parts = [known["state"], python_state.fingerprint(known["libraries"])]
        if not is_contained:
            parts.append(python_state.fingerprint(known["user"]))
            parts.append(python_state.fingerprint(known["project"], suffixes=SOURCES))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _find(self, interpreter: str) -> str:
        if not interpreter:
            return sys.executable
        if "/" not in interpreter:
            return shutil.which(interpreter) or interpreter
        return os.path.normpath(Path(self._project) / interpreter)

    def _environment(self, path: str) -> dict[str, Any]:
        known = self._known.get(path)
        if known and known["state"] == python_state.fingerprint(known["roots"]):
            return known
        facts = python_state.probe(path)
        own = f"{facts['prefix']}/"
        everything = python_state.roots(path, facts)
        inside = [p for p in everything if self._is_project(p) and not p.startswith(own)]
        roots = [p for p in everything if p not in inside]
        user = [facts["user_site"]] if facts["user_site"] else []
        libraries = _libraries([path, *python_state.shared_objects([*roots, *user])])
        found: dict[str, Any] = {"roots": roots, "user": user, "project": inside}
        found |= {"libraries": libraries, "state": python_state.fingerprint(roots)}
        self._known[path] = found
        self._is_changed = True
        return found

    def _is_project(self, path: str) -> bool:
        return f"{path}/".startswith(f"{self._project}/")

    def save(self) -> None:
        """Write what was learnt, if anything was."""
        if not self._is_changed or self._path is None:
            return
        self._is_changed = False
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"version": FORMAT_VERSION, "pythons": self._known}))
            temporary.replace(self._path)
        except OSError:
            temporary.unlink(missing_ok=True)


def _is_whole(item: Any) -> bool:
    return isinstance(item, dict) and item.keys() >= KEYS


def _libraries(binaries: list[str]) -> list[str]:
    # Late: a build without any change never gets here.
    from maelstrom.errors import LayerError
    from maelstrom.layers import elf

    try:
        return [LOADER_CACHE, *elf.closure(binaries).files]
    except LayerError:
        return []


PYTHONS = Pythons()
