"""Find the shared libraries that programs need, as the dynamic loader would.

The search order is that of ld.so(8): DT_RPATH of the object and of those that loaded it, unless the
object has DT_RUNPATH; LD_LIBRARY_PATH; DT_RUNPATH; the loader's cache; the default directories. A
name that is loaded already is not searched again. Nothing is run for it. Libraries that a program
opens by itself (dlopen) cannot be seen.
"""

import functools
import os
import posixpath
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from maelstrom.errors import LayerError
from maelstrom.layers import ldcache

ELF_MAGIC = b"\x7fELF"
LIBRARIES_MAX = 5000
FILES_MAX = 20_000
"""Of which what was read is remembered, while this process runs."""
_MULTIARCH = {
    "EM_X86_64": "x86_64-linux-gnu",
    "EM_AARCH64": "aarch64-linux-gnu",
    "EM_386": "i386-linux-gnu",
    "EM_ARM": "arm-linux-gnueabihf",
    "EM_RISCV": "riscv64-linux-gnu",
    "EM_PPC64": "powerpc64le-linux-gnu",
    "EM_S390": "s390x-linux-gnu",
}
_TAGS = {
    "DT_NEEDED": "needed",
    "DT_SONAME": "soname",
    "DT_RPATH": "rpath",
    "DT_RUNPATH": "runpath",
}
_PLATFORM = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_386": "i686"}


class Elf(NamedTuple):
    """What the dynamic loader wants to know of a file."""

    path: str
    machine: str
    bits: int
    interpreter: str
    soname: str
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]


class Missing(NamedTuple):
    """A library that was not found, and the file that needs it."""

    name: str
    needed_by: str


class Closure(NamedTuple):
    """All libraries some programs need: paths as the loader finds them, its own path too."""

    files: tuple[str, ...]
    missing: tuple[Missing, ...]
    library_path: tuple[str, ...]
    """Directories, of those on this host, found only by a cache or a path a container lacks."""


def needed(path: str) -> tuple[str, ...]:
    """Return the names in the DT_NEEDED entries of a file; () if it is no ELF file."""
    elf = parse(path)
    return elf.needed if elf else ()


def interpreter(path: str) -> str:
    """Return the dynamic loader a program asks for, or ""."""
    elf = parse(path)
    return elf.interpreter if elf else ""


def is_elf(path: str) -> bool:
    """Whether this file begins as ELF files do."""
    with open(path, "rb") as file:
        return file.read(4) == ELF_MAGIC


def closure(
    paths: Iterable[str],
    *,
    library_path: Sequence[str] = (),
    in_container: Callable[[str], str] = lambda path: path,
) -> Closure:
    """Return all libraries these programs and libraries need.

    `library_path` is what LD_LIBRARY_PATH will name, as directories of this host. `in_container`
    tells where a path of this host is in the container.
    """
    return _Search(library_path, in_container).run(paths)


class _Loaded(NamedTuple):
    elf: Elf
    rpath: tuple[tuple[str, bool], ...]
    """The DT_RPATH of this object and of its loaders; each with whether it moves with the file."""


class _Search:
    def __init__(self, library_path: Sequence[str], in_container: Callable[[str], str]) -> None:
        self._library_path = [(path, True) for path in library_path]
        self._in_container = in_container
        self._cache: dict[str, list[str]] | None = None
        self._parsed: dict[str, Elf | None] = {}
        self._files: dict[str, None] = {}
        self._missing: dict[Missing, None] = {}
        self._extra: dict[str, None] = {}

    def run(self, paths: Iterable[str]) -> Closure:
        for path in paths:
            self._load_program(os.path.abspath(path))
        return Closure(tuple(self._files), tuple(self._missing), tuple(self._extra))

    def _load_program(self, path: str) -> None:
        elf = self._parse(path)
        if elf is not None and elf.interpreter:
            # The kernel tells a program where it really is, whatever link it was started by.
            elf = self._parse(os.path.realpath(path))
        if elf is None:
            return
        loaded: set[str] = {elf.soname} if elf.soname else set()
        if elf.interpreter:
            self._add(elf.interpreter)
            loaded.add(posixpath.basename(elf.interpreter))
        todo = deque([_Loaded(elf, _own_rpath(elf))])
        while todo:
            at = todo.popleft()
            for name in at.elf.needed:
                if name in loaded:
                    continue
                loaded.add(name)
                found = self._find(name, at)
                if found is None:
                    self._missing[Missing(name, at.elf.path)] = None
                    continue
                library = self._parse(found)
                if library is not None:
                    loaded.add(library.soname or name)
                    self._add(found)
                    todo.append(_Loaded(library, _own_rpath(library) + at.rpath))

    def _add(self, path: str) -> None:
        self._files[path] = None
        if len(self._files) > LIBRARIES_MAX:
            raise LayerError(f"more than {LIBRARIES_MAX} shared libraries are needed")

    def _find(self, name: str, at: _Loaded) -> str | None:
        if "/" in name:
            # A library without a name of its own is called by the path it was linked by, which the
            # loader takes from its working directory: the root of the project, there as here.
            path = os.path.abspath(_expand(name, at.elf))
            return path if self._fits(path, at.elf) else None
        runpath = _directories(at.elf.runpath, at.elf)
        before = () if runpath else at.rpath
        for directory, moves in (*before, *self._library_path, *runpath):
            path = posixpath.normpath(f"{directory}/{name}")
            if self._fits(path, at.elf):
                if not self._is_found_there(directory, moves, at.elf):
                    self._extra[posixpath.dirname(path)] = None
                return path
        for path in self._cached(name):
            if self._fits(path, at.elf):
                if posixpath.dirname(path) not in default_directories(at.elf):
                    self._extra[posixpath.dirname(path)] = None
                return path
        for directory in default_directories(at.elf):
            path = f"{directory}/{name}"
            if self._fits(path, at.elf):
                return path
        return None

    def _is_found_there(self, directory: str, moves: bool, elf: Elf) -> bool:
        """Whether what led to this directory leads to it in the container, too."""
        there = self._in_container(posixpath.normpath(directory))
        if there == posixpath.normpath(directory):
            return not moves or self._in_container(elf.path) == elf.path
        return moves and self._in_container(elf.path) != elf.path

    def _cached(self, name: str) -> list[str]:
        if self._cache is None:
            self._cache = ldcache.read()
        return self._cache.get(name, [])

    def _fits(self, path: str, elf: Elf) -> bool:
        if not os.path.isfile(path):
            return False
        other = self._parse(path)
        return other is not None and (other.machine, other.bits) == (elf.machine, elf.bits)

    def _parse(self, path: str) -> Elf | None:
        if path not in self._parsed:
            self._parsed[path] = parse(path)
        return self._parsed[path]


