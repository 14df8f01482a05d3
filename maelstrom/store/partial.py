"""Keep the beginning of a large blob whose connection broke, so that it need not come again.

    partial/<hash>       the first bytes of a blob that is not whole

Rules of this file:
1. A beginning proves nothing. It is read and hashed again when its blob goes on, and only the whole
   is ever believed; a beginning that was changed or corrupted is found out then, and thrown away.
2. Whoever writes to one has it locked. One that another user of the store writes to is none of
   ours: then the blob comes whole, beside it.
3. All that nobody writes to have a tenth of the store's limit; the oldest go first.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import NamedTuple

from maelstrom.model.digest import Digest

PARTIAL_BYTES_MIN = 4 << 20
"""Of the whole blob: a smaller one comes again."""
DIRECTORY = "partial"


class Begun(NamedTuple):
    """A beginning that is ours to write to, locked."""

    file: int
    path: str


def _path(root: Path, digest: Digest) -> str:
    return f"{os.fspath(root)}/{DIRECTORY}/{digest.hash}"


def size_bytes(root: Path, digest: Digest) -> int:
    """Return how much of a blob is here to go on from; 0 for none."""
    if digest.size < PARTIAL_BYTES_MIN:
        return 0
    begun = _open(_path(root, digest), os.O_RDWR)
    if begun is None:
        return 0
    try:
        found = os.fstat(begun.file).st_size
        if found > digest.size:
            os.unlink(begun.path)
            return 0
        # All of it but never the end: what comes next is what makes it whole.
        return min(found, digest.size - 1)
    finally:
        os.close(begun.file)


def begin(root: Path, digest: Digest) -> Begun | None:
    """Open the beginning of a blob, an empty one if there is none; None if it is not ours."""
    if digest.size < PARTIAL_BYTES_MIN:
        return None
    os.makedirs(root / DIRECTORY, mode=0o700, exist_ok=True)
    return _open(_path(root, digest), os.O_RDWR | os.O_CREAT)


def _open(path: str, flags: int) -> Begun | None:
    try:
        file = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its last writer may have finished or dropped it after we opened it.
        is_there = os.fstat(file).st_ino == os.stat(path).st_ino
    except (BlockingIOError, FileNotFoundError):
        is_there = False
    if not is_there:
        os.close(file)
        return None
    return Begun(file, path)


def trim(root: Path, *, size_bytes_max: int) -> None:
    """Drop the oldest that nobody writes to until the rest has no more than this."""
    found: list[tuple[int, int, str]] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(root / DIRECTORY) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                found.append((status.st_mtime_ns, status.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= size_bytes_max:
            return
        begun = _open(path, os.O_RDWR)
        if begun is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            os.close(begun.file)
            total -= size
