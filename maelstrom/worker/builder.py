"""Lay a layer out once: a directory of hard links to the content store.

Rules of this file:
1. A layer is made in a private directory and appears by rename, complete or not at all.
2. A manifest cannot name a path below anything but a directory, so nothing in it leads outside.
3. Opaque directories are written as extended attributes of the user's name space, which is the
   form an overlay mounted by an ordinary user understands. Whiteouts are devices of the number 0,
   which all kernels understand and any user may make; the attribute for them is of Linux 6.7.
"""

import contextlib
import errno
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from maelstrom.model.digest import Digest
from maelstrom.model.manifest import Directory, File, Manifest, Node, Symlink, Whiteout
from maelstrom.store.disk import DiskStore
from maelstrom.store.writer import MTIME_NS, explained

OPAQUE = "user.overlay.opaque"


class LayerBuilder:
    """Turns manifests in a store into directories below its `layers_root`; safe for threads."""

    def __init__(self, store: DiskStore) -> None:
        self._store = store
        self.layers_root = store.layers_root
        self._mutex = threading.Lock()
        self._busy: dict[Digest, threading.Lock] = {}

    def ensure(self, manifest: Manifest) -> str:
        """Lay the layer out if it is not yet; return its directory's name below `layers_root`.

        The manifest and all it names must be in the store, and should be pinned.
        """
        digest = manifest.digest
        if not self._store.touch_layer(digest):
            with self._alone(digest):
                if not self._store.has_layer(digest):
                    self._build(manifest)
        return digest.hash

    @contextlib.contextmanager
    def _alone(self, digest: Digest) -> Iterator[None]:
        """Let one thread at a time build a layer, so that no other does the same work."""
        with self._mutex:
            lock = self._busy.setdefault(digest, threading.Lock())
        with lock:
            yield
        with self._mutex:
            self._busy.pop(digest, None)

    def _build(self, manifest: Manifest) -> None:
        private = Path(self._store.temporary())
        try:
            with explained(private):
                private.mkdir()
                self._lay_out(manifest, private)
                self._publish(private, self.layers_root / manifest.digest.hash)
        finally:
            shutil.rmtree(private, ignore_errors=True)

    def _publish(self, private: Path, final: Path) -> None:
        os.utime(private, ns=(time.time_ns(), MTIME_NS))
        try:
            private.rename(final)
        except OSError as error:
            # Another process was faster, and what it made is the same.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise

    def _lay_out(self, manifest: Manifest, private: Path) -> None:
        root = os.open(private, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            directories: set[str] = set()
            opaque: set[str] = set()
            self._finish(root, ".")
            for path, node in manifest:
                self._make_above(root, path, directories)
                self._make(root, path, node, directories, opaque)
            for path in sorted(opaque):
                os.setxattr(private / path, OPAQUE, b"y")
            for path in directories:
                os.utime(path, ns=(MTIME_NS, MTIME_NS), dir_fd=root)
        finally:
            os.close(root)

    def _make(
        self, root: int, path: str, node: Node, directories: set[str], opaque: set[str]
    ) -> None:
        match node:
            case File(content, is_executable):
                self._store.link(content, is_executable=is_executable, name=path, directory=root)
            case Directory(is_opaque):
                self._make_directory(root, path, directories)
                if is_opaque:
                    opaque.add(path)
            case Symlink(target):
                os.symlink(target, os.fsencode(path), dir_fd=root)
                os.utime(path, ns=(MTIME_NS, MTIME_NS), dir_fd=root, follow_symlinks=False)
                self._give_link(root, path)
            case Whiteout():
                above = os.path.dirname(path)
                # In an opaque directory there is nothing left to be hidden.
                if above not in opaque:
                    os.mknod(path, stat.S_IFCHR | 0o444, dir_fd=root)
                    self._give_link(root, path)

    def _make_above(self, root: int, path: str, directories: set[str]) -> None:
        lacking = []
        above = os.path.dirname(path)
        while above and above not in directories:
            lacking.append(above)
            above = os.path.dirname(above)
        for directory in reversed(lacking):
            self._make_directory(root, directory, directories)

    def _make_directory(self, root: int, path: str, directories: set[str]) -> None:
        if path in directories:
            return
        os.mkdir(path, dir_fd=root)
        self._finish(root, path)
        directories.add(path)

    def _finish(self, root: int, path: str) -> None:
        os.chmod(path, 0o755, dir_fd=root)
        self._give_link(root, path)

    def _give_link(self, root: int, path: str) -> None:
        if self._store.owner is not None:
            os.chown(path, *self._store.owner, dir_fd=root, follow_symlinks=False)
