"""Give a slot's user namespace the identities that its user may have beside his own.

An administrator grants them in /etc/subuid and /etc/subgid. Putting them into a namespace needs
rights: those of two small programs of root's, `newuidmap` and `newgidmap`, or of a grantor that
listens where the environment says (see sandbox.grantor).
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

IDENTITIES = 65536
TOOL_S_MAX = 10.0
ASK_S_MAX = 10.0
GRANTOR_VARIABLE = "MAELSTROM_IDENTITIES"
_ANSWER_BYTES_MAX = 4096
_BOUND = (
    " (this program can gain no rights: `NoNewPrivileges=` is set, or `no_new_privs`; a worker of"
    " `cluster_up` is given identities by `identities = true` in its inventory)"
)


class NoIdentities(Exception):
    """There are none to give; the words say why."""


def map_identities(pid: int, user: int, group: int) -> None:
    """Map 0 to the user himself, and 1 to 65535 to his subordinates; raises NoIdentities."""
    grantor = os.environ.get(GRANTOR_VARIABLE)
    if grantor:
        _ask(grantor, pid)
        return
    for tool, own, path in (
        ("newuidmap", user, "/etc/subuid"),
        ("newgidmap", group, "/etc/subgid"),
    ):
        program = shutil.which(tool)
        if program is None:
            raise NoIdentities(f"`{tool}` is not installed; it comes with the package uidmap")
        numbers = [number for extent in extents(Path(path), user, own=own) for number in extent]
        found = subprocess.run(
            [program, str(pid), *map(str, numbers)],
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
            words = found.stderr.strip() or f"`{tool}` failed"
            raise NoIdentities(f"{words}{_BOUND if _is_bound() else ''}")


def _is_bound() -> bool:
    """Whether we, and so a tool that we start, can gain no rights any more."""
    with contextlib.suppress(OSError):
        return "\nNoNewPrivs:\t1\n" in Path("/proc/self/status").read_text()
    return False


def _ask(grantor: str, pid: int) -> None:
    """Let the grantor do it."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ASK_S_MAX)
            connection.connect(grantor)
            connection.sendall(f"{pid}\n".encode())
            answer = connection.makefile("rb").read(_ANSWER_BYTES_MAX)
    except OSError as error:
        raise NoIdentities(
            f"cannot ask {grantor} for identities: {error.strerror or error}"
        ) from error
    if answer != b"\n":
        raise NoIdentities(answer.decode(errors="replace").strip() or f"{grantor} says nothing")


def extents(path: Path, user: int, *, own: int) -> list[tuple[int, int, int]]:
    """Return what a map is made of: inside, outside, how many; raises NoIdentities."""
    return [(0, own, 1), (1, _first_subordinate(path, user), IDENTITIES - 1)]


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
