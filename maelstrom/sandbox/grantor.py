"""Give a worker's process the identities that its user may have; with rights, for one without.

`newuidmap` does the same with rights of its file, which a service that gives up new rights for ever
(`NoNewPrivileges=`) cannot have. So systemd starts this beside it, for each process that asks on a
socket of the worker's own, as the worker's user with CAP_SETUID and CAP_SETGID.

Rules of this file:
1. Only who asks decides nothing: whose process it is, and which identities he may have, is looked
   up here.
2. The process is held by its directory, so that another one with its number gets nothing.
"""

import os
import socket
import struct
import sys
from pathlib import Path

from maelstrom.sandbox.identities import ASK_S_MAX, NoIdentities, extents

_CREDENTIALS = struct.Struct("iII")
_REQUEST_BYTES_MAX = 16


def main() -> None:
    """Answer the one request on standard input: nothing if it is done, or what is wrong."""
    with socket.socket(fileno=0) as connection:
        connection.settimeout(ASK_S_MAX)
        answer(connection)


def answer(connection: socket.socket) -> None:
    """Answer a request on a connection."""
    try:
        words = _grant(connection)
    except (OSError, NoIdentities) as error:
        words = str(error)
    connection.sendall(f"{words}\n".encode())
    if words:
        sys.stderr.write(f"{words}\n")


def _grant(connection: socket.socket) -> str:
    size = _CREDENTIALS.size
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, user, group = _CREDENTIALS.unpack(told)
    request = connection.recv(_REQUEST_BYTES_MAX)
    if not request.strip().isdigit():
        return "this is not the number of a process"
    return grant(int(request), user, group)


def grant(
    pid: int, user: int, group: int, *, proc: Path = Path("/proc"), etc: Path = Path("/etc")
) -> str:
    """Map identities into the user namespace of a process; returns what is wrong, or nothing."""
    try:
        process = os.open(proc / str(pid), os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return f"there is no process {pid}"
    try:
        if os.fstat(process).st_uid != user:
            return f"process {pid} belongs to another user"
        for name, content in (
            ("uid_map", extents(etc / "subuid", user, own=user)),
            ("gid_map", extents(etc / "subgid", user, own=group)),
        ):
            _write(process, name, content)
    except OSError as error:
        return f"cannot map identities: {error.strerror}"
    finally:
        os.close(process)
    return ""


def _write(process: int, name: str, content: list[tuple[int, int, int]]) -> None:
    lines = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in content)
    descriptor = os.open(name, os.O_WRONLY, dir_fd=process)
    try:
        os.write(descriptor, lines.encode())
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main()
