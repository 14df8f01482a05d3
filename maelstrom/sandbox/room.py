"""Measure what a job has written to its root where that lies on disk and has no bound of its own.

As with memory it is looked at from time to time, and the job is ended when it is too much: what is
written between two looks may be more. A file that is open and has no name any more is not found.
"""

import itertools
import os
import stat
from collections.abc import Iterator

from maelstrom.linux import mount

# So that who looks does not keep the job's output waiting: the next look goes on from there.
ENTRIES_AT_ONCE = 2000
# As many files as a file system in memory of that size has.
ENTRIES_FREE = 1024
ENTRY_BYTES = 2048
# What `st_blocks` counts in.
_BLOCK_BYTES = 512
# As many names of any length as the kernel takes in one path.
_NAMES_AT_ONCE = 15

# A directory: that above it, and its name. A job may make very many, and very deep ones.
_Place = tuple["_Place | None", str]


class Room:
    """The room that one job has on disk."""

    def __init__(self, directory: int, bytes_max: int) -> None:
        """Take the directory that is written to, open; it remains the caller's."""
        self._directory = directory
        self._bytes_max = bytes_max
        self._entries_max = ENTRIES_FREE + bytes_max // ENTRY_BYTES
        self._walk = self._entries()
        self._bytes = self._count = 0

    def is_exceeded(self) -> bool:
        """Look at some more of it; tell whether it is known to be too much."""
        is_over = True
        for used_bytes in itertools.islice(self._walk, ENTRIES_AT_ONCE):
            is_over = False
            self._bytes += used_bytes
            self._count += 1
            if self._bytes > self._bytes_max or self._count > self._entries_max:
                return True
        if is_over:
            self._walk = self._entries()
            self._bytes = self._count = 0
        return False

    def close(self) -> None:
        """Stop looking."""
        self._walk.close()  # type: ignore[attr-defined]  # It is a generator.

    def _entries(self) -> Iterator[int]:
        """Go through all there is, with the bytes that each takes; the job goes on meanwhile."""
        counted: set[int] = set()
        places: list[_Place] = [(None, ".")]
        while places:
            place = places.pop()
            try:
                directory = _open(self._directory, place)
            except OSError:
                continue  # It has gone.
            try:
                for name in os.listdir(directory):
                    try:
                        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    except OSError:
                        continue
                    if stat.S_ISDIR(status.st_mode):
                        places.append((place, name))
                    elif status.st_ino in counted:
                        continue
                    elif status.st_nlink > 1:
                        counted.add(status.st_ino)
                    yield status.st_blocks * _BLOCK_BYTES
            finally:
                os.close(directory)


def _open(top: int, place: _Place) -> int:
    """Open a directory, whose path may be longer than the kernel takes."""
    names = []
    above: _Place | None = place
    while above is not None:
        above, name = above
        names.append(name)
    names.reverse()
    directory = os.dup(top)
    try:
        for number in range(0, len(names), _NAMES_AT_ONCE):
            path = "/".join(names[number : number + _NAMES_AT_ONCE])
            inner = mount.open_directory_plainly(directory, path, os.O_NOATIME)
            os.close(directory)
            directory = inner
    except OSError:
        os.close(directory)
        raise
    return directory
