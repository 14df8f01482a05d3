"""Digest files, each only once for as long as it does not change.

What is known is kept between runs in one file, keyed by path, size, both times and inode. Rules:
1. A file that changed less than two seconds before it was read is not remembered: it may change
   again without its times showing it.
2. What is remembered is a convenience. If it is damaged it is forgotten; if it cannot be written
   nothing is lost but time.
"""

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import msgspec

from maelstrom.errors import LayerError
from maelstrom.model.digest import Digest

FORMAT_VERSION = 1
RACY_NS = 2 * 10**9
ENTRIES_MAX = 400_000
CHUNK_BYTES = 1 << 20
THREADS_MAX = 8
READ_ATTEMPTS = 3


class _Known(msgspec.Struct, array_like=True):
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    hash: str

    def is_of(self, status: os.stat_result) -> bool:
        return (
            self.size == status.st_size
            and self.mtime_ns == status.st_mtime_ns
            and self.ctime_ns == status.st_ctime_ns
            and self.inode == status.st_ino
        )


class _Saved(msgspec.Struct, array_like=True):
    version: int
    entries: dict[bytes, _Known]


class Hasher:
    """A memory of digests; safe for threads. Call `close` to save what was learnt.

    `directory` is where that is kept, with content that layers are made of and no file holds as it
    is: entries of archives, compiled Python. Without one, all is forgotten at the end.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._lent = None if directory else tempfile.TemporaryDirectory(prefix="maelstrom-")
        self.directory = directory or Path(self._lent.name if self._lent else "")
        self._file = self.directory / "digests"
        self._known: dict[bytes, _Known] = {}
        self._fresh: dict[bytes, _Known] = {}
        self._used: set[bytes] = set()
        self._is_loaded = False
        self._mutex = threading.Lock()

    def digest(self, path: str) -> Digest:
        """Return the digest of a file's content; links are followed."""
        with _explained(path):
            status = os.stat(path)
        known = self._recall(os.fsencode(path), status)
        return known if known is not None else self._read(path)

    def digests(self, paths: Iterable[str]) -> dict[str, Digest]:
        """Return the digests of many files, read in several threads."""
        found: dict[str, Digest] = {}
        unknown = []
        for path in paths:
            with _explained(path):
                status = os.stat(path)
            known = self._recall(os.fsencode(path), status)
            if known is not None:
                found[path] = known
            else:
                unknown.append(path)
        if len(unknown) < 2:
            found.update((path, self._read(path)) for path in unknown)
            return found
        with ThreadPoolExecutor(min(THREADS_MAX, os.cpu_count() or 1)) as pool:
            found.update(zip(unknown, pool.map(self._read, unknown), strict=True))
        return found

    def known(self, path: str, sha256hex: str) -> None:
        """Take somebody else's word for the digest of a file as it is now."""
        with _explained(path):
            status = os.stat(path)
        self._remember(path, status, Digest(sha256hex, status.st_size))

    def _recall(self, key: bytes, status: os.stat_result) -> Digest | None:
        self._load()
        known = self._fresh.get(key) or self._known.get(key)
        if known is None or not known.is_of(status):
            return None
        self._used.add(key)
        return Digest(known.hash, known.size)

    def _remember(self, path: str, status: os.stat_result, digest: Digest) -> None:
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < RACY_NS:
            return
        times = (status.st_mtime_ns, status.st_ctime_ns)
        self._fresh[os.fsencode(path)] = _Known(status.st_size, *times, status.st_ino, digest.hash)

    def _read(self, path: str) -> Digest:
        for _ in range(READ_ATTEMPTS):
            with _explained(path), _opened(path) as file:
                before = os.fstat(file)
                state = hashlib.sha256()
                size = 0
                while chunk := os.read(file, CHUNK_BYTES):
                    state.update(chunk)
                    size += len(chunk)
                after = os.fstat(file)
            if size == before.st_size and before.st_mtime_ns == after.st_mtime_ns:
                digest = Digest(state.hexdigest(), size)
                self._remember(path, after, digest)
                return digest
        raise LayerError(
            f"`{path}` keeps changing while it is read",
            hint="leave out files that are being written, with `ignore`",
        )

    def _load(self) -> None:
        if self._is_loaded:
            return
        with self._mutex:
            if not self._is_loaded:
                self._known = _read_saved(self._file)
                self._is_loaded = True

    def keep(self, content: bytes) -> tuple[Digest, str]:
        """Keep made content in the directory; return its digest and the path it has there."""
        digest = Digest.of(content)
        path = self.made_path(digest)
        if not os.path.exists(path):
            write_atomically(Path(path), content)
        return digest, path

    def made_path(self, digest: Digest) -> str:
        """Return the path at which made content of this digest is kept, if it is."""
        return os.fspath(self.directory / "made" / digest.hash[:2] / digest.hash)

    def close(self) -> None:
        """Save what was learnt, and forget temporary content."""
        if self._lent is not None:
            self._lent.cleanup()
            return
        if self._fresh:
            with contextlib.suppress(OSError), _locked(self._file.with_suffix(".lock")):
                # Another run may have saved in the meantime.
                merged = _read_saved(self._file)
                merged.update(self._fresh)
                write_atomically(self._file, _encode(_Saved(FORMAT_VERSION, self._pruned(merged))))
            self._fresh = {}

    def _pruned(self, entries: dict[bytes, _Known]) -> dict[bytes, _Known]:
        if len(entries) <= ENTRIES_MAX:
            return entries
        used = self._used.union(self._fresh)
        return {key: known for key, known in entries.items() if key in used}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Saved).decode


def _read_saved(file: Path) -> dict[bytes, _Known]:
    try:
        saved = _decode(file.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return saved.entries if saved.version == FORMAT_VERSION else {}


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is seen whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    # A FIFO must not make us wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise LayerError(f"{path!r} is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LayerError(f"cannot read {path!r}: {error.strerror}") from error
