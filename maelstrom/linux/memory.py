"""How much memory the processes of a PID namespace hold, and what is left in one for IPC."""

import os

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ATTACHED, _RESIDENT = 6, 14


class SharedMemory:
    """The System V segments of the IPC namespace we are in when this is made."""

    def __init__(self, proc: str) -> None:
        try:
            self._list = os.open(f"{proc}/sysvipc/shm", os.O_RDONLY)
        except FileNotFoundError:
            # A kernel without them.
            self._list = os.open("/dev/null", os.O_RDONLY)

    def detached_bytes(self) -> int:
        """Sum what is held by no process, and so is counted nowhere else."""
        content = b""
        # The kernel gives a page of it at a time.
        while page := os.pread(self._list, 65536, len(content)):
            content += page
        total = 0
        for line in content.splitlines()[1:]:
            fields = line.split()
            if fields[_ATTACHED] == b"0":
                total += int(fields[_RESIDENT]) + int(fields[_RESIDENT + 1])
        return total

    def close(self) -> None:
        """Let go of the list, and with it of the namespace."""
        os.close(self._list)


def held_bytes(proc: str, spared: frozenset[str]) -> int:
    """Sum what all processes but some hold: cheap, and counts a shared page in each."""
    total = 0
    for name in _processes(proc, spared):
        try:
            content = _read(f"{proc}/{name}/statm")
        except OSError:
            continue  # It has just ended.
        total += int(content.split(b" ", 2)[1])
    return total * _PAGE_BYTES


def proportional_bytes(proc: str, spared: frozenset[str]) -> int:
    """Sum it exactly, each shared page counted once in all: dear, so only ask to be sure.

    Pages of files are left out: the kernel can drop them at any time.
    """
    total = 0
    for name in _processes(proc, spared):
        try:
            lines = _read(f"{proc}/{name}/smaps_rollup").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith((b"Pss_Anon:", b"Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
    return total


def _processes(proc: str, spared: frozenset[str]) -> list[str]:
    return [name for name in os.listdir(proc) if name[0] in "123456789" and name not in spared]


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 65536)
    finally:
        os.close(descriptor)
