"""A Python as a layer: interpreter, standard library, site-packages, and their libraries.

Rules of this file:
1. Everything keeps the path it has on this host (in the project: below PROJECT_ROOT), so that
   `sys.prefix`, and the link from a virtual environment to its base, are as they are here.
2. Sources go with pycs of the unchecked, hash-based kind: nothing is compiled in a container.
3. The layer is kept between runs and taken again as long as no file it was made of has changed;
   to see that costs one look at each.
4. What an editable install points at is taken along if it lies outside the project. In the project
   it is the project's own business: files come as data of a test, at the path that is looked up.
"""

import hashlib
import json
import os
import posixpath
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from maelstrom.errors import LayerError, SpecError
from maelstrom.layers import elf, programs, python_state
from maelstrom.layers.hasher import Hasher, write_atomically
from maelstrom.layers.host import HostPaths
from maelstrom.layers.tree import BuiltLayer, Source, Tree
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import Manifest

FORMAT_VERSION = 3
COMPILE_TIMEOUT_S = 900.0
VERSION_MIN = (3, 7)
TEMPORARY = "/tmp"
# What tools keep beside sources, at any depth of a checkout; some of it changes while tests run.
KEPT_BY_TOOLS = frozenset(
    {
        ".git",
        ".hg",
        ".hypothesis",
        ".maelstrom",
        ".mypy_cache",
        ".nox",
        ".pytest_cache",
        ".ruff_cache",
        ".sconf_temp",
        ".svn",
        ".tox",
    }
)
LIBRARY_LEFT_OUT = frozenset(
    {
        "__phello__",
        "ctypes/test",
        "distutils/tests",
        "idlelib",
        "lib2to3/tests",
        "site-packages",
        "dist-packages",
        "sqlite3/test",
        "tkinter/test",
        "turtledemo",
        "unittest/test",
    }
)
TEST_KEPT = ("test/support", "test/__init__.py")
"""Of the tests of the standard library: what tests of others use."""
_HERE = Path(__file__).parent


class _Facts(msgspec.Struct):
    """What a Python tells about itself."""

    version: tuple[int, int]
    cache_tag: str
    prefix: str
    base_prefix: str
    base_executable: str
    library: str
    path: list[str]

    @property
    def is_virtual(self) -> bool:
        return self.prefix != self.base_prefix


class _Record(msgspec.Struct, array_like=True):
    """A layer that was built, and of what."""

    version: int
    roots: list[str]
    fingerprint: str
    manifest: bytes
    sources: list[tuple[Digest, bytes]]
    library_path: tuple[str, ...]
    notes: tuple[str, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Record).decode


def find(interpreter: str, *, project: str) -> str:
    """Return the path of an interpreter on this host; "" is the one that runs us."""
    if not interpreter:
        return sys.executable
    if "/" not in interpreter:
        found = shutil.which(interpreter)
        if found is None:
            raise LayerError(f"no Python `{interpreter}` in PATH")
        return os.path.abspath(found)
    path = posixpath.normpath(posixpath.join(os.path.abspath(project), interpreter))
    if not os.path.isfile(path):
        raise LayerError(f"the Python {path!r} does not exist")
    return path


def container_path(interpreter: str, *, project: str) -> str:
    """Return the path that an interpreter has in a container with its layer."""
    path = find(interpreter, project=project)
    return _places(project).in_container(path)


def _places(project: str) -> HostPaths:
    """Return where the files of a Python are in a container.

    What lies below /tmp is moved: each container has a /tmp of its own there.
    """
    return HostPaths(project, moved=TEMPORARY)


