"""How much memory the processes of a PID namespace hold."""

import os

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


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
