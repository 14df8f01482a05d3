"""Send back files that a job has made: declared ones, or all that changed in its root.

The job has ended; what it left is hostile all the same. Nothing is opened but regular files and
directories, and no symbolic link is followed.

The messages are ("found", path, kind, target), and after a file's any number of ("content", bytes).
"""

import errno
import os
import stat

from maelstrom.linux import mount
from maelstrom.sandbox.channel import Channel
from maelstrom.sandbox.removal import names_of
from maelstrom.sandbox.steps import Watch

CHUNK_BYTES = 1 << 20
ENTRIES_MAX = 100_000
_TOO_MANY = f"more than {ENTRIES_MAX} files to bring back"
DEPTH_MAX = 200
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What is short or broken there is nothing of the job's.
_OURS = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.EAGAIN)
_OPAQUE, _WHITEOUT = "user.overlay.opaque", "user.overlay.whiteout"


class Refused(Exception):
    """It cannot be sent; the words say why."""


class Harvest:
    """What comes back from one job."""

    def __init__(self, channel: Channel, watch: Watch) -> None:
        self._channel = channel
        self._bytes_left = watch.files_bytes_max
        self._entries_left = ENTRIES_MAX
        self._is_layer = watch.is_captured

    def send_changes(self, upper: int, made: list[str]) -> None:
        """Send the content of an upper directory, without mount points of ours."""
        skipped = frozenset(made)
        for name in self._names(upper):
            self._send(upper, name, name, skipped, 1)

    def send_outputs(self, paths: tuple[str, ...]) -> None:
        """Send what there is of these; the present root is the job's."""
        root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for path in paths:
                above, _, name = path[1:].rpartition("/")
                try:
                    directory = mount.open_directory_plainly(root, above or ".")
                except OSError:
                    continue  # There is none, or not a plain one.
                try:
                    if _is_there(directory, name):
                        self._send(directory, name, path[1:], frozenset(), 1)
                finally:
                    os.close(directory)
        finally:
            os.close(root)

    def _send(self, above: int, name: str, path: str, skipped: frozenset[str], depth: int) -> None:
        try:
            status = os.stat(name, dir_fd=above, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                self._send_directory(above, name, path, skipped, depth)
            elif stat.S_ISREG(status.st_mode):
                self._send_file(above, name, path)
            elif stat.S_ISLNK(status.st_mode):
                self._tell(path, "link", os.readlink(os.fsencode(name), dir_fd=above))
            elif self._is_layer and stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                self._tell(path, "whiteout", b"")
        except OSError as error:
            if error.errno in _OURS:
                raise
            raise Refused(f"cannot bring back `/{path}`: {error.strerror}") from error

    def _send_directory(
        self, above: int, name: str, path: str, skipped: frozenset[str], depth: int
    ) -> None:
        if depth > DEPTH_MAX:
            raise Refused(f"more than {DEPTH_MAX} directories within each other to bring back")
        directory = os.open(name, _DIRECTORY_FLAGS, dir_fd=above)
        try:
            names = self._names(directory)
            is_opaque = self._is_layer and _OPAQUE in os.listxattr(directory)
            is_opaque = is_opaque and os.getxattr(directory, _OPAQUE) == b"y"
            # Those above what is sent need not be named.
            if is_opaque or path not in skipped:
                self._tell(path, "opaque" if is_opaque else "directory", b"")
            for inner in names:
                self._send(directory, inner, f"{path}/{inner}", skipped, depth + 1)
        finally:
            os.close(directory)

    def _names(self, directory: int) -> list[str]:
        names = names_of(directory, self._entries_left)
        if len(names) > self._entries_left:
            raise Refused(_TOO_MANY)
        return sorted(names)

    def _send_file(self, above: int, name: str, path: str) -> None:
        file = os.open(name, _FILE_FLAGS, dir_fd=above)
        try:
            if self._is_layer and _WHITEOUT in os.listxattr(file):
                self._tell(path, "whiteout", b"")
                return
            is_program = os.fstat(file).st_mode & 0o111
            self._tell(path, "program" if is_program else "file", b"")
            while content := os.read(file, CHUNK_BYTES):
                self._bytes_left -= len(content)
                if self._bytes_left < 0:
                    raise Refused("there is more to bring back than the job may write")
                self._channel.send(("content", content))
        finally:
            os.close(file)

    def _tell(self, path: str, kind: str, target: bytes) -> None:
        self._entries_left -= 1
        if self._entries_left < 0:
            raise Refused(_TOO_MANY)
        self._channel.send(("found", os.fsencode(path), kind, target))


def _is_there(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENAMETOOLONG):
            raise
        return False
    return True
