"""What the host forbids, what it says, and the remedy that is named: a table in words."""

import errno

import pytest

from maelstrom.sandbox.remedies import Facts, remedy, sentence

USER = "make a user namespace"
MAP = "map an identity into the user namespace (uid_map)"
REST = "make mount, PID, IPC and UTS namespaces"
PROC = "mount proc"

CASES: dict[str, tuple[str, int, Facts, str]] = {
    "user.max_user_namespaces is 0": (
        USER,
        errno.ENOSPC,
        Facts(user_namespaces_max=0),
        "sysctl -w user.max_user_namespaces=15000",
    ),
    "the limit is hidden in an outer namespace": (
        USER,
        errno.ENOSPC,
        Facts(user_namespaces_max=10000),
        "sysctl -w user.max_user_namespaces=15000",
    ),
    "Debian's old switch": (
        USER,
        errno.EPERM,
        Facts(unprivileged_user_namespaces=0),
        "sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    "a kernel without user namespaces": (USER, errno.EINVAL, Facts(), "CONFIG_USER_NS"),
    "a chroot": (USER, errno.EPERM, Facts(is_chrooted=True), "within a chroot"),
    "Ubuntu lets the first call pass and forbids the map": (
        MAP,
        errno.EPERM,
        Facts(apparmor_restricts=1, program="/opt/py"),
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "Ubuntu lets the map pass and forbids the rest": (
        REST,
        errno.EPERM,
        Facts(apparmor_restricts=1, program="/opt/py"),
        "give `/opt/py` an AppArmor profile with `userns,`",
    ),
    "Docker's filter": (
        USER,
        errno.EPERM,
        Facts(container="docker", has_filter=True),
        "docker run --security-opt seccomp=unconfined",
    ),
    "Docker on Ubuntu": (
        REST,
        errno.EPERM,
        Facts(container="docker", has_filter=True, apparmor_restricts=1),
        "--security-opt apparmor=unconfined",
    ),
    "Debian 12 has no list of layers": (
        "mount layers from a list",
        errno.ENOSYS,
        Facts(linux=(6, 1)),
        "Linux 6.8 is the first that can",
    ),
    "Docker's covered /proc": (
        PROC,
        errno.EPERM,
        Facts(container="docker"),
        "docker run --security-opt systempaths=unconfined",
    ),
    "systemd's covered /proc": (PROC, errno.EPERM, Facts(), "ProtectKernelTunables="),
    "systemd's filter": (USER, errno.EPERM, Facts(has_filter=True), "RestrictNamespaces=no"),
    "some other security module": (USER, errno.EACCES, Facts(), "dmesg"),
    "an old kernel": (
        "mount a tmpfs",
        errno.ENOSYS,
        Facts(linux=(4, 19)),
        "this kernel is 4.19; Linux 5.12 is the oldest that can: boot a newer one",
    ),
    "a filter that hides new calls": (
        "mount a tmpfs",
        errno.ENOSYS,
        Facts(container="podman"),
        "podman run",
    ),
    "a store on an overlay": ("mount an overlay", errno.EINVAL, Facts(), "on a plain disk"),
    "a closed store": ("start in `/x`", errno.EACCES, Facts(), "allowed to enter"),
    "short of memory": (REST, errno.ENOMEM, Facts(), "short of memory"),
    "too many namespaces": (REST, errno.ENOSPC, Facts(), "user.max_*_namespaces"),
    "something unheard of": (REST, errno.EDOM, Facts(), ""),
}


@pytest.mark.parametrize("name", CASES)
def test_the_remedy_is_named(name: str) -> None:
    doing, number, facts, wanted = CASES[name]
    found = remedy(doing, number, facts)
    assert wanted in found
    assert bool(found) == bool(wanted)


def test_a_failure_is_a_sentence() -> None:
    assert sentence("mount proc", errno.EPERM) == "cannot mount proc: Operation not permitted"
    assert sentence("make a slot that lives", 0) == "cannot make a slot that lives"
