"""Take a blob in, piece by piece: verified while it is written, seen when it is whole."""

import contextlib
import errno
import fcntl
import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from maelstrom.errors import StoreError
from maelstrom.model.digest import Digest
from maelstrom.store import partial

if TYPE_CHECKING:
    from maelstrom.store.disk import DiskStore

MTIME_NS = 946_684_800 * 10**9
"""The modification time of all content, as seen in containers: the first second of 2000, UTC."""
CHUNK_BYTES = 1 << 20
FICLONE = 0x40049409


class BlobWriter:
    """A blob on its way in; nothing of it is seen before `commit`.

    As a context manager it commits at the end, or aborts if there was an exception.
    """

    def __init__(
        self,
        store: "DiskStore",
        digest: Digest,
        final: str,
        *,
        is_executable: bool,
        begun: partial.Begun | None = None,
    ) -> None:
        self._store = store
        self._digest = digest
        self._final = final
        self._is_executable = is_executable
        self._state = hashlib.sha256()
        self.size = 0
        self._is_partial = begun is not None
        if begun is not None:
            self._file, self._temporary = begun
            return
        self._temporary = store.temporary()
        with explained(self._temporary):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(self._temporary, flags, 0o600)

    def go_on(self, offset: int) -> None:
        """Take what is there up to here as written; raises StoreError if there is less."""
        if not (offset or self._is_partial):
            return
        with explained(self._temporary):
            if os.fstat(self._file).st_size < offset:
                raise StoreError(f"less than {offset} bytes are here of blob {self._digest.short}")
            os.ftruncate(self._file, offset)
            while chunk := os.read(self._file, CHUNK_BYTES):
                self._take(chunk)

    def write(self, chunk: bytes | memoryview) -> None:
        """Append content; raises StoreError, and aborts, if it is too much or the disk is full."""
        self._take(chunk)
        rest = memoryview(chunk)
        try:
            with explained(self._final):
                while rest:
                    rest = rest[os.write(self._file, rest) :]
        except StoreError:
            self.abort()
            raise

    def _take(self, chunk: bytes | memoryview) -> None:
        self._state.update(chunk)
        self.size += len(chunk)
        if self.size > self._digest.size:
            self.abort()
            raise StoreError(f"blob {self._digest.short} is longer than {self._digest.size} bytes")

    def copy(self, source: int, name: str) -> None:
        """Append all that an open file holds; shares its blocks where the file system can."""
        try:
            fcntl.ioctl(self._file, FICLONE, source)
            is_cloned = True
        except OSError:
            is_cloned = False
        with explained(name):
            # The clone is what is kept, so it is what is verified.
            while chunk := os.read(self._file if is_cloned else source, CHUNK_BYTES):
                if is_cloned:
                    self._take(chunk)
                else:
                    self.write(chunk)

    def commit(self) -> None:
        """Verify the content and let it be seen; raises StoreError if it is not what was said."""
        found = Digest(self._state.hexdigest(), self.size)
        if found != self._digest:
            self.abort()
            raise _not_what_was_said(found, self._digest)
        try:
            with explained(self._final):
                _publish(self._store, self._file, self._temporary, self._final, self._is_executable)
                self._close()
        except StoreError:
            self.abort()
            raise
        self._store.account(self.size)

    def suspend(self) -> None:
        """Stop for now: what is written is kept to go on from, if the blob is worth it."""
        if not self._is_partial:
            self.abort()
        elif self._file >= 0:
            self._close()
            self._store.trim_partial()

    def abort(self) -> None:
        """Forget what was written; no harm if it is over already."""
        if self._file < 0:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)
        self._close()

    def _close(self) -> None:
        os.close(self._file)
        self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.abort()


class Spool:
    """Content that comes before its name is known."""

    def __init__(self, store: "DiskStore") -> None:
        self._store = store
        self._temporary = store.temporary()
        self._state = hashlib.sha256()
        self._size = 0
        with explained(self._temporary):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(self._temporary, flags, 0o600)

    def write(self, chunk: bytes) -> None:
        """Append content; raises StoreError, and aborts, if the disk is full."""
        self._state.update(chunk)
        self._size += len(chunk)
        rest = memoryview(chunk)
        try:
            with explained(self._temporary):
                while rest:
                    rest = rest[os.write(self._file, rest) :]
        except StoreError:
            self.abort()
            raise

    def keep(self, pin: str, *, is_executable: bool) -> Digest:
        """Let it be seen under its digest, pinned from before that; raises StoreError."""
        digest = Digest(self._state.hexdigest(), self._size)
        try:
            self._store.pin([digest], pin)
            with explained(self._temporary):
                final = self._store.final_path(digest, is_executable=is_executable)
                _publish(self._store, self._file, self._temporary, final, is_executable)
        finally:
            self.abort()
        self._store.account(self._size)
        return digest

    def abort(self) -> None:
        """Forget it; no harm if it is over already."""
        if self._file >= 0:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary)
            os.close(self._file)
            self._file = -1


def write_whole(
    store: "DiskStore",
    digest: Digest,
    content: bytes | memoryview,
    final: str,
    *,
    is_executable: bool,
) -> None:
    """Keep a blob that is here whole: as BlobWriter does, with as little as it takes."""
    found = hashlib.sha256(content).hexdigest()
    if found != digest.hash or len(content) != digest.size:
        raise _not_what_was_said(Digest(found, len(content)), digest)
    temporary = store.temporary()
    with explained(final):
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(file, rest) :]
            _publish(store, file, temporary, final, is_executable)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        finally:
            os.close(file)
    store.account(digest.size)


def _publish(
    store: "DiskStore", file: int, temporary: str, final: str, is_executable: bool
) -> None:
    """Let a file that is whole be seen as a blob; raises OSError."""
    store.give(file)
    os.fchmod(file, 0o555 if is_executable else 0o444)
    os.utime(file, ns=(time.time_ns(), MTIME_NS))
    os.rename(temporary, final)


def _not_what_was_said(found: Digest, said: Digest) -> StoreError:
    return StoreError(
        f"content {found.short} of {found.size} bytes was offered as "
        f"{said.short} of {said.size} bytes",
        hint="the file changed while it was being sent, or the other side is at fault",
    )


class explained:  # noqa: N801  # A context manager, as those of contextlib.
    """Turn errors of the operating system into a StoreError that names the path."""

    __slots__ = ("_path",)

    def __init__(self, path: Path | str) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing is there to be done: this is entered for each file, and more than once."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        hint = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some space on that file system, or give the store a smaller limit"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = "name a store in a directory that you may write to"
        where = error.filename if isinstance(error.filename, str) else self._path
        raise StoreError(f"cannot use `{where}`: {error.strerror}", hint=hint) from error
