"""Namespaces and identity maps."""

import os

from maelstrom.linux.calls import system_call

NEW_MOUNT = 0x00020000
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


def map_identity(user: int, group: int, outer_user: int, outer_group: int) -> None:
    """Map one user and one group of this new user namespace to the outer ones.

    Written with `os.write`: a file object would swallow the kernel's answer when it is closed.
    """
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {outer_user} 1"),
        ("gid_map", f"{group} {outer_group} 1"),
    ):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, content.encode())
        except OSError as error:
            raise OSError(error.errno, error.strerror, name) from error
        finally:
            os.close(descriptor)
