"""Start the broker and the worker of a stand-alone client, and find out why one of them ended."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec

from maelstrom.errors import InfrastructureError, MaelstromError, SandboxUnavailable
from maelstrom.model.amounts import Amounts

STDERR_BYTES_MAX = 1 << 16
REASON_S = 0.2
REASONS_AWAITED_MAX = 50
REASONS_MORE_AWAITED_MAX = 4
"""How long, and how often, we wait for the end of a child that explains why a connection ended: on
a busy host it takes long to die."""

# What they need of ours, whatever the path of this process is. Never its working directory: a
# project may have a file called `random.py`.
_SEARCHED = os.pathsep.join(
    dict.fromkeys(
        [str(Path(__file__).resolve().parents[2]), str(Path(msgspec.__file__).resolve().parents[1])]
    )
)


class Child:
    """A program of ours; its end of each connection is a file descriptor it inherits."""

    def __init__(self, name: str, arguments: list[str], sockets: list[socket.socket]) -> None:
        self.name = name
        # A file, since a pipe would have to be read all the time.
        self._stderr = os.memfd_create(f"maelstrom-{name}")
        descriptors = ",".join(str(sock.fileno()) for sock in sockets)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-S", "-m", f"maelstrom.cli.{name}", "--connection-fd",
             descriptors, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            pass_fds=[sock.fileno() for sock in sockets],
            env={**os.environ, "PYTHONPATH": _SEARCHED, "PYTHONUTF8": "1"},
            cwd="/",
            # Ctrl-C is for the client, which ends its children when it has told its jobs.
            start_new_session=True,
        )  # fmt: skip
        for sock in sockets:
            sock.close()
        self.pidfd = os.pidfd_open(self.process.pid)

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, for whatever reason."""
        return self.process.poll() is not None

    @property
    def has_failed(self) -> bool:
        """Whether it ended, and not because it was to."""
        return self.process.poll() not in (None, 0)

    @property
    def was_killed(self) -> bool:
        """Whether it was ended from outside, or found the host unfit: a reason, not a result."""
        status = self.process.poll()
        return status is not None and (status < 0 or status == SandboxUnavailable.exit_status)

    def failure(self) -> MaelstromError:
        """Say why it ended."""
        status = self.process.poll() or 0
        if status < 0:
            name = signal.Signals(-status).name
            return InfrastructureError(f"the {self.name} was killed by {name}")
        size = os.fstat(self._stderr).st_size
        told = os.pread(self._stderr, STDERR_BYTES_MAX, max(0, size - STDERR_BYTES_MAX))
        text = told.decode(errors="replace").strip()
        message, _, hint = text.partition("\nhint: ")
        start = f"maelstrom-{self.name}: "
        if message.startswith(start):
            kind = (
                SandboxUnavailable
                if status == SandboxUnavailable.exit_status
                else InfrastructureError
            )
            return kind(message.removeprefix(start), hint=hint)
        return InfrastructureError(f"the {self.name} ended with status {status}: {text}")

    def end(self, timeout_s: float) -> None:
        """Wait for its end, and hurry it if need be."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.pidfd)
        os.close(self._stderr)


def start_children(
    store_root: Path, store_bytes_max: int, slots: int, resources: Amounts
) -> tuple[list[Child], socket.socket, socket.socket]:
    """Start both; return them, and our connections for messages and for contents."""
    ours, brokers = socket.socketpair()
    our_blobs, brokers_blobs = socket.socketpair()
    workers, brokers_worker = socket.socketpair()
    for sock in (ours, our_blobs):
        sock.setblocking(False)
    store = [str(store_root.absolute()), str(store_bytes_max)]
    children = []
    try:
        # The worker first: it takes longer to start.
        children.append(Child("worker", [*store, str(slots), json.dumps(resources)], [workers]))
        children.append(Child("broker", store, [brokers, brokers_blobs, brokers_worker]))
    except OSError as error:
        for sock in (ours, our_blobs, brokers, brokers_blobs, workers, brokers_worker):
            sock.close()
        for child in children:
            child.end(1.0)
        raise InfrastructureError(f"cannot start a broker and a worker: {error}") from error
    return children, ours, our_blobs


async def reason_of(children: list[Child], reason: MaelstromError) -> MaelstromError:
    """Return the best reason there is for the end of a connection to one of them.

    One child's end may be another one's doing.
    """
    blamed = [child for child in children if child.was_killed]
    waits_left = REASONS_AWAITED_MAX
    while not blamed and waits_left:
        await asyncio.sleep(REASON_S)
        blamed = [child for child in children if child.was_killed]
        blamed += [child for child in children if child.has_failed]
        waits_left -= 1
        if any(child.has_ended for child in children):
            # One that ended well, as it was told to, or since the other one is about to die.
            waits_left = min(waits_left, REASONS_MORE_AWAITED_MAX)
    return blamed[0].failure() if blamed else reason
