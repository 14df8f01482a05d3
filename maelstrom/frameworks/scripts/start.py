"""Start a script of cases: at once, or as a fork of a process that has loaded it already.

    python -c TEXT SCRIPT [ARGUMENT...]

Without arguments this is a template. It loads the script with all it imports, and then makes a
child for each request that comes through the socket whose descriptor is in `MAELSTROM_TEMPLATE`:
a JSON object of arguments, environment and working directory, with the child's three standard
descriptors. It first says that it is ready. The answer to a request is the child's PID. The next
message, whatever it says, asks how that child ended: by its wait status, CPU seconds of the user
and the system, and the kilobytes of its memory's peak.

Rules of this script:
1. What one child does, the next must not see: nothing is loaded here but what all of them load, and
   the template is closed to its children.
2. A child differs in nothing from a process that was started with these arguments.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import socket
import sys
from typing import Any

REQUEST_BYTES_MAX = 1 << 18
SET_DUMPABLE = 4


def load() -> dict[str, Any]:
    """Return what the script defines."""
    names: dict[str, Any] = {"__name__": "maelstrom_case"}
    # Nothing that is imported becomes garbage: looking for it costs a sixth of a small case's time.
    gc.disable()
    exec(compile(sys.argv.pop(1), "<maelstrom>", "exec"), names)  # It is ours.
    gc.freeze()
    gc.enable()
    return names


def serve(connection: socket.socket) -> None:
    """Make children; returns in each of them."""
    os.chdir("/")
    # A child may run as it likes, and is the same user.
    ctypes.CDLL(None).prctl(SET_DUMPABLE, 0, 0, 0, 0)
    # What ends a child with all it has started is not meant for us.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # What is in their buffers would come out of each child.
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(b"ready")
    while True:
        content, descriptors, _, _ = socket.recv_fds(connection, REQUEST_BYTES_MAX, 3)
        if not content:
            os._exit(0)
        child = os.fork()
        if child == 0:
            connection.close()
            become(json.loads(content), descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(b"%d" % child)
        # Until it is buried it can be found by its PID, so who asked says when.
        if not connection.recv(REQUEST_BYTES_MAX):
            os._exit(0)
        _, status, usage = os.wait4(child, 0)
        # Who asks to be traced by its parent is told of when it stops, too.
        while os.WIFSTOPPED(status):
            _, status, usage = os.wait4(child, 0)
        answer = f"{status} {usage.ru_utime} {usage.ru_stime} {usage.ru_maxrss}"
        connection.send(answer.encode())


def become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Be the process that was asked for."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(SET_DUMPABLE, 1, 0, 0, 0)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    # What was not there for the template may be for the job.
    sys.path_importer_cache.clear()
    sys.argv[1:] = request["arguments"]


def main() -> int:
    """Do what the arguments say."""
    names = load()
    if len(sys.argv) == 1:
        number = int(os.environ["MAELSTROM_TEMPLATE"])
        os.set_inheritable(number, False)
        names["prepare"]()
        serve(socket.socket(fileno=number))
    status: int = names["main"]()
    return status


if __name__ == "__main__":
    sys.exit(main())
