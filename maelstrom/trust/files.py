"""Write files so that a reader sees the old or the new content, and secrets only their owner."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from maelstrom.errors import TrustError

PRIVATE = 0o600
PUBLIC = 0o644


def write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file's content at once; it is on disk when this returns."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            # The mask may not take away what a public file must give.
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise TrustError(f"cannot write {path}: {error.strerror}") from error


def read(path: Path, *, what: str, hint: str = "") -> bytes:
    """Return a file's content; raises TrustError naming `what` it should have been."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise TrustError(f"cannot read {what} {path}: {error.strerror}", hint=hint) from error


def read_secret(path: Path, *, what: str, hint: str = "") -> bytes:
    """Return a secret; raises TrustError if others may read it."""
    content = read(path, what=what, hint=hint)
    if path.stat().st_mode & 0o077:
        raise TrustError(
            f"others than its owner may read {what} {path}", hint=f"run `chmod 600 {path}`"
        )
    return content


def make_directory(path: Path) -> None:
    """Have a directory that only its owner enters."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise TrustError(f"cannot make directory {path}: {error.strerror}") from error


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other programs from changing the directory at the same time."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, PRIVATE)
    except OSError as error:
        raise TrustError(f"cannot lock {directory}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
