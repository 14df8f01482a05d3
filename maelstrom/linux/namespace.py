"""Namespaces and identity maps."""

import os
import time

from maelstrom.linux.calls import system_call

NEW_MOUNT = 0x00020000
NEW_TIME = 0x00000080
NEW_CGROUP = 0x02000000
NEW_UTS = 0x04000000
NEW_IPC = 0x08000000
NEW_USER = 0x10000000
NEW_PID = 0x20000000
NEW_NETWORK = 0x40000000


def unshare(kinds: int) -> None:
    """Leave the present namespaces of these kinds for new ones."""
    system_call("unshare", kinds)


def enter(namespace: int, kind: int) -> None:
    """Enter the namespace behind a file descriptor."""
    system_call("setns", namespace, kind)


def set_uptime(seconds: int) -> None:
    """Have the next child's new time namespace say that the machine runs for so long."""
    offset = seconds - int(time.clock_gettime(time.CLOCK_BOOTTIME))
    _write("/proc/self/timens_offsets", f"monotonic {offset} 0\nboottime {offset} 0\n")


def map_identity(user: int, group: int, outer_user: int, outer_group: int) -> None:
    """Map one user and one group of this new user namespace to the outer ones.

    Written with `os.write`: a file object would swallow the kernel's answer when it is closed.
    """
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {outer_user} 1"),
        ("gid_map", f"{group} {outer_group} 1"),
    ):
        try:
            _write(f"/proc/self/{name}", content)
        except OSError as error:
            raise OSError(error.errno, error.strerror, name) from error


def _write(path: str, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)
