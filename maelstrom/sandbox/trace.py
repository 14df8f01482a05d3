"""Find out whether a directory that jobs may write to is still as it was, or make it so."""

import fcntl
import os
import struct

from maelstrom.sandbox.removal import clear_directory, names_of

# More entries than this, and removing them costs more than a new root.
LEFTOVERS_MAX = 32
# More directories than this, and looking at them costs more than a new root.
DIRECTORIES_MAX = 64

Look = tuple[object, ...]

_GET_FLAGS = 0x80086601
# On disk, where we may not switch times of access off, a job would see that we have looked.
_OPEN_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NOATIME


class Trace:
    """What a tree of nothing but a few directories looked like."""

    def __init__(self, directory: int, *, is_empty: bool, has_fine_times: bool) -> None:
        """Look at it; `is_empty` says that there is no need to look for more directories."""
        self._directory = directory
        self._has_fine_times = has_fine_times
        self._paths = [""] if is_empty else _directories(directory)
        self._before = self._look_at_all()

    def is_same(self) -> bool:
        """Whether nothing was written, removed or changed in it."""
        try:
            return self._paths is not None and self._look_at_all() == self._before
        except OSError:
            return False

    def clear(self) -> bool:
        """Remove the little that was written to an empty directory, and forget when it was.

        Returns False, perhaps halfway, where it cannot be as it was.
        """
        mode, changed_ns = self._before[0][:2]
        if os.fstat(self._directory).st_mode != mode or any(_marks(self._directory)):
            return False
        if not clear_directory(self._directory, LEFTOVERS_MAX):
            return False
        os.utime(self._directory, ns=(changed_ns, changed_ns))  # type: ignore[arg-type]
        self._before = self._look_at_all()
        return True

    def _look_at_all(self) -> list[Look]:
        return [self._look(path) for path in self._paths or ()]

    def _look(self, path: str) -> Look:
        """See a directory with the time of its last change.

        Where two changes may bear the same time, all that can change is looked at.
        """
        if path:
            status = os.stat(path, dir_fd=self._directory, follow_symlinks=False)
        else:
            status = os.fstat(self._directory)
        found = status.st_mode, status.st_mtime_ns, status.st_ctime_ns
        return found if self._has_fine_times else (*found, status.st_ino, *self._content(path))

    def _content(self, path: str) -> tuple[object, ...]:
        descriptor = os.open(path or ".", _OPEN_FLAGS, dir_fd=self._directory)
        try:
            return sorted(names_of(descriptor, DIRECTORIES_MAX)), *_marks(descriptor)
        finally:
            os.close(descriptor)


def _marks(directory: int) -> tuple[list[tuple[str, bytes]], int]:
    """Return a directory's attributes and its flags; none of them are the usual ones."""
    attributes = [(name, os.getxattr(directory, name)) for name in os.listxattr(directory)]
    try:
        (flags,) = struct.unpack("i", fcntl.ioctl(directory, _GET_FLAGS, bytes(4)))
    except OSError:
        flags = 0  # There are none on this file system.
    return sorted(attributes), int(flags)


def _directories(directory: int) -> list[str] | None:
    """Return the paths of all directories of a tree, or None if it holds anything else."""
    paths = [""]
    # Growing while it is walked.
    for path in paths:
        descriptor = os.open(path or ".", _OPEN_FLAGS, dir_fd=directory)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        return None
                    paths.append(f"{path}/{entry.name}" if path else entry.name)
        finally:
            os.close(descriptor)
        if len(paths) > DIRECTORIES_MAX:
            return None
    return paths
