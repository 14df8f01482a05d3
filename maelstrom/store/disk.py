"""Keep content by digest in a directory, and the layers made of it beside.

    CACHEDIR.TAG  format  lock  gate  usage
    blobs/ab/<hash>      a blob, mode 0444; <hash>.x the same for programs, mode 0555
    layers/<hash>        a layer laid out as hard links to blobs; the name is its manifest's hash
    partial/<hash>       the beginning of a blob; see partial.py
    users/ tmp/ removing/

Rules of this file:
1. Content is verified while it is written, appears by rename, and is never changed again. Its
   modification time is a constant, because a job sees it; its access time is when it was last used.
2. Several processes may use one store. What one of them has pinned, none evicts. A pinned manifest
   keeps its layer, or, until that is built, the contents it names.
3. The limit is soft: what is pinned stays. Above it, the least recently used goes until a tenth of
   the limit is free.
4. A user that died leaves temporary files, which the next one removes. If the machine died, what
   was written since is read and verified before anything leaves the store.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import BinaryIO

from maelstrom.errors import StoreError
from maelstrom.model.digest import Digest
from maelstrom.store import eviction, partial, tenancy
from maelstrom.store.writer import MTIME_NS, BlobWriter, Spool, explained, write_whole

FORMAT_VERSION = 1
CACHEDIR_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n"
LISTED_FROM = 1000
LISTED_MAX = 4
"""To look for so many at once, what is there is listed if it is no more than so many times that:
in a store that has nearly nothing yet, one by one takes thirty times as long."""
TOUCH_INTERVAL_NS = 600 * 10**9
LEFT_BEHIND = {"gate", "lock", "usage", "usage.new"}
"""What a user that ends late makes anew of a store that was removed under it."""


class DiskStore:
    """A content store in a directory; safe for threads and for several processes.

    `owner` is given when we are root and jobs run as somebody else: all content is his then.
    """

    def __init__(
        self, root: Path, *, size_bytes_max: int, owner: tuple[int, int] | None = None
    ) -> None:
        self.root = root
        self.layers_root = root / "layers"
        self._blobs = os.fspath(root / "blobs")
        self._limit = size_bytes_max
        self.owner = owner
        self._mutex = threading.Lock()
        self._numbers = count()
        self._added_bytes = 0
        self._is_open = False
        with explained(root):
            self._make_directories()
            self._lock = self._enter_format()
            self._tenant = tenancy.Tenant(root)
            self._tmp = root / "tmp" / self._tenant.name
            with tenancy.gate(root, alone=True):
                self._recover(tenancy.bury(root))
                self._tenant.enter()
            self._make_directory(self._tmp, 0o700)
        self._is_open = True

    def _make_directory(self, path: Path, mode: int) -> None:
        try:
            path.mkdir(mode=mode)
        except FileExistsError:
            return
        path.chmod(mode)
        self.give(os.fspath(path))

    def _make_directories(self) -> None:
        self.root.parent.mkdir(parents=True, exist_ok=True)
        self._make_directory(self.root, 0o700)
        tag = self.root / "CACHEDIR.TAG"
        if not tag.exists():
            # Another user of the same new store may be making it: it makes its tag first of all, so
            # whoever sees anything of that store sees the tag when it looks again.
            names = {path.name for path in self.root.iterdir()}
            if names - LEFT_BEHIND and not tag.exists():
                raise StoreError(
                    f"`{self.root}` is not empty and not a store of ours",
                    hint="remove it if nothing in it is yours, or name one that does not exist yet",
                )
            tag.write_bytes(CACHEDIR_TAG)

    def _enter_format(self) -> int:
        """Take the lock of the store, and make it empty if an older program left it."""
        lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        format_file = self.root / "format"
        wanted = str(FORMAT_VERSION)
        try:
            with tenancy.gate(self.root, alone=True):
                found = _read_text(format_file)
                if found not in ("", wanted):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if found != wanted:
                    self._make_empty()
                    format_file.write_text(wanted)
                fcntl.flock(lock, fcntl.LOCK_SH)
        except BlockingIOError:
            os.close(lock)
            raise StoreError(
                f"store `{self.root}` of format {found} is in use by another program; "
                f"this program has format {wanted}",
                hint="end the other program, or name another store",
            ) from None
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _make_empty(self) -> None:
        shutil.rmtree(self.root / partial.DIRECTORY, ignore_errors=True)
        for name in ("blobs", "layers", "users", "tmp", "removing"):
            shutil.rmtree(self.root / name, ignore_errors=True)
            self._make_directory(self.root / name, 0o755)
        for number in range(256):
            self._make_directory(self.root / "blobs" / f"{number:02x}", 0o755)
        (self.root / "usage").unlink(missing_ok=True)

    def _recover(self, dead: list[tenancy.Dead]) -> None:
        """Clean up after users that died; the gate is held alone."""
        for user in dead:
            shutil.rmtree(self.root / "tmp" / user.name, ignore_errors=True)
        shutil.rmtree(self.root / "removing", ignore_errors=True)
        self._make_directory(self.root / "removing", 0o755)
        boot = tenancy.boot_id()
        if dead:
            self.trim_partial()
        crashes = [user.since_ns for user in dead if user.boot != boot]
        if crashes:
            eviction.verify(self.root, since_ns=min(crashes))
        if dead or not _read_text(self.root / "usage").isdecimal():
            self._set_usage(eviction.usage_bytes(self.root))

    @property
    def size_bytes_max(self) -> int:
        """How much is kept."""
        return self._limit

    def close(self) -> None:
        """Leave the store; twice does no harm."""
        if not self._is_open:
            return
        self._is_open = False
        with explained(self.root):
            self._flush_usage()
            shutil.rmtree(self._tmp, ignore_errors=True)
            self._tenant.leave()
            os.close(self._lock)

    def missing(self, digests: Iterable[Digest]) -> list[Digest]:
        """Return those which are not here, in the order given."""
        every = list(digests)
        listed = self._listed(LISTED_MAX * len(every)) if len(every) >= LISTED_FROM else None
        return [
            digest
            for digest in every
            if (listed is not None and not {digest.hash, f"{digest.hash}.x"} & listed)
            or self._find(digest) is None
        ]

    def _listed(self, count_max: int) -> set[str] | None:
        """Return the names of all blobs, unless there are more of them."""
        names: set[str] = set()
        with explained(self._blobs):
            for number in range(256):
                names.update(os.listdir(f"{self._blobs}/{number:02x}"))
                if len(names) > count_max:
                    return None
        return names

    def has_layer(self, manifest: Digest) -> bool:
        """Whether this layer is laid out; then all it is made of is here, too."""
        return os.path.isdir(self.layers_root / manifest.hash)

    def _find(self, digest: Digest) -> str | None:
        base = self._blob_path(digest)
        for path in (base, f"{base}.x"):
            try:
                status = os.stat(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StoreError(f"cannot use `{path}`: {error.strerror}") from error
            if status.st_size == digest.size:
                self._touch(path, status.st_atime_ns)
                return path
        return None

    def _blob_path(self, digest: Digest) -> str:
        return f"{self._blobs}/{digest.hash[:2]}/{digest.hash}"

    def final_path(self, digest: Digest, *, is_executable: bool) -> str:
        """Return where a blob lies, or will."""
        return self._blob_path(digest) + (".x" if is_executable else "")

    def spool(self) -> Spool:
        """Begin to take content whose digest is not known yet."""
        return Spool(self)

    def _touch(self, path: str, last_ns: int) -> None:
        now = time.time_ns()
        # One that was used in the future was so before the clock was set right.
        if not 0 <= now - last_ns <= TOUCH_INTERVAL_NS:
            # It may be evicted at this very moment, unless it is pinned.
            with contextlib.suppress(FileNotFoundError):
                os.utime(path, ns=(now, MTIME_NS))

    def touch_layer(self, manifest: Digest) -> bool:
        """Mark a layer as used just now; False if it is not here."""
        path = os.fspath(self.layers_root / manifest.hash)
        try:
            self._touch(path, os.stat(path).st_atime_ns)
        except FileNotFoundError:
            return False
        return True

    def path(self, digest: Digest) -> Path:
        """Return where a blob lies; pin it first, or it may go."""
        found = self._find(digest)
        if found is None:
            raise StoreError(f"blob {digest.short} is not in the store `{self.root}`")
        return Path(found)

    def open(self, digest: Digest) -> BinaryIO:
        """Open a blob for reading."""
        with explained(self.root):
            return self.path(digest).open("rb")

    def read(self, digest: Digest) -> bytes:
        """Return a blob's content."""
        with self.open(digest) as file:
            return file.read()

    def read_part(self, digest: Digest, offset: int, length: int) -> tuple[bytes, bool]:
        """Return a part of a blob's content, and whether it is kept as a program."""
        found = self._blob_path(digest)
        with explained(found):
            try:
                file = os.open(found, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                found += ".x"
                file = os.open(found, os.O_RDONLY | os.O_CLOEXEC)
            try:
                content = os.pread(file, length, offset)
            finally:
                os.close(file)
        if len(content) < length:
            raise StoreError(f"blob {digest.short} became shorter", hint="the store is damaged")
        return content, found.endswith(".x")

    def put_bytes(
        self, digest: Digest, content: bytes | memoryview, *, is_executable: bool = False
    ) -> None:
        """Keep this content, which must be what the digest says."""
        if self._find(digest) is None:
            self.put_new(digest, content, is_executable=is_executable)

    def put_new(
        self, digest: Digest, content: bytes | memoryview, *, is_executable: bool = False
    ) -> None:
        """Keep this content without looking whether it is here already."""
        final = self.final_path(digest, is_executable=is_executable)
        write_whole(self, digest, content, final, is_executable=is_executable)

    def put_file(self, digest: Digest, path: str) -> None:
        """Keep a copy of this file, which must be what the digest says."""
        if self._find(digest) is not None:
            return
        with explained(path):
            # A FIFO in its place must not make us wait.
            source = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(source).st_mode
            if not stat.S_ISREG(mode):
                raise StoreError(f"`{path}` is not a regular file")
            with self.writer(digest, is_executable=bool(mode & 0o111)) as writer:
                writer.copy(source, path)
        finally:
            os.close(source)

    def writer(self, digest: Digest, *, is_executable: bool = False, offset: int = 0) -> BlobWriter:
        """Begin to receive a blob, or go on from `offset`, as `partial_bytes` told.

        `is_executable` if a layer is known to need it as a program. Raises StoreError.
        """
        final = self.final_path(digest, is_executable=is_executable)
        with explained(self.root):
            begun = partial.begin(self.root, digest)
        writer = BlobWriter(self, digest, final, is_executable=is_executable, begun=begun)
        try:
            writer.go_on(offset)
        except StoreError:
            writer.suspend()
            raise
        return writer

    def partial_bytes(self, digest: Digest) -> int:
        """Return how much of a blob is here from a time before, to go on from."""
        with explained(self.root):
            return partial.size_bytes(self.root, digest)

    def trim_partial(self) -> None:
        """Let the beginnings of blobs not take too much room."""
        with explained(self.root):
            partial.trim(self.root, size_bytes_max=self._limit // 10)

    def temporary(self) -> str:
        """Return a fresh path for unfinished things, on the same file system."""
        return f"{self._tmp}/{next(self._numbers)}"

    def give(self, target: str | int) -> None:
        """Hand a file or directory that we made to the owner of the content."""
        if self.owner is not None:
            os.chown(target, *self.owner)

    def link(self, digest: Digest, *, is_executable: bool, name: str, directory: int) -> None:
        """Make a hard link to a blob, with the right mode, below an open directory."""
        suffix = ".x" if is_executable else ""
        path = self._blob_path(digest) + suffix
        with explained(name):
            try:
                os.link(path, name, dst_dir_fd=directory)
                return
            except FileNotFoundError:
                self._copy_variant(digest, path, is_executable)
            except OSError as error:
                if error.errno != errno.EMLINK:
                    raise
                # The file has all the links it can have: go on with another copy of it.
                self._copy_variant(digest, path, is_executable)
            os.link(path, name, dst_dir_fd=directory)

    def _copy_variant(self, digest: Digest, final: str, is_executable: bool) -> None:
        source = self.path(digest)
        writer = BlobWriter(self, digest, final, is_executable=is_executable)
        with writer, source.open("rb") as file:
            writer.copy(file.fileno(), os.fspath(source))

    def pin(self, digests: Iterable[Digest], by: str) -> None:
        """Protect blobs and layers from eviction until `by` is unpinned."""
        with self._mutex, explained(self.root):
            self._tenant.clock_was(time.time_ns())
            self._tenant.pin([digest.hash for digest in digests], by)

    def unpin(self, by: str) -> None:
        """End the protection of all that was pinned for `by`."""
        with self._mutex, explained(self.root):
            self._tenant.unpin(by)

    @property
    def used_bytes(self) -> int:
        """How much is kept, nearly."""
        text = _read_text(self.root / "usage")
        return self._added_bytes + (int(text) if text.isdecimal() else 0)

    def account(self, size_bytes: int) -> None:
        """Count what came into the store, and make room if it is too much."""
        with self._mutex:
            with explained(self.root):
                self._tenant.clock_was(time.time_ns())
            self._added_bytes += size_bytes
            # Often enough that many processes together cannot go far over the limit.
            is_due = self._added_bytes > self._limit // 64
        if is_due:
            self._flush_usage()

    def _flush_usage(self) -> None:
        with self._mutex:
            added, self._added_bytes = self._added_bytes, 0
            with tenancy.gate(self.root, alone=True):
                text = _read_text(self.root / "usage")
                total = int(text) + added if text.isdecimal() else eviction.usage_bytes(self.root)
                if total > self._limit:
                    self._clean_up_after_dead()
                    total = eviction.evict(self.root, size_bytes_wanted=self._limit * 9 // 10)
                self._set_usage(total)

    def _clean_up_after_dead(self) -> None:
        for user in tenancy.bury(self.root):
            shutil.rmtree(self.root / "tmp" / user.name, ignore_errors=True)

    def _set_usage(self, total: int) -> None:
        temporary = self.root / "usage.new"
        temporary.write_text(str(total))
        temporary.replace(self.root / "usage")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
