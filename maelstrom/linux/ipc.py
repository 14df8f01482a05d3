"""What an IPC namespace holds, and whether anybody has used it."""

import errno
import os

from maelstrom.linux import mount
from maelstrom.linux.calls import system_call

_NUMBER, _ATTACHED, _RESIDENT = 1, 6, 14
_REMOVE = 0


class IpcObjects:
    """The System V objects and message queues of the namespace this was made in."""

    def __init__(self, proc: str) -> None:
        """Open their tables, those that the kernel has; raises OSError."""
        self._tables: list[int] = []
        self._segments = -1
        self._queues = -1
        try:
            for name in ("shm", "sem", "msg") if os.path.isdir(f"{proc}/sysvipc") else ():
                self._tables.append(os.open(f"{proc}/sysvipc/{name}", os.O_RDONLY))
            self._segments = self._tables[0] if self._tables else -1
            self._queues = _open_queues()
        except OSError:
            self.close()
            raise

    def is_untouched(self) -> bool:
        """Whether there are no objects, and never was a queue."""
        # A table without objects is its heading. Any queue that is made or removed is a change of
        # the directory of all.
        has_had_queues = self._queues >= 0 and os.fstat(self._queues).st_mtime_ns != 0
        return not has_had_queues and all(
            os.pread(table, 4096, 0).count(b"\n") == 1 for table in self._tables
        )

    def detached_bytes(self) -> int:
        """Sum what is held by no process, and so is counted in none."""
        return sum(
            int(fields[_RESIDENT]) + int(fields[_RESIDENT + 1])
            for fields in self._list_segments()
            if fields[_ATTACHED] == b"0"
        )

    def remove(self) -> None:
        """Remove the objects whose room is counted for their user; raises OSError.

        That would come about with the end of the namespace, but the kernel takes its time for it:
        until then others would be short of room. To be called within the namespace.
        """
        for name in os.listdir(self._queues) if self._queues >= 0 else ():
            os.unlink(name, dir_fd=self._queues)
        for fields in self._list_segments():
            system_call("shmctl", int(fields[_NUMBER]), _REMOVE, None)

    def _list_segments(self) -> list[list[bytes]]:
        if self._segments < 0:
            return []
        content = b""
        # The kernel gives a page of it at a time.
        while page := os.pread(self._segments, 65536, len(content)):
            content += page
        return [line.split() for line in content.splitlines()[1:]]

    def close(self) -> None:
        """Let go of it."""
        for descriptor in (*self._tables, self._queues):
            if descriptor >= 0:
                os.close(descriptor)


def _open_queues() -> int:
    """Return the directory of all queues, or -1 where the kernel has none."""
    try:
        file_system = mount.open_file_system(b"mqueue")
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return -1
    try:
        queues = mount.create(file_system)
    finally:
        os.close(file_system)
    try:
        # Its clock is coarse: what is done with it in the next moment would not show.
        os.utime(".", (0, 0), dir_fd=queues)
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=queues)
    finally:
        os.close(queues)
