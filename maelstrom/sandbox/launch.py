"""Start a zygote and speak to it and to its slots, from within asyncio."""

import asyncio
import marshal
import os
import pwd
import re
import resource
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from maelstrom.sandbox.channel import HEADER, RETIRED, Message, decode, encode
from maelstrom.sandbox.removal import remove_tree
from maelstrom.sandbox.steps import LINUX_TMPFS_UPPER, SlotKind

START_S_MAX = 30.0
END_S_MAX = 10.0
READ_BYTES = 65536
NOBODY = 65534

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


def isolated_python(module: str) -> tuple[str, ...]:
    """Return the command that runs a module of this package with nothing but what it imports."""
    program = (
        f"import sys; sys.path.insert(0, {_PACKAGE_ROOT!r});"
        f"from maelstrom.sandbox.{module} import main; main()"
    )
    return (sys.executable, "-I", "-S", "-X", "utf8", "-c", program)


class ServiceUser(NamedTuple):
    """Whom the sandbox runs as when it is started by root."""

    user: int
    group: int


class Unavailable(Exception):
    """A slot could not be made; `doing` completes "cannot ..."."""

    def __init__(self, doing: str, number: int) -> None:
        super().__init__(doing, number)
        self.doing = doing
        self.number = number


class SlotConnection(asyncio.BufferedProtocol):
    """The worker's end of one slot: at most one message is awaited at a time."""

    def __init__(self, number: int, kind: SlotKind) -> None:
        self.number = number
        self.kind = kind
        self.root = b""
        """What its last job's root was made of."""
        self.is_open = True
        self._transport: asyncio.WriteTransport | None = None
        self._room = memoryview(bytearray(READ_BYTES))
        self._buffer = bytearray()
        self._messages: list[Message] = []
        self._waiting: asyncio.Future[Message | None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def get_buffer(self, _size_hint: int) -> memoryview:
        """Lend what is received into: a new buffer for each message would be mapped each time."""
        return self._room

    def buffer_updated(self, count: int) -> None:
        """Collect bytes until a message is whole."""
        self._buffer += self._room[:count]
        while len(self._buffer) >= HEADER.size:
            (length,) = HEADER.unpack_from(self._buffer)
            end = HEADER.size + length
            if len(self._buffer) < end:
                break
            message = decode(self._buffer[HEADER.size : end])
            del self._buffer[:end]
            self._messages.append(message)
            if message == RETIRED:
                self.is_open = False
        self._deliver()
        if not self.is_open:
            # It waits for this.
            self.close()

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell who waits that nothing will come."""
        self.is_open = False
        self._deliver()

    def receive(self) -> "asyncio.Future[Message | None]":
        """Return the next message, or None when the slot is gone."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._deliver()
        return self._waiting

    def give_up(self) -> None:
        """Have who waits stop waiting."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def send(self, message: Message) -> None:
        """Send a message; to a slot that is gone it is lost."""
        if self._transport is not None and self.is_open:
            self._transport.write(encode(message))

    def close(self) -> None:
        """Let the slot end."""
        if self._transport is not None:
            self._transport.abort()

    def _deliver(self) -> None:
        if self._waiting is None or self._waiting.done():
            return
        if self._messages:
            self._waiting.set_result(self._messages.pop(0))
        elif not self.is_open:
            self._waiting.set_result(None)


class Zygote:
    """The process that makes slots."""

    def __init__(
        self, layers_root: str, service_user: ServiceUser | None, linux: tuple[int, int]
    ) -> None:
        self._layers_root = layers_root
        self._service_user = service_user or ServiceUser(-1, -1)
        self._linux = linux
        self._uppers = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    @property
    def pid(self) -> int:
        """The zygote's PID, or 0."""
        return self._process.pid if self._process else 0

    @property
    def is_alive(self) -> bool:
        """Whether it can make slots."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start it; raises Unavailable."""
        _allow_many_files()
        if self._linux < LINUX_TMPFS_UPPER:
            self._uppers = make_uppers(self._layers_root, self._service_user)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._connection = ours
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220  # Spawning is quick, and once.
                [
                    *isolated_python("zygote"),
                    str(theirs.fileno()),
                    self._layers_root,
                    *map(str, self._service_user),
                    ".".join(map(str, self._linux)),
                    self._uppers,
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        loop = asyncio.get_running_loop()
        try:
            content = await asyncio.wait_for(loop.sock_recv(ours, 4096), START_S_MAX)
        except (TimeoutError, ConnectionError):
            content = b""
        if not content:
            raise Unavailable("start the zygote, whose errors are above", 0)
        word, *rest = marshal.loads(content)
        if word != "ready":
            raise Unavailable(str(rest[0]), int(rest[1]))

    async def make_slot(self, number: int, kind: SlotKind) -> SlotConnection:
        """Have a slot made; its first message tells whether it is ready. Raises Unavailable."""
        assert self._connection is not None
        ours, theirs = socket.socketpair()
        slot = SlotConnection(number, kind)
        with theirs:
            try:
                request = marshal.dumps(("make", number, *kind))
                socket.send_fds(self._connection, [request], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise Unavailable("reach the zygote", error.errno or 0) from error
        ours.setblocking(False)
        await asyncio.get_running_loop().create_connection(lambda: slot, sock=ours)
        return slot

    def kill_slot(self, number: int) -> None:
        """End a slot whatever it does; one that has ended is no matter."""
        if self._connection is not None:
            try:
                self._connection.send(marshal.dumps(("kill", number)))
            except OSError:
                return  # The zygote is gone, and all slots with it.

    async def close(self) -> None:
        """End it and all its slots, and wait until they are gone."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        process, self._process = self._process, None
        if process is None:
            return
        try:
            await asyncio.to_thread(process.wait, END_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
        if self._uppers:
            await asyncio.to_thread(remove_tree, self._uppers)
            self._uppers = ""


def _allow_many_files() -> None:
    """Have more room than any job has.

    Descriptors on their way through a socket count against the user. As many as a job may have
    there must not keep us from handing one to the zygote.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def linux_version() -> tuple[int, int]:
    """Return the running kernel's version."""
    major, minor = re.findall(r"\d+", os.uname().release)[:2]
    return int(major), int(minor)


def make_uppers(layers_root: str, user: ServiceUser) -> str:
    """Make a directory on the disk of the layers, or elsewhere if the user could not reach it."""
    place = os.path.dirname(layers_root)
    if user.user >= 0 and not all(
        path.stat().st_mode & stat.S_IXOTH for path in (Path(place), *Path(place).parents)
    ):
        place = "/var/tmp"
    directory = tempfile.mkdtemp(prefix=".maelstrom-", dir=place)
    if user.user >= 0:
        os.chown(directory, user.user, user.group)
    return directory


def service_user() -> ServiceUser | None:
    """Return whom to run as: nobody else, unless root runs us.

    Root's slots belong to `MAELSTROM_USER`, or the user `maelstrom`, or `nobody`. The root of a
    user namespace that has no such user is not the host's, and stays who he is.
    """
    if os.geteuid() != 0:
        return None
    chosen = ServiceUser(NOBODY, NOBODY)
    for name in (os.environ.get("MAELSTROM_USER"), "maelstrom", "nobody"):
        try:
            entry = pwd.getpwnam(name or "")
        except KeyError:
            continue
        chosen = ServiceUser(entry.pw_uid, entry.pw_gid)
        break
    is_known = _is_mapped("uid_map", chosen.user) and _is_mapped("gid_map", chosen.group)
    return chosen if is_known else None


def _is_mapped(name: str, number: int) -> bool:
    for line in Path("/proc/self", name).read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= number < first + count:
            return True
    return False
