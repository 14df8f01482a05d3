"""Find programs of this host and what they need to run: libraries, interpreters of scripts."""

import os
import posixpath

from maelstrom.errors import LayerError
from maelstrom.layers import elf
from maelstrom.layers.host import HostPaths
from maelstrom.layers.tree import Tree

SCRIPT_DEPTH_MAX = 5
UNWINDER = "libgcc_s.so.1"


def look_up(program: str, *, search_path: str, project: str) -> str:
    """Return the path of a program on this host; raises LayerError naming it."""
    if "/" in program:
        path = posixpath.normpath(posixpath.join(project, program))
        if not os.path.isfile(path):
            raise LayerError(f"program {program!r} does not exist")
        return path
    for directory in search_path.split(":"):
        path = posixpath.join(directory or ".", program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.abspath(path)
    raise LayerError(f"no program {program!r} in PATH", hint=f"PATH is `{search_path}`")


def add_program(tree: Tree, hosts: HostPaths, path: str, *, search_path: str) -> None:
    """Add a program, and all that is needed to start it."""
    for part in with_interpreters(path, search_path, hosts.project):
        hosts.add(tree, part)
        add_libraries(tree, hosts, [part])


def with_interpreters(path: str, search_path: str, project: str) -> list[str]:
    """Return a program and the interpreters its first line asks for, and theirs."""
    found = [path]
    at = 0
    while at < len(found):
        if at > SCRIPT_DEPTH_MAX:
            raise LayerError(f"the interpreter of script {path!r} is a script, too deep")
        found += [
            look_up(name, search_path=search_path, project=project)
            for name in interpreters(found[at])
        ]
        at += 1
    return found


def interpreters(path: str) -> list[str]:
    """Return the programs that the first line of a script asks for; none if it is no script."""
    words = _shebang(path)
    if not words or posixpath.basename(words[0]) != "env":
        return words[:1]
    names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return [words[0], *names[:1]]


def _shebang(path: str) -> list[str]:
    try:
        with open(path, "rb") as file:
            line = file.readline(4096)
    except OSError as error:
        raise LayerError(f"cannot read {path!r}: {error.strerror}") from error
    if not line.startswith(b"#!"):
        return []
    return line[2:].decode(errors="surrogateescape").split()


def libraries(
    hosts: HostPaths, binaries: list[str], *, library_path: tuple[str, ...] = ()
) -> elf.Closure:
    """Return all shared libraries that binaries need; raises LayerError if one is not found."""
    closure = elf.closure(binaries, library_path=library_path, in_container=hosts.in_container)
    if closure.missing:
        first = closure.missing[0]
        raise LayerError(
            f"shared library `{first.name}`, which {first.needed_by!r} needs, is not found",
            hint="set LD_LIBRARY_PATH or an RPATH, or install the package that has it",
        )
    return closure


def add_libraries(
    tree: Tree, hosts: HostPaths, binaries: list[str], *, library_path: tuple[str, ...] = ()
) -> None:
    """Add all shared libraries that binaries need, but not the binaries."""
    add_closure(tree, hosts, libraries(hosts, binaries, library_path=library_path))


def add_libraries_found(
    tree: Tree, hosts: HostPaths, path: str, *, library_path: tuple[str, ...]
) -> None:
    """Add what is found here of a file that may be a program, and may be for another machine."""
    try:
        closure = elf.closure([path], library_path=library_path, in_container=hosts.in_container)
    except LayerError:
        return  # Damaged, perhaps for the sake of the test.
    here = tuple(library for library in closure.files if os.path.exists(library))
    add_closure(tree, hosts, closure._replace(files=here))


def add_closure(tree: Tree, hosts: HostPaths, closure: elf.Closure) -> None:
    """Add what was found, and note where the loader must be told to look."""
    for path in with_unwinder(closure.files):
        hosts.add(tree, path)
    for directory in closure.library_path:
        tree.library_path[hosts.in_container(os.path.realpath(directory))] = None


def with_unwinder(files: tuple[str, ...]) -> list[str]:
    """Add the library that the C library opens by itself to end or cancel a thread."""
    names = {posixpath.basename(path): path for path in files}
    if "libc.so.6" not in names or UNWINDER in names:
        return list(files)
    library = elf.parse(names["libc.so.6"])
    for directory in elf.default_directories(library) if library else ():
        if os.path.isfile(f"{directory}/{UNWINDER}"):
            return [*files, f"{directory}/{UNWINDER}"]
    return list(files)
