"""Give a slot's user namespace the identities that its user may have beside his own.

An administrator grants them in /etc/subuid and /etc/subgid; two small programs of root's put them
into a namespace: `newuidmap` and `newgidmap`.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

IDENTITIES = 65536
TOOL_S_MAX = 10.0


class NoIdentities(Exception):
    """There are none to give; the words say why."""


def map_identities(pid: int, user: int, group: int) -> None:
    """Map 0 to the user himself, and 1 to 65535 to his subordinates; raises NoIdentities."""
    for tool, own, path in (
        ("newuidmap", user, "/etc/subuid"),
        ("newgidmap", group, "/etc/subgid"),
    ):
        program = shutil.which(tool)
        if program is None:
            raise NoIdentities(f"`{tool}` is not installed; it comes with the package uidmap")
        first = _first_subordinate(Path(path), user)
        extents = [0, own, 1, 1, first, IDENTITIES - 1]
        found = subprocess.run(
            [program, str(pid), *map(str, extents)],
            user=user if os.geteuid() == 0 else None,
            group=group if os.geteuid() == 0 else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TOOL_S_MAX,
            check=False,
            text=True,
        )
        if found.returncode:
            raise NoIdentities(found.stderr.strip() or f"`{tool}` failed")


def _first_subordinate(path: Path, user: int) -> int:
    names = [str(user)]
    with contextlib.suppress(KeyError):
        names.append(pwd.getpwuid(user).pw_name)
    try:
        lines = path.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if name in names and first.isdigit() and count.isdigit() and int(count) >= IDENTITIES - 1:
            return int(first)
    raise NoIdentities(f"{path} grants `{names[-1]}` no {IDENTITIES - 1} identities or more")
