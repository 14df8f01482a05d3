"""From what failed and what the host is like to the setting that forbids it and the remedy.

Pure: a table in words, tested as one.
"""

import errno
import os
from typing import NamedTuple

from maelstrom.sandbox.steps import LINUX_LAYER_LIST

LINUX_MIN = (5, 12)


class Facts(NamedTuple):
    """What this host says about itself, as far as it matters here; None where it says nothing."""

    linux: tuple[int, int] = (6, 18)
    user_namespaces_max: int | None = 10_000
    unprivileged_user_namespaces: int | None = None
    """`kernel.unprivileged_userns_clone`, of Debian's and Arch's own kernels."""
    apparmor_restricts: int | None = None
    """`kernel.apparmor_restrict_unprivileged_userns`, of Ubuntu's."""
    has_filter: bool = False
    """A system call filter is on us."""
    is_chrooted: bool = False
    container: str = ""
    """`docker`, `podman` ..., as far as it can be told."""
    program: str = "/usr/bin/python3"


def remedy(doing: str, number: int, facts: Facts) -> str:
    """Return what to do about a failure to do something, as a hint."""
    if facts.linux < LINUX_MIN:
        ours, least = (".".join(map(str, linux)) for linux in (facts.linux, LINUX_MIN))
        return f"this kernel is {ours}; Linux {least} is the oldest that can: boot a newer one"
    if doing.startswith("make a user namespace"):
        return _user_namespace(number, facts)
    if doing.startswith("start in"):
        return "the user that runs the sandbox must be allowed to enter that directory"
    if number in (errno.EPERM, errno.EACCES):
        return _forbidden(doing, facts)
    if doing == "mount layers from a list" and facts.linux < LINUX_LAYER_LIST:
        return "Linux 6.8 is the first that can; only jobs of more than some 50 layers need it"
    if number == errno.ENOSYS:
        return "a system call filter hides calls of this kernel" + _in_container(facts)
    if doing.startswith(("mount an overlay", "mount 1 layers")):
        return (
            "the kernel has no overlay file system for ordinary users (Linux 5.11), or the store "
            "lies on a file system that cannot be a layer, as another overlay; "
            "put the store on a plain disk"
        )
    if number == errno.ENOSPC:
        return "a limit on namespaces is reached: raise the sysctls user.max_*_namespaces"
    if number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN):
        return "the host is short of memory, processes or open files"
    return ""


def _user_namespace(number: int, facts: Facts) -> str:
    if number == errno.ENOSPC or facts.user_namespaces_max == 0:
        return (
            f"the sysctl user.max_user_namespaces is {facts.user_namespaces_max}; as root: "
            "sysctl -w user.max_user_namespaces=15000, and a file in /etc/sysctl.d to keep it"
        )
    if number in (errno.EINVAL, errno.ENOSYS):
        return "the kernel was built without user namespaces (CONFIG_USER_NS)"
    if facts.unprivileged_user_namespaces == 0:
        return (
            "the sysctl kernel.unprivileged_userns_clone is 0; as root: "
            "sysctl -w kernel.unprivileged_userns_clone=1, and a file in /etc/sysctl.d to keep it"
        )
    if facts.is_chrooted:
        return "the kernel forbids it within a chroot: start outside of it"
    return _forbidden("make a user namespace", facts)


def _forbidden(doing: str, facts: Facts) -> str:
    if facts.apparmor_restricts == 1 and not facts.container:
        return (
            "AppArmor restricts them (kernel.apparmor_restrict_unprivileged_userns=1); "
            "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, and a file in "
            f"/etc/sysctl.d to keep it, or give `{facts.program}` an AppArmor profile with "
            "`userns,`"
        )
    if doing == "mount proc":
        return "parts of the host's /proc are covered, so the kernel lets nobody mount another" + (
            f": start the container with {facts.container} run "
            "--security-opt systempaths=unconfined"
            if facts.container in ("docker", "podman")
            else "; in a systemd unit switch off ProtectKernelTunables=, ProtectKernelLogs= and "
            "ProcSubset=, or mount a second proc somewhere (a mount unit with Type=proc)"
        )
    if facts.container:
        return "the container we are in forbids it" + _in_container(facts)
    if facts.has_filter:
        return (
            "a system call filter forbids it; in a systemd unit: RestrictNamespaces=no, "
            "ProtectHostname=no, and a SystemCallFilter= that has @mount"
        )
    return "a security module of the host forbids it; `dmesg` may tell which"


def _in_container(facts: Facts) -> str:
    if facts.container not in ("docker", "podman"):
        return ": it must allow unshare, mount, pivot_root and setns"
    return (
        f": start it with {facts.container} run --security-opt seccomp=unconfined "
        "--security-opt apparmor=unconfined --security-opt systempaths=unconfined"
    )


def sentence(doing: str, number: int) -> str:
    """Return a failure as a message."""
    return f"cannot {doing}" + (f": {os.strerror(number)}" if number else "")
