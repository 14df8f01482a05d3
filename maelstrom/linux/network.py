"""The loopback device, and what sockets a network namespace holds."""

import fcntl
import os
import socket
import struct

_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1


def set_loopback(*, is_up: bool) -> None:
    """Switch this network namespace's loopback device on or off."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh22x", b"lo", 0)
        (flags,) = struct.unpack_from("16xh", fcntl.ioctl(control, _SIOCGIFFLAGS, request))
        flags = flags | _IFF_UP if is_up else flags & ~_IFF_UP
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags))


class SocketCounts:
    """The kernel's count of sockets in the network namespace of a process.

    The files are opened once: a read of both is some microseconds.
    """

    def __init__(self, process_directory: str) -> None:
        self._files: list[int] = []
        for name in ("sockstat", "sockstat6"):
            try:
                self._files.append(os.open(f"{process_directory}/net/{name}", os.O_RDONLY))
            except FileNotFoundError:
                continue  # A kernel without IPv6.

    def is_clean(self) -> bool:
        """Whether no socket is left, not even one that waits for its time to be up."""
        return all(_counts_nothing(os.pread(file, 4096, 0)) for file in self._files)

    def close(self) -> None:
        """Let go of the files, and with them of the namespace."""
        for file in self._files:
            os.close(file)


def _counts_nothing(content: bytes) -> bool:
    """Read lines as `TCP: inuse 0 orphan 0 tw 0 alloc 2 mem 0`.

    Orphans, allocations and memory are those of the whole machine.
    """
    for line in content.splitlines():
        name, *words = line.split()
        if name == b"sockets:":
            continue
        for key, value in zip(words[::2], words[1::2], strict=False):
            if key in (b"inuse", b"tw") and value != b"0":
                return False
    return True
