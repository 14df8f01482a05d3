"""Turn a recipe into a layer: the client's side of layers."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from maelstrom.errors import LayerError
from maelstrom.layers import archive, pattern, programs, python
from maelstrom.layers.hasher import Hasher
from maelstrom.layers.host import HostPaths
from maelstrom.layers.pattern import Ignore
from maelstrom.layers.tree import BuiltLayer, Source, Tree
from maelstrom.layers.walk import ALWAYS_IGNORED, Placer
from maelstrom.model.layer import (
    PROJECT_ROOT,
    Glob,
    LayerSpec,
    Paths,
    Prefix,
    Programs,
    Python,
    SharedLibraries,
    Stubs,
    Symlinks,
    Tar,
)

__all__ = ["BuiltLayer", "Hasher", "Source", "build", "files"]


def build(
    spec: LayerSpec,
    *,
    project: str,
    hasher: Hasher,
    environment: Mapping[str, str] = os.environ,
) -> BuiltLayer:
    """Build a layer; raises LayerError naming what is wrong.

    `environment` gives PATH and LD_LIBRARY_PATH.
    """
    tree = Tree()
    hosts = HostPaths(project)
    match spec:
        case Paths():
            _add_paths(tree, hosts, spec)
        case Glob():
            _add_glob(tree, hosts, spec)
        case Stubs():
            _add_stubs(tree, spec)
        case Symlinks():
            for link, target in spec.symlinks:
                if not target or "\0" in target:
                    raise LayerError(f"the link {link!r} needs a target")
                tree.add_symlink(_absolute(link), target)
        case Tar():
            host_path = Placer(tree, hosts, Prefix()).host_path(spec.tar)
            return archive.build(host_path, hasher)
        case SharedLibraries():
            _add_shared_libraries(tree, hosts, spec, environment)
        case Programs():
            search_path = environment.get("PATH", os.defpath)
            for program in spec.programs:
                path = programs.look_up(program, search_path=search_path, project=hosts.project)
                programs.add_program(tree, hosts, path, search_path=search_path)
        case Python():
            return python.build(spec.interpreter, hosts=hosts, hasher=hasher)
        case _:
            assert_never(spec)
    return tree.finish(hasher)


def files(
    entries: Mapping[str, str], *, hasher: Hasher, directories: tuple[str, ...] = ()
) -> BuiltLayer:
    """Build a layer of single files: absolute path in the container -> path on this host."""
    tree = Tree()
    for path, host_path in entries.items():
        try:
            mode = os.stat(host_path).st_mode
        except OSError as error:
            raise LayerError(f"cannot read {host_path!r}: {error.strerror}") from error
        if stat.S_ISDIR(mode):
            raise LayerError(f"{host_path!r} is a directory, not a file")
        tree.add_file(path, host_path, is_executable=bool(mode & 0o111))
    for path in directories:
        tree.add_directory(path)
    return tree.finish(hasher)


def _add_paths(tree: Tree, hosts: HostPaths, spec: Paths) -> None:
    placer = Placer(tree, hosts, spec.prefix)
    for path in spec.paths:
        base = path if path.startswith("/") else ""
        ignore = Ignore((*ALWAYS_IGNORED, *spec.ignore), base=base)
        for written, status in placer.walk(os.path.normpath(path) if path else path, ignore):
            placer.add(written, status)


def _add_glob(tree: Tree, hosts: HostPaths, spec: Glob) -> None:
    if spec.pattern.startswith("/"):
        raise LayerError(
            f"the glob `{spec.pattern}` is absolute; globs look in the project only",
            hint="use a layer of paths for what lies elsewhere",
        )
    placer = Placer(tree, hosts, spec.prefix)
    # What the pattern itself names is wanted, whatever is ignored by default.
    named = spec.pattern.split("/")
    always = [rule for rule in ALWAYS_IGNORED if rule.rstrip("/") not in named]
    ignore = Ignore((*always, *spec.ignore))
    globs = pattern.globs(spec.pattern)
    is_empty = True
    for written, status in _matches(placer, globs, [glob.start for glob in globs], "", ignore):
        placer.add(written, status)
        is_empty = False
    if is_empty:
        raise LayerError(
            f"the glob `{spec.pattern}` matches nothing in `{hosts.project}`",
            hint="`*` stays within one directory, `**` goes into all; see also `ignore`",
        )


def _matches(
    placer: Placer,
    globs: Sequence[pattern.Glob],
    states: list[pattern.States],
    above: str,
    ignore: Ignore,
    seen: tuple[tuple[int, int], ...] = (),
) -> Iterator[tuple[str, os.stat_result]]:
    for name in placer.names(above or "."):
        path = f"{above}/{name}" if above else name
        after = [glob.step(state, name) for glob, state in zip(globs, states, strict=True)]
        if not any(after):
            continue
        status = placer.status(path)
        is_directory = stat.S_ISDIR(status.st_mode)
        if ignore.matches(path, is_directory=is_directory):
            continue
        if is_directory:
            inside = placer.entered(path, status, seen)
            yield from _matches(placer, globs, after, path, ignore, inside)
        elif any(glob.accepts(state) for glob, state in zip(globs, after, strict=True)):
            yield path, status


def _add_stubs(tree: Tree, spec: Stubs) -> None:
    for stub in spec.stubs:
        for item in pattern.expand_braces(stub):
            path = pattern.unescape(item)
            if path.endswith("/"):
                tree.add_directory(_absolute(path))
            else:
                tree.add_bytes(_absolute(path), b"")


def _absolute(written: str) -> str:
    """Return where a path that exists in the container only is found there."""
    if not written or "\0" in written or ".." in written.split("/"):
        raise LayerError(f"{written!r} cannot be a path in a container", hint="write no `..`")
    path = written if written.startswith("/") else f"{PROJECT_ROOT}/{written}"
    return "/" + os.path.normpath(path).lstrip("/")


def _add_shared_libraries(
    tree: Tree, hosts: HostPaths, spec: SharedLibraries, environment: Mapping[str, str]
) -> None:
    placer = Placer(tree, hosts, Prefix())
    binaries = [placer.host_path(binary) for binary in spec.binaries]
    for path in binaries:
        if not os.path.isfile(path):
            raise LayerError(f"{path!r} does not exist, so its libraries cannot be found")
    given = environment.get("LD_LIBRARY_PATH", "")
    library_path = tuple(path for path in given.replace(";", ":").split(":") if path)
    if spec.prefix == Prefix():
        programs.add_libraries(tree, hosts, binaries, library_path=library_path)
        for path in spec.beside:
            programs.add_libraries_found(tree, hosts, path, library_path=library_path)
        return
    moved = Placer(tree, hosts, spec.prefix)
    for path in programs.libraries(hosts, binaries, library_path=library_path).files:
        moved.add(path, moved.status(path))
