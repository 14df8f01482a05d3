"""Remember between builds which shared libraries programs need, and which programs scripts.

SCons scans every program again in every build; to read the ELF headers of all of them would make a
build with nothing to do slow. What is remembered holds while the program, all its libraries and the
loader's cache have the size and times they had.
"""

import json
import os
from pathlib import Path
from typing import Any

ELF_MAGIC = b"\x7fELF"
FORMAT_VERSION = 2
ENTRIES_MAX = 20_000
LOADER_CACHE = "/etc/ld.so.cache"

Stamp = list[int]


class Closures:
    """A memory of library closures, kept in one file."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._known: dict[str, dict[str, Stamp]] = {}
        self._is_changed = False
        self._stamps: dict[str, Stamp] = {}

    def load(self, path: Path) -> None:
        """Take in what is remembered; whatever is wrong with it is forgotten."""
        self._path = path
        try:
            known = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return
        if isinstance(known, dict) and known.get("version") == FORMAT_VERSION:
            programs = known.get("programs")
            self._known = programs if isinstance(programs, dict) else {}

    def of(self, program: str) -> list[str]:
        """Return the files that this program needs, itself not among them."""
        remembered = self._known.get(program)
        if remembered and all(self._stamp(path) == was for path, was in remembered.items()):
            return [path for path in remembered if path not in (program, LOADER_CACHE)]
        libraries = self._read(program)
        paths = (program, *libraries, *([LOADER_CACHE] if libraries else []))
        # Built in this very run, it may have been looked at before: its stamp is taken afresh.
        self._stamps.pop(program, None)
        self._known[program] = {path: self._stamp(path, afresh=True) for path in paths}
        self._is_changed = True
        return libraries

    def _read(self, program: str) -> list[str]:
        try:
            with open(program, "rb") as file:
                head = file.read(4)
        except OSError:
            return []
        if not head.startswith((ELF_MAGIC, b"#!")):
            return []
        # Late: a build without any change never gets here.
        from maelstrom.errors import LayerError
        from maelstrom.layers import elf, programs

        project = str(self._path.parents[1]) if self._path else "/"
        try:
            found = programs.with_interpreters(program, os.environ.get("PATH", ""), project)
            return [*found[1:], *elf.closure(found).files]
        except LayerError:
            return []  # The test's own layers will say what is wrong with it.

    def _stamp(self, path: str, *, afresh: bool = False) -> Stamp:
        # System libraries are asked for by every program: one look per build is enough.
        if not afresh and path in self._stamps and path.startswith(("/lib", "/usr", "/etc")):
            return self._stamps[path]
        try:
            status = os.stat(path)
        except OSError:
            return []
        stamp = [status.st_size, status.st_mtime_ns, status.st_ino]
        self._stamps[path] = stamp
        return stamp

    def save(self) -> None:
        """Write what was learnt, if anything was."""
        if not self._is_changed or self._path is None:
            return
        self._is_changed = False
        programs: dict[str, Any] = dict(list(self._known.items())[-ENTRIES_MAX:])
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"version": FORMAT_VERSION, "programs": programs}))
            temporary.replace(self._path)
        except OSError:
            temporary.unlink(missing_ok=True)


CLOSURES = Closures()
