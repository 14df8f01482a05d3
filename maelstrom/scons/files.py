"""Turn what a user names (strings, nodes, directories) into file nodes, while SCons reads.

SCons does not notice changes inside of a directory node that is a source: directories are
therefore spelled out as their files.
"""

import fnmatch
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator
from typing import Any

import SCons.Node.FS
import SCons.Util

from maelstrom.scons.keywords import Complaint

IGNORED = ("__pycache__", "*.pyc", ".git", ".hg", ".svn", ".pytest_cache", ".mypy_cache",
           ".ruff_cache", ".hypothesis", ".maelstrom", ".sconsign*.dblite", ".sconf_temp",
           "node_modules")  # fmt: skip
"""Never wanted from inside of a directory."""
FILES_MAX = 100_000
PYTEST_FILES = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
PACKAGE_FILES = ("conftest.py", "__init__.py")


def nodes(env: Any, complain: Complaint, keyword: str, value: Any) -> list[Any]:
    """Return the nodes a user means by strings, nodes and lists of them."""
    found = []
    for item in SCons.Util.flatten([value]) if value is not None else []:
        if isinstance(item, str):
            if not item or "\0" in item:
                raise complain(f"{keyword}: {item!r} is not a path")
            node = env.fs.Entry(env.subst(item))
        elif isinstance(item, SCons.Node.FS.Base):
            node = item
        else:
            raise complain(f"{keyword}: {item!r} is neither a path nor a node of a file")
        found.append(node.disambiguate())
    return found


def relative(complain: Complaint, node: Any) -> str:
    """Return where a file lies in the project; it is found at the same place in a container."""
    top = node.fs.Top.get_abspath()
    path: str = real(node).get_abspath()
    if path == top:
        return ""
    if not path.startswith(top + "/"):
        raise complain(
            f"{str(node)!r} is outside the project ({top}); "
            "files of the host come in by layers=env.MaelstromLayer(...)"
        )
    return path[len(top) + 1 :]


def real(node: Any) -> Any:
    """Return the node that exists: the source's, where a variant directory does not duplicate."""
    found = node.rfile() if hasattr(node, "rfile") else node
    if isinstance(found, SCons.Node.FS.Dir) and not os.path.isdir(found.get_abspath()):
        found = found.srcnode()
    return found


def is_there(node: Any) -> bool:
    """Whether a node is a target or holds one, or is a file or directory that exists."""
    if isinstance(node, SCons.Node.FS.Dir):
        # SCons could make any directory, if somebody wanted it.
        is_made = node.has_explicit_builder() or any(made(node, ()))
        return is_made or os.path.isdir(real(node).get_abspath())
    if node.has_builder() or node.side_effect:
        return True
    if node.get_dir() is not None and real(node).exists():
        return True
    return bool(node.exists() or node.rexists())


def spread(
    complain: Complaint, keyword: str, given: Iterable[Any], ignore: tuple[str, ...]
) -> list[Any]:
    """Return the file nodes of files and of directories with all that is in them."""
    found: dict[Any, None] = {}
    for node in given:
        relative(complain, node)
        if isinstance(node, SCons.Node.FS.Dir):
            found.update(dict.fromkeys(_inside(complain, keyword, node, ignore)))
            continue
        if is_there(node):
            _check_kind(complain, keyword, real(node).get_abspath())
        else:
            complain.unless_built(keyword, node)
        found[node] = None
        if len(found) > FILES_MAX:
            raise complain(f"{keyword}: more than {FILES_MAX} files; use a MaelstromLayer")
    return list(found)


def _inside(
    complain: Complaint, keyword: str, directory: Any, ignore: tuple[str, ...]
) -> Iterator[Any]:
    root = real(directory).get_abspath()
    patterns = (*IGNORED, *ignore)
    if not is_there(directory):
        complain.unless_built(keyword, directory)
    complain.directories.append((directory, patterns))
    names = []
    for path, directories, files in os.walk(root):
        here = os.path.relpath(path, root)
        directories[:] = sorted(d for d in directories if not _matches(here, d, patterns))
        wanted = [name for name in sorted(files) if not _matches(here, name, patterns)]
        for name in wanted:
            _check_kind(complain, keyword, f"{path}/{name}")
        names += [posixpath.normpath(f"{here}/{name}") for name in wanted]
        if len(names) > FILES_MAX:
            raise complain(
                f"{keyword}: more than {FILES_MAX} files in {str(directory)!r}; "
                "use a MaelstromLayer"
            )
    found = {directory.File(name): None for name in names}
    found.update(dict.fromkeys(made(directory, patterns)))
    yield from found


def _check_kind(complain: Complaint, keyword: str, path: str) -> None:
    """Complain of what SCons would wait for for ever when it reads it."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # It is still to be built.
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise complain(f"{keyword}: {path!r} is no regular file; leave it out with ignore=")


def made(directory: Any, patterns: tuple[str, ...], here: str = "") -> Iterator[Any]:
    """Return files that some builder will put into the directory, as far as is known now."""
    for name, entry in sorted(directory.entries.items()):
        if name in (".", "..") or _matches(here or ".", name, patterns):
            continue
        if type(entry) is SCons.Node.FS.Entry and entry.has_builder():
            # Until it is built nothing tells SCons that it is a file.
            entry.disambiguate()
        if isinstance(entry, SCons.Node.FS.Dir):
            yield from made(entry, patterns, posixpath.join(here, name))
        elif isinstance(entry, SCons.Node.FS.File) and entry.has_builder():
            yield entry


def _matches(here: str, name: str, patterns: tuple[str, ...]) -> bool:
    path = posixpath.normpath(f"{here}/{name}")
    for pattern in patterns:
        plain = pattern.rstrip("/")
        if fnmatch.fnmatchcase(name, plain) or fnmatch.fnmatchcase(path, plain):
            return True
    return False


def python_surroundings(source: Any) -> list[Any]:
    """Return what pytest reads beside a test: conftest.py upwards to the root, configurations."""
    top = source.fs.Top
    node = real(source)
    directory = node if isinstance(node, SCons.Node.FS.Dir) else node.get_dir()
    found = []
    while True:
        names = PYTEST_FILES + PACKAGE_FILES
        found += [
            directory.File(name)
            for name in names
            if os.path.isfile(f"{directory.get_abspath()}/{name}")
        ]
        above = directory.get_dir() if hasattr(directory, "get_dir") else None
        if directory is top or above is None or above is directory:
            return found
        directory = above
