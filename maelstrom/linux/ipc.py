"""What an IPC namespace holds."""

import os

from maelstrom.linux import mount


class IpcObjects:
    """The System V objects and message queues of the namespace this was made in."""

    def __init__(self, proc: str) -> None:
        """Open them; raises OSError."""
        self._tables: list[int] = []
        try:
            for name in ("shm", "sem", "msg"):
                self._tables.append(os.open(f"{proc}/sysvipc/{name}", os.O_RDONLY))
            self._queues = _open_queues()
        except OSError:
            for table in self._tables:
                os.close(table)
            raise

    def is_empty(self) -> bool:
        """Whether there are none."""
        # A table without objects is its heading.
        return not os.listdir(self._queues) and all(
            os.pread(table, 4096, 0).count(b"\n") == 1 for table in self._tables
        )

    def close(self) -> None:
        """Let go of it."""
        for descriptor in (*self._tables, self._queues):
            os.close(descriptor)


def _open_queues() -> int:
    file_system = mount.open_file_system(b"mqueue")
    try:
        queues = mount.create(file_system)
    finally:
        os.close(file_system)
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=queues)
    finally:
        os.close(queues)
