"""Walk directories of this host into a tree, as a recipe's options say.

Rules of this file:
1. Links are kept as links, or followed if asked; a loop of links is an error then.
2. Ignore rules are those of .gitignore. Some names are ignored always, unless named themselves:
   what version control and SCons keep for themselves, and compiled Python, whose digest would
   change from host to host.
3. Sockets, named pipes and devices are errors that name them.
"""

import os
import posixpath
import stat
from collections.abc import Iterator

from maelstrom.errors import LayerError
from maelstrom.layers.host import HostPaths, kind_of
from maelstrom.layers.pattern import Ignore
from maelstrom.layers.tree import Tree
from maelstrom.model.layer import PROJECT_ROOT, Prefix

ALWAYS_IGNORED = (
    ".git",
    ".hg/",
    ".svn/",
    ".maelstrom/",
    ".sconsign*.dblite",
    ".sconf_temp/",
    "__pycache__/",
    ".pytest_cache/",
    ".hypothesis/",
)
DEPTH_MAX = 200
NOWHERE = "/nonexistent"


class Placer:
    """Puts paths of this host into a tree where the prefix options say.

    `written` is the path as the recipe has it: relative to the project, or absolute.
    """

    def __init__(self, tree: Tree, hosts: HostPaths, prefix: Prefix) -> None:
        self._tree = tree
        self._hosts = hosts
        self._prefix = prefix
        # An absolute path stays what it is, even if it leads into the project.
        self._as_they_are = HostPaths(NOWHERE)

    def host_path(self, written: str) -> str:
        """Return where this is on the host; raises LayerError if it is not the user's to give."""
        if not written or "\0" in written:
            raise LayerError(f"{written!r} is not a path")
        if written.startswith("/"):
            return posixpath.normpath(written)
        plain = posixpath.normpath(written)
        if plain == ".." or plain.startswith("../"):
            raise LayerError(
                f"{written!r} lies outside the project `{self._hosts.project}`",
                hint="name it by its absolute path; it is found at the same path in the container",
            )
        return self._hosts.project if plain == "." else f"{self._hosts.project}/{plain}"

    def place(self, written: str) -> str:
        """Return where this is in the container."""
        path = posixpath.normpath(written)
        path = "" if path == "." else path
        if self._prefix.canonicalize:
            path = self._hosts.in_container(os.path.realpath(self.host_path(written)))
        path = _stripped(path, self._prefix.strip_prefix)
        if self._prefix.prepend_prefix:
            path = posixpath.join(self._prefix.prepend_prefix, path.lstrip("/"))
        return _normal(path if path.startswith("/") else f"{PROJECT_ROOT}/{path}")

    def add(self, written: str, status: os.stat_result) -> None:
        """Add one file, link or empty directory."""
        host_path = self.host_path(written)
        place = self.place(written)
        if written.startswith("/") and self._prefix == Prefix():
            above = self._as_they_are.add(self._tree, posixpath.dirname(host_path))
            place = posixpath.join(above or "/", posixpath.basename(host_path))
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(host_path)
            self._tree.add_symlink(place, self._hosts.link_target(host_path, target))
        elif stat.S_ISDIR(status.st_mode):
            self._tree.add_directory(place)
        elif stat.S_ISREG(status.st_mode):
            executable = bool(status.st_mode & 0o111)
            self._tree.add_file(place, host_path, is_executable=executable)
        else:
            raise LayerError(
                f"{host_path!r} is {kind_of(status.st_mode)}; "
                "a layer holds regular files, directories and links only",
                hint="leave it out with `ignore`",
            )

    def status(self, written: str) -> os.stat_result:
        """Look at a path as the options say: through links, or at the link itself."""
        host_path = self.host_path(written)
        follow = self._prefix.follow_symlinks or self._prefix.canonicalize
        try:
            return os.stat(host_path) if follow else os.lstat(host_path)
        except FileNotFoundError:
            if os.path.islink(host_path):
                raise LayerError(
                    f"{host_path!r} is a link to {os.readlink(host_path)!r}, which does not exist"
                ) from None
            raise LayerError(f"{host_path!r} does not exist") from None
        except OSError as error:
            raise LayerError(f"cannot read {host_path!r}: {error.strerror}") from error

    def walk(self, written: str, ignore: Ignore) -> Iterator[tuple[str, os.stat_result]]:
        """Yield a path and, if it is a directory, all that is in it and not ignored."""
        yield from self._walk(written, self.status(written), ignore, ())

    def _walk(
        self,
        written: str,
        status: os.stat_result,
        ignore: Ignore,
        above: tuple[tuple[int, int], ...],
    ) -> Iterator[tuple[str, os.stat_result]]:
        yield written, status
        if not stat.S_ISDIR(status.st_mode):
            return
        inside = self.entered(written, status, above)
        for name in self.names(written):
            inner = posixpath.join(written, name) if written != "." else name
            inner_status = self.status(inner)
            if not ignore.matches(inner, is_directory=stat.S_ISDIR(inner_status.st_mode)):
                yield from self._walk(inner, inner_status, ignore, inside)

    def entered(
        self, written: str, status: os.stat_result, above: tuple[tuple[int, int], ...]
    ) -> tuple[tuple[int, int], ...]:
        """Return the directories that we are in after entering one more; refuses a loop."""
        identity = (status.st_dev, status.st_ino)
        if identity in above or len(above) > DEPTH_MAX:
            raise LayerError(
                f"{self.host_path(written)!r} leads into itself through a link",
                hint="leave the link out with `ignore`, or do not follow links",
            )
        return (*above, identity)

    def names(self, written: str) -> list[str]:
        """Return the names in a directory, sorted."""
        host_path = self.host_path(written)
        try:
            return sorted(os.listdir(host_path))
        except OSError as error:
            raise LayerError(f"cannot read {host_path!r}: {error.strerror}") from error


def _stripped(path: str, prefix: str) -> str:
    """Remove a prefix of whole names; what does not begin with it stays as it is."""
    if not prefix:
        return path
    plain = prefix.rstrip("/") or "/"
    if path == plain:
        return ""
    start = plain if plain == "/" else f"{plain}/"
    return path[len(start) :] if path.startswith(start) else path


def _normal(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/") if path != "/" else path
