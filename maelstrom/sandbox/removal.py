"""Remove a tree whatever modes a job gave to its directories.

`shutil` does it too, but loads much that a slot never needs.
"""

import os

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> None:
    """Remove a directory and all below it; what has gone already is no matter."""
    directories = [path]
    # Growing while it is walked: parents stand before their children.
    for directory in directories:
        try:
            os.chmod(directory, 0o700)
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.path)
                    else:
                        os.unlink(entry.path)
        except FileNotFoundError:
            continue
    for directory in reversed(directories):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            continue


def clear_directory(directory: int, entries_max: int) -> bool:
    """Remove all below an open directory, if it is no more than so many entries.

    Tells whether it was. For a caller whom modes do not bind.
    """
    return _clear(directory, entries_max) >= 0


def _clear(directory: int, left: int) -> int:
    """Return how many entries more might have been removed; negative if they were too many."""
    names = os.listdir(directory)
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
