"""Add files of this host to a tree at the place where a container finds them.

Rules of this file:
1. The project's tree appears at PROJECT_ROOT, what the caller moves below MOVED_ROOT, and
   everything else at the path it has here.
2. Links on the way are reproduced: with `/lib` a link to `usr/lib` here it is one there, so that
   layers made apart never disagree about what is a link and what a directory.
"""

import os
import posixpath
import stat

from maelstrom.errors import LayerError
from maelstrom.layers.tree import Tree
from maelstrom.model.layer import PROJECT_ROOT

LINKS_MAX = 40
MOVED_ROOT = "/host"


class HostPaths:
    """Maps paths of this host to paths in the container."""

    def __init__(self, project: str, *, moved: str = "") -> None:
        """`moved` is a directory that cannot be where it is here; empty if there is none."""
        self._moved = moved
        self.project = os.path.abspath(project)
        self._real_project = os.path.realpath(project)

    def in_container(self, host_path: str) -> str:
        """Return where a file of this host is found in the container."""
        for root in (self.project, self._real_project):
            if host_path == root:
                return PROJECT_ROOT
            if root != "/" and host_path.startswith(root + "/"):
                return PROJECT_ROOT + host_path[len(root) :]
        if self._moved and f"{host_path}/".startswith(f"{self._moved}/"):
            return MOVED_ROOT + host_path
        return host_path

    def is_project(self, host_path: str) -> bool:
        """Whether this lies in the project."""
        place = self.in_container(host_path)
        return place == PROJECT_ROOT or place.startswith(PROJECT_ROOT + "/")

    def add(self, tree: Tree, host_path: str) -> str:
        """Add a file or a bare directory, and all links that lead to it; return its real path."""
        todo = [part for part in posixpath.normpath(host_path).split("/") if part][::-1]
        done = ""
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = posixpath.dirname(done.rstrip("/")).rstrip("/")
                continue
            here = f"{done}/{part}"
            try:
                status = os.lstat(here)
            except OSError as error:
                raise LayerError(f"cannot read {host_path!r}: {error.strerror}") from error
            if not stat.S_ISLNK(status.st_mode):
                done = here
                continue
            links += 1
            if links > LINKS_MAX:
                raise LayerError(f"{host_path!r} leads through a loop of links")
            target = os.readlink(here)
            self._add_link(tree, here, target)
            if target.startswith("/"):
                done = ""
            todo += [item for item in target.split("/") if item not in ("", ".")][::-1]
        self._add_end(tree, done)
        return done

    def _add_link(self, tree: Tree, here: str, target: str) -> None:
        if self._is_above_project(here):
            # In the container the project has no such directory above it.
            return
        place = self.in_container(here)
        if place == PROJECT_ROOT or PROJECT_ROOT.startswith(f"{place}/"):
            raise LayerError(f"{here!r} would hide the project in the container")
        tree.add_symlink(place, self.link_target(here, target))

    def link_target(self, link: str, target: str) -> str:
        """Return what a link must say in the container to lead where it leads here."""
        end = posixpath.normpath(posixpath.join(posixpath.dirname(link), target))
        place = self.in_container(end)
        if target.startswith("/"):
            return place if place != end else target
        there = posixpath.join(posixpath.dirname(self.in_container(link)), target)
        return target if posixpath.normpath(there) == place else place

    def _is_above_project(self, path: str) -> bool:
        return self.project == path or self.project.startswith(f"{path}/")

    def _add_end(self, tree: Tree, real: str) -> None:
        status = os.stat(real or "/")
        place = self.in_container(real)
        if stat.S_ISDIR(status.st_mode):
            tree.add_directory(place or "/")
        elif stat.S_ISREG(status.st_mode):
            tree.add_file(place, real, is_executable=bool(status.st_mode & 0o111))
        else:
            raise LayerError(
                f"{real!r} is {kind_of(status.st_mode)}; "
                "a layer holds regular files, directories and links only"
            )


def kind_of(mode: int) -> str:
    """Tell in words what a file that a layer cannot hold is."""
    for test, name in (
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISDIR, "a directory"),
    ):
        if test(mode):
            return name
    return "of an unknown kind"
