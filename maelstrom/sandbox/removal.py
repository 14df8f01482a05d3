"""Remove a tree whatever a job has made of it: its modes, its depth, the number of its files.

`shutil` does it too, but loads much that a slot never needs, and gives up on a path that is longer
than the kernel takes.
"""

import contextlib
import errno
import itertools
import os
from collections.abc import Iterator

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)


def remove_tree(path: str) -> None:
    """Remove a directory and all below it; what has gone already is no matter."""
    # Nothing else in there is called so.
    prefix = os.urandom(8).hex()
    names = (f"{path}/{prefix}-{number}" for number in itertools.count())
    with contextlib.suppress(FileNotFoundError):
        os.chmod(path, 0o700)
        while not _remove_if_empty(path):
            _flatten(path, names)


def _flatten(path: str, names: Iterator[str]) -> None:
    """Remove what there is in a directory; of directories what they hold is lifted into it.

    So no path is long, and nothing need be kept in mind.
    """
    with os.scandir(path) as entries:
        for entry in entries:
            # Another may do the same at the same time.
            with contextlib.suppress(FileNotFoundError):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                    continue
                os.chmod(entry.path, 0o700)
                _lift(entry.path, names)
                _remove_if_empty(entry.path)


def _lift(path: str, names: Iterator[str]) -> None:
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                # It could not be moved if it was closed.
                os.chmod(entry.path, 0o700)
                os.rename(entry.path, next(names))
            else:
                os.unlink(entry.path)


def _remove_if_empty(path: str) -> bool:
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno not in _NOT_EMPTY:
            raise
        return False
    return True


def clear_directory(directory: int, entries_max: int) -> bool:
    """Remove all below an open directory, if it is no more than so many entries.

    Tells whether it was. For a caller whom modes do not bind.
    """
    return _clear(directory, entries_max) >= 0


def names_of(directory: int, most: int) -> list[str]:
    """Return the names in an open directory, or of very many one more than so many."""
    with os.scandir(directory) as entries:
        return [entry.name for entry in itertools.islice(entries, most + 1)]


def _clear(directory: int, left: int) -> int:
    """Return how many entries more might have been removed; negative if they were too many."""
    names = names_of(directory, left)
    left -= len(names)
    for name in names:
        if left < 0:
            break
        try:
            os.unlink(name, dir_fd=directory)
        except IsADirectoryError:
            inner = os.open(name, DIRECTORY_FLAGS, dir_fd=directory)
            try:
                left = _clear(inner, left)
            finally:
                os.close(inner)
            if left >= 0:
                os.rmdir(name, dir_fd=directory)
    return left