def build(interpreter: str, *, hosts: HostPaths, hasher: Hasher) -> BuiltLayer:
    """Build the layer of a Python, or take the one that was built before."""
    path = find(interpreter, project=hosts.project)
    hosts = _places(hosts.project)
    name = hashlib.sha256(os.fsencode(f"{path}\0{hosts.project}")).hexdigest()
    record_file = hasher.directory / "pythons" / name
    built = _recall(record_file)
    if built is None:
        collector = _Collector(path, _probe(path), hosts, hasher)
        built = collector.collect()
        roots = [path, *collector.roots]
        record = _Record(
            FORMAT_VERSION,
            roots,
            python_state.fingerprint(roots),
            built.manifest.encoded,
            [(digest, os.fsencode(source)) for digest, source in _paths(built, hasher)],
            built.library_path,
            built.notes,
        )
        write_atomically(record_file, _encode(record))
    return built


def _paths(built: BuiltLayer, hasher: Hasher) -> Iterator[tuple[Digest, str]]:
    """Return where all content is as files, so that it can be found again."""
    for digest, source in built.sources.items():
        yield digest, source if isinstance(source, str) else hasher.keep(source)[1]


def _recall(record_file: Path) -> BuiltLayer | None:
    try:
        record = _decode(record_file.read_bytes())
        if record.version != FORMAT_VERSION:
            return None
        if record.fingerprint != python_state.fingerprint(record.roots):
            return None
        manifest = Manifest.decode(record.manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, SpecError):
        return None
    sources: dict[Digest, Source] = {digest: os.fsdecode(path) for digest, path in record.sources}
    made = os.fspath(record_file.parent.parent / "made")
    if not all(os.path.exists(path) for path in sources.values() if str(path).startswith(made)):
        return None
    return BuiltLayer(manifest, sources, record.library_path, record.notes)


def _probe(path: str) -> _Facts:
    try:
        facts = msgspec.convert(python_state.probe(path), type=_Facts)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        detail = os.fsdecode(getattr(error, "stderr", None) or b"") or str(error)
        raise LayerError(f"{path!r} is not a Python that works: {detail.strip()}") from error
    if facts.version < VERSION_MIN:
        raise LayerError(f"{path!r} is Python {facts.version[0]}.{facts.version[1]}, too old")
    return facts


