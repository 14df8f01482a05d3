"""The loopback device, and what a network namespace holds and remembers."""

import contextlib
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
    """The kernel's counts of sockets and packets in the network namespace of a process.

    Made while the namespace is new. The files are opened once: a read of each is some microseconds.
    """

    def __init__(self, process_directory: str) -> None:
        def open_file(name: str) -> int:
            descriptor = os.open(f"{process_directory}/net/{name}", os.O_RDONLY)
            undone.callback(os.close, descriptor)
            return descriptor

        with contextlib.ExitStack() as undone:
            self._files = [open_file("sockstat")]
            # A kernel without IPv6 has no such file.
            with contextlib.suppress(FileNotFoundError):
                self._files.append(open_file("sockstat6"))
            self._devices = open_file("dev")
            self._local = open_file("unix")
            self._labels = -1
            with contextlib.suppress(FileNotFoundError):
                self._labels = open_file("ip6_flowlabel")
            self._at_first = self._look()
            # The kernel has some of its own.
            self._used_at_first = self._used()
            undone.pop_all()

    def is_clean(self, own: int = 0, *, is_silent: bool) -> bool:
        """Whether no socket is left, not even one that waits, and no packet was ever sent.

        Nor may there be a flow label: the kernel keeps it for a while after its last socket.

        `own` is how many local ones we have made since. Where no device was ever up (`is_silent`)
        nothing could be sent, and no connection can wait for its end.
        """
        # Without labels this is their heading.
        if self._labels >= 0 and os.pread(self._labels, 4096, 0).count(b"\n") > 1:
            return False
        if is_silent and self._used() == self._used_at_first + own:
            return True
        if self._look() != self._at_first:
            return False
        # A socket may be held by nothing but a message that lies in it. One that asked the kernel
        # about its devices is freed late, and is no matter.
        return self._used() == self._used_at_first + own or self._local_sockets() == own

    def close(self) -> None:
        """Let go of the files, and with them of the namespace."""
        for file in (*self._files, self._devices, self._local, self._labels):
            if file >= 0:
                os.close(file)

    def _look(self) -> tuple[object, ...]:
        counts = [_counts(os.pread(file, 4096, 0)) for file in self._files]
        return *counts, os.pread(self._devices, 4096, 0)

    def _used(self) -> int:
        # It begins with `sockets: used 5`.
        return int(os.pread(self._files[0], 4096, 0).split(None, 3)[2])

    def _local_sockets(self) -> int:
        return os.pread(self._local, 4096, 0).count(b"\n") - 1


def _counts(content: bytes) -> tuple[bytes, ...]:
    """Return the counts in lines as `TCP: inuse 0 orphan 0 tw 0 alloc 2 mem 0`.

    Orphans, allocations and memory are those of the whole machine.
    """
    found: list[bytes] = []
    for line in content.splitlines():
        words = line.split()
        for key, value in zip(words[1::2], words[2::2], strict=False):
            if key in (b"inuse", b"tw"):
                found.append(value)
    return tuple(found)
