"""Find out what this host lets us do, and name the setting and the remedy where it does not.

Nothing is concluded from settings alone: everything is tried, in a process of its own. The
settings are only read to explain what failed.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from maelstrom.errors import SandboxUnavailable
from maelstrom.sandbox.groups import lacks_groups
from maelstrom.sandbox.identities import NoIdentities, map_identities
from maelstrom.sandbox.launch import (
    ServiceUser,
    isolated_python,
    linux_version,
    make_uppers,
    service_user,
)
from maelstrom.sandbox.remedies import Facts, remedy, sentence
from maelstrom.sandbox.removal import remove_tree
from maelstrom.sandbox.steps import LINUX_TMPFS_UPPER

PROBE_S_MAX = 30.0

# What each thing the probe tries is good for; those not named here are needed by every job.
OPTIONAL = {
    "sys": "jobs that mount /sys",
    "terminals": "jobs that mount pseudo-terminals",
    "message queues": "jobs that mount message queues",
    "layer list": "jobs of more than some 50 layers",
}
TITLES = {
    "namespaces": "namespaces and identities of our own",
    "home": "mounts of our own, with /dev and /proc",
    "sys": "/sys",
    "terminals": "pseudo-terminals",
    "message queues": "message queues",
    "loopback": "a loopback device",
    "ipc": "IPC namespaces of our own",
    "overlay": "layers as a root (overlay)",
    "layer list": "roots of any number of layers",
    "powers": "a host name, limits and a system call filter",
}


IDENTITIES = "several users and groups in a container"
GROUPS = "control groups, for exact limits of memory and processor time"
_IDENTITIES_REMEDY = (
    "install the package uidmap, and grant a range: `usermod --add-subuids 100000-165535 "
    "--add-subgids 100000-165535 USER`; only jobs that ask for identities need it"
)
_GROUPS_REMEDY = (
    "run the worker with `Delegate=yes` in its unit, or under `systemd-run --user --scope "
    "-p Delegate=yes`; without, memory is measured every 20 ms, and processor time is not limited"
)


class Finding(NamedTuple):
    """One thing that was tried."""

    what: str
    is_ok: bool
    is_needed: bool
    message: str = ""
    remedy: str = ""


def check() -> list[Finding]:
    """Try all that slots do; the first that every job needs and that fails is the last."""
    facts = read_facts()
    findings = []
    try:
        lines = _probe(service_user())
    except OSError as error:
        return [_explain_no_probe(error)]
    for name, number, doing in lines:
        is_ok = number == 0
        findings.append(
            Finding(
                what=TITLES.get(name, name),
                is_ok=is_ok,
                is_needed=name not in OPTIONAL,
                message="" if is_ok else sentence(doing, number),
                remedy="" if is_ok else remedy(doing, number, facts) or _use(name),
            )
        )
    if findings and all(finding.is_ok or not finding.is_needed for finding in findings):
        findings += _check_grants()
    if not findings:
        findings.append(
            Finding(
                "Python of its own", False, True, "cannot run the probe", "see its errors above"
            )
        )
    return findings


def _check_grants() -> list[Finding]:
    """Look at what an administrator may grant us beyond what every user has."""
    identities, groups = lacks_identities(), lacks_groups(os.environ)
    return [
        Finding(IDENTITIES, not identities, False, identities, identities and _IDENTITIES_REMEDY),
        Finding(GROUPS, not groups, False, groups, groups and _GROUPS_REMEDY),
    ]


def lacks_identities() -> str:
    """Try to have more identities than our own; returns what is wrong, or nothing."""
    user = service_user()
    own = user or ServiceUser(os.geteuid(), os.getegid())
    command = [*isolated_python("probe"), "identities", *map(str, user or ServiceUser(-1, -1))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        if not child.stdout.readline():
            return "cannot make a user namespace"
        try:
            map_identities(child.pid, *own)
        except NoIdentities as error:
            return str(error)
    return ""


def explain_unavailable(doing: str, number: int) -> SandboxUnavailable:
    """Return what to raise when a slot cannot be made."""
    return SandboxUnavailable(
        f"this host does not allow rootless containers: {sentence(doing, number)}",
        hint=remedy(doing, number, read_facts())
        or "`python -m maelstrom.sandbox --check` tries all that is needed, and says more",
    )


def read_facts() -> Facts:
    """Read what the host says about itself."""
    status = _read("/proc/self/status")
    return Facts(
        linux=linux_version(),
        user_namespaces_max=_number("/proc/sys/user/max_user_namespaces"),
        unprivileged_user_namespaces=_number("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restricts=_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        has_filter=re.search(r"^Seccomp:\t[^0]", status, re.MULTILINE) is not None,
        is_chrooted=_is_chrooted(),
        container=_container(),
        program=os.path.realpath(sys.executable),
    )


def _explain_no_probe(error: OSError) -> Finding:
    """Say why there is nothing to find out."""
    if error.filename == os.devnull:
        message, remedy = "there is no /dev/null", "as root: mknod -m 666 /dev/null c 1 3"
    else:
        message = f"cannot start the probe: {error.strerror}"
        remedy = "TMPDIR must name a directory that can be written to"
    return Finding("a process to try it in", False, True, message, remedy)


def _use(name: str) -> str:
    return f"only {OPTIONAL[name]} need it" if name in OPTIONAL else ""


def _probe(user: ServiceUser | None) -> list[tuple[str, int, str]]:
    """Run the probe and return its lines."""
    user = user or ServiceUser(-1, -1)
    with tempfile.TemporaryDirectory(prefix="maelstrom-check-") as directory:
        Path(directory, "layer").mkdir()
        if user.user >= 0:
            os.chown(directory, user.user, user.group)
        linux = linux_version()
        uppers = make_uppers(directory, user) if linux < LINUX_TMPFS_UPPER else ""
        try:
            found = subprocess.run(
                [
                    *isolated_python("probe"),
                    directory,
                    *map(str, user),
                    ".".join(map(str, linux)),
                    uppers,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=PROBE_S_MAX,
                check=False,
                text=True,
            )
        finally:
            if uppers:
                remove_tree(uppers)
    lines = [line.split("\t") for line in found.stdout.splitlines()]
    return [(name, int(number), doing) for name, number, doing in lines]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _number(path: str) -> int | None:
    content = _read(path).strip()
    return int(content) if content.isdigit() else None


def _container() -> str:
    """Return what container we are in, as far as it shows."""
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    return _read("/run/systemd/container").strip()


def _is_chrooted() -> bool:
    """Whether our root is no mount point: a guess that is right for the usual chroot."""
    mounts = _read("/proc/self/mountinfo").splitlines()
    return bool(mounts) and all(line.split()[4] != "/" for line in mounts)