def _own_rpath(elf: Elf) -> tuple[tuple[str, bool], ...]:
    # An object with DT_RUNPATH has its DT_RPATH ignored.
    return () if elf.runpath else _directories(elf.rpath, elf)


def _directories(paths: Iterable[str], elf: Elf) -> tuple[tuple[str, bool], ...]:
    return tuple((_expand(path, elf), "ORIGIN" in path) for path in paths if path)


def _expand(path: str, elf: Elf) -> str:
    values = {
        "ORIGIN": posixpath.dirname(elf.path),
        "LIB": f"lib/{_MULTIARCH[elf.machine]}" if elf.machine in _MULTIARCH else "lib",
        "PLATFORM": _PLATFORM.get(elf.machine, ""),
    }
    for name, value in values.items():
        path = path.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return path


def default_directories(elf: Elf) -> tuple[str, ...]:
    """Return where the loader looks at last, whatever its cache says."""
    if posixpath.basename(elf.interpreter).startswith("ld-musl"):
        return ("/lib", "/usr/local/lib", "/usr/lib")
    wide = ("/lib64", "/usr/lib64") if elf.bits == 64 else ()
    name = _MULTIARCH.get(elf.machine)
    multiarch = (f"/lib/{name}", f"/usr/lib/{name}") if name else ()
    return (*multiarch, *wide, "/lib", "/usr/lib")


def parse(path: str) -> Elf | None:
    """Read a file's dynamic section; None if it is no ELF file."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise LayerError(f"cannot read {path!r}: {error.strerror}") from error
    return _parse(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(FILES_MAX)
def _parse(path: str, *_seen: int) -> Elf | None:
    # All programs need the same few libraries: read once for as long as they do not change.
    try:
        if not is_elf(path):
            return None
        with open(path, "rb") as file:
            return _read(path, ELFFile(file))
    except OSError as error:
        raise LayerError(f"cannot read {path!r}: {error.strerror}") from error
    # The library trusts offsets it reads; a damaged file can end in any of these.
    except (
        ELFError,
        ConstructError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        OverflowError,
        MemoryError,
        AssertionError,
    ) as error:
        raise LayerError(f"{path!r} is a damaged ELF file: {error}") from error


def _read(path: str, file: ELFFile) -> Elf:
    loader = ""
    found: dict[str, list[str]] = {name: [] for name in _TAGS}
    for segment in file.iter_segments():
        if isinstance(segment, InterpSegment):
            loader = _text(segment.get_interp_name())
        elif isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                kind = str(tag.entry.d_tag)
                if kind in _TAGS:
                    found[kind].append(_text(getattr(tag, _TAGS[kind])))
    return Elf(
        path,
        machine=str(file["e_machine"]),
        bits=int(file.elfclass),
        interpreter=loader,
        soname="".join(found["DT_SONAME"][:1]),
        needed=tuple(found["DT_NEEDED"]),
        rpath=tuple(filter(None, ":".join(found["DT_RPATH"]).split(":"))),
        runpath=tuple(filter(None, ":".join(found["DT_RUNPATH"]).split(":"))),
    )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else os.fsdecode(value)
