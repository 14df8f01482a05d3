"""Remove a tree whatever modes a job gave to its directories.

`shutil` does it too, but loads much that a slot never needs.
"""

import os


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