class _Collector:
    """Gathers one Python into a tree."""

    def __init__(self, path: str, facts: _Facts, hosts: HostPaths, hasher: Hasher) -> None:
        self._path = path
        self._facts = facts
        self._hosts = hosts
        self._hasher = hasher
        self._tree = Tree()
        self._sources: list[tuple[str, str]] = []
        self._binaries: list[str] = []
        self.roots: dict[str, None] = {}
        """What the fingerprint must cover."""

    def collect(self) -> BuiltLayer:
        self._add_interpreters()
        library = self._root(self._facts.library)
        self._walk(library, is_library=True)
        for item in self._facts.path:
            self._add_path(item, library)
        closure = elf.closure(self._binaries, in_container=self._hosts.in_container)
        for missing in closure.missing:
            note = f"{missing.needed_by!r} needs `{missing.name}`, which is not found"
            self._tree.notes[note] = None
        programs.add_closure(self._tree, self._hosts, closure)
        self.roots |= dict.fromkeys(closure.files)
        self._compile()
        return self._tree.finish(self._hasher)

    def _add_interpreters(self) -> None:
        major, minor = self._facts.version
        names = ("python", f"python{major}", f"python{major}.{minor}")
        siblings = [
            posixpath.join(posixpath.dirname(path), name)
            for path in (self._path, self._facts.base_executable)
            for name in names
        ]
        for path in (self._path, self._facts.base_executable, *siblings):
            if os.path.isfile(path):
                self._binaries.append(self._hosts.add(self._tree, path))
        if self._facts.is_virtual:
            prefix = self._facts.prefix
            self.roots[f"{prefix}/pyvenv.cfg"] = None
            self._add_rewritten(f"{prefix}/pyvenv.cfg")
            for name in ("lib64", "lib"):
                if os.path.islink(f"{prefix}/{name}"):
                    self._hosts.add(self._tree, f"{prefix}/{name}")
            self._add_scripts(f"{prefix}/bin")

    def _add_scripts(self, directory: str) -> None:
        """Add what packages have put beside the interpreter of a virtual environment."""
        self.roots[directory] = None
        for name in sorted(os.listdir(directory)):
            path = f"{directory}/{name}"
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    head = file.read(4)
                if head.startswith(b"#!"):
                    self._add_rewritten(path)
                elif head == elf.ELF_MAGIC and path != self._path:
                    self._binaries.append(self._hosts.add(self._tree, path))

    def _root(self, path: str) -> str:
        """Add the way to a directory and return its real path."""
        real = self._hosts.add(self._tree, path)
        self.roots[real] = None
        return real

    def _add_path(self, item: str, library: str) -> None:
        """Add an entry of `sys.path`."""
        if not os.path.exists(item):
            return
        real = os.path.realpath(item)
        # Directories of the standard library, as `lib-dynload`, have come with it.
        is_inside = real == library or (
            real.startswith(f"{library}/") and not real.endswith("-packages")
        )
        if is_inside or real in self.roots:
            return
        is_own = real.startswith(os.path.realpath(self._facts.prefix) + "/")
        if self._hosts.is_project(real) and not is_own:
            self._note_editable(real)
        elif os.path.isdir(item):
            self._walk(self._root(item))
        else:
            self._root(item)

    def _note_editable(self, path: str) -> None:
        place = self._hosts.in_container(path)
        self._tree.notes[
            f"{path!r} is installed editable: give its files as data, found at `{place}`"
        ] = None

    def _walk(self, root: str, *, is_library: bool = False) -> None:
        todo = [root]
        while todo:
            directory = todo.pop()
            try:
                names = sorted(os.listdir(directory))
            except OSError as error:
                raise LayerError(f"cannot read {directory!r}: {error.strerror}") from error
            for name in names:
                path = f"{directory}/{name}"
                if name == "__pycache__" or (
                    is_library and _is_left_out(path.removeprefix(f"{root}/"))
                ):
                    continue
                status = os.lstat(path)
                if stat.S_ISDIR(status.st_mode):
                    if not _is_no_package(path, is_top=directory == root):
                        todo.append(path)
                elif stat.S_ISLNK(status.st_mode):
                    self._add_link(path)
                elif stat.S_ISREG(status.st_mode):
                    self._add_file(path, name, status)

    def _add_link(self, path: str) -> None:
        if not os.path.exists(path):
            # A link that leads nowhere here would lead nowhere there.
            return
        end = self._hosts.add(self._tree, path)
        if os.path.isdir(end):
            is_known = any(end == root or end.startswith(f"{root}/") for root in self.roots)
            if not is_known:
                self.roots[end] = None
                self._walk(end)
        elif end.endswith(".py"):
            self._sources.append((end, self._hosts.in_container(end)))

    def _add_file(self, path: str, name: str, status: os.stat_result) -> None:
        if name.endswith(".a") or name.startswith(".sconsign"):
            return
        if name.endswith(".pth") or name.startswith("__editable__") or name == "direct_url.json":
            self._add_rewritten(path)
            if name.startswith("__editable__") and name.endswith(".py"):
                self._add_editable(path)
            return
        place = self._hosts.in_container(path)
        executable = bool(status.st_mode & 0o111)
        self._tree.add_file(place, path, is_executable=executable)
        if name.endswith(".py"):
            self._sources.append((path, place))
        elif name.endswith(".so") or ".so." in name:
            self._binaries.append(path)

    def _add_rewritten(self, path: str) -> None:
        """Add a text in which directories are called as they are in the container."""
        try:
            content = Path(path).read_bytes()
            executable = bool(os.stat(path).st_mode & 0o111)
        except OSError as error:
            raise LayerError(f"cannot read {path!r}: {error.strerror}") from error
        # A script may well mean the /tmp of its container.
        more = () if content.startswith(b"#!") else (TEMPORARY,)
        pattern = self._moved_paths(*more)
        moved = pattern.sub(lambda found: self._there(found[0]), content)
        place = self._hosts.in_container(os.path.realpath(os.path.dirname(path)))
        place = f"{place}/{posixpath.basename(path)}"
        self._tree.add_bytes(place, moved, is_executable=executable)

    def _there(self, path: bytes) -> bytes:
        return os.fsencode(self._hosts.in_container(os.fsdecode(path)))

    def _moved_paths(self, *more: str) -> "re.Pattern[bytes]":
        """Return what finds directories in a text that are elsewhere in the container."""
        facts = self._facts
        roots = {self._hosts.project, facts.prefix, facts.base_prefix, *facts.path, *more}
        moved = sorted(root for root in roots if self._hosts.in_container(root) != root != "/")
        # Of two the longer one counts: it is tried first.
        choices = b"|".join(re.escape(os.fsencode(root)) for root in reversed(moved))
        return re.compile(rb"(?<![\w.-])(?:" + choices + rb")(?![\w.-])")

    def _add_editable(self, path: str) -> None:
        """Add the packages that the finder of an editable install maps to their sources."""
        for target in python_state.editable_targets(path):
            if self._hosts.is_project(target):
                self._note_editable(target)
            elif os.path.isdir(target):
                self._walk(self._root(target))
            elif os.path.isfile(target):
                self._root(target)

    def _compile(self) -> None:
        """Add pycs for all sources, compiled by the Python they are for, on all processors."""
        made = self._hasher.directory / "made"
        made.mkdir(parents=True, exist_ok=True)
        sources = sorted(dict(self._sources).items())
        share = max(1, -(-len(sources) // (os.cpu_count() or 1)))
        slices = [sources[start : start + share] for start in range(0, len(sources), share)]
        command = [self._path, "-I", "-S", os.fspath(_HERE / "python_compile.py"), os.fspath(made)]
        processes = [
            (part, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            for part in slices
        ]
        with ThreadPoolExecutor(max(1, len(processes))) as pool:
            outputs = list(pool.map(lambda item: self._talk(*item), processes))
        for (part, process), output in zip(processes, outputs, strict=True):
            lines = output.splitlines()
            if process.returncode != 0 or len(lines) != len(part):
                raise LayerError(f"{self._path!r} failed to compile its library")
            for (_, place), line in zip(part, lines, strict=True):
                self._add_compiled(place, line)

    def _talk(self, part: list[tuple[str, str]], process: "subprocess.Popen[bytes]") -> bytes:
        requests = [[source, place, self._pyc(source)] for source, place in part]
        text = "".join(f"{json.dumps(request)}\n" for request in requests)
        try:
            return process.communicate(text.encode(), timeout=COMPILE_TIMEOUT_S)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return b""

    def _pyc(self, source: str) -> str:
        directory, name = posixpath.split(source)
        return f"{directory}/__pycache__/{name[:-3]}.{self._facts.cache_tag}.pyc"

    def _add_compiled(self, place: str, line: bytes) -> None:
        result = json.loads(line)
        if result is not None:
            digest = Digest(*result)
            self._tree.add_known(self._pyc(place), digest, self._hasher.made_path(digest))


def _is_no_package(path: str, *, is_top: bool) -> bool:
    """Whether a directory below a root only happens to lie there: a checkout has many of them."""
    name = posixpath.basename(path)
    is_hidden = name in KEPT_BY_TOOLS or (is_top and name.startswith("."))
    return is_hidden or os.path.exists(f"{path}/pyvenv.cfg")


def _is_left_out(relative: str) -> bool:
    if relative in LIBRARY_LEFT_OUT or relative.startswith("config-"):
        return True
    if relative.startswith("test/"):
        return not relative.startswith(TEST_KEPT)
    return False
