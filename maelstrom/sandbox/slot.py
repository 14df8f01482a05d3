"""One slot: process 1 of its own namespaces, running one job after the other.

Rules of this file:
1. A plan's steps are carried out in order; the first that fails is reported with its number.
2. After a job nothing of it is left: no process, no socket, no IPC object, no file, no changed
   limit. What cannot be proven clean is replaced: the root, the network namespace, or the slot.
3. The reply is sent first, and what only the next job needs is done after it.
"""

import os
import resource
import traceback
from typing import NamedTuple

from maelstrom.linux import namespace, network, process
from maelstrom.sandbox import steps
from maelstrom.sandbox.channel import RETIRED, Channel
from maelstrom.sandbox.diagnosis import NotFound
from maelstrom.sandbox.disposal import Disposal
from maelstrom.sandbox.job import Process, StartError, Surprise, Watcher, WorkerGone, spawn
from maelstrom.sandbox.overlay import Identity, Overlays, identify
from maelstrom.sandbox.removal import remove_tree
from maelstrom.sandbox.root import Root, RootBuilder
from maelstrom.sandbox.stage import StageError, StageFiles, give_up_powers, make_home

JOBS_MAX = 10_000

_LIMITS = tuple(
    getattr(resource, name) for name in sorted(vars(resource)) if name.startswith("RLIMIT_")
)


class Bearing(NamedTuple):
    """What another process of the same user could change in the slot, and jobs would inherit."""

    limits: tuple[tuple[int, int], ...]
    niceness: int
    scheduler: int
    processors: tuple[int, ...]
    io_priority: int

    @classmethod
    def now(cls) -> "Bearing":
        """Return that of this process."""
        return cls(
            tuple(resource.getrlimit(limit) for limit in _LIMITS),
            os.getpriority(os.PRIO_PROCESS, 0),
            os.sched_getscheduler(0),
            tuple(sorted(os.sched_getaffinity(0))),
            process.io_priority(),
        )


class Slot:
    """The state of a slot between jobs."""

    def __init__(
        self,
        kind: steps.SlotKind,
        host: steps.Host,
        files: StageFiles,
        channel: Channel,
        disposal: Disposal,
    ) -> None:
        self._files = files
        self._channel = channel
        self._disposal = disposal
        self._has_fine_times = host.linux >= steps.LINUX_FINE_TIMES
        self._null = os.open("/dev/null", os.O_RDWR)
        # Within a job's root a mount of the job's could lie over it.
        self._own_process = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY)
        self._home = os.open("ns/mnt", os.O_RDONLY, dir_fd=self._own_process)
        self._builder = RootBuilder(Overlays(host))
        self._root: Root | None = None
        self._has_own_network = not kind.has_host_network
        self._sockets = network.SocketCounts("/proc/self") if self._has_own_network else None
        self._is_loopback_up = False
        self._is_root_reusable = False
        self._bearing: Bearing | None = None

    def remember_bearing(self) -> None:
        """Take the present limits and priorities for the right ones."""
        self._bearing = Bearing.now()

    def run(self, message: tuple[object, ...]) -> None:
        """Run one job and reply."""
        before, root, start, watch, is_reusable = message[1:]
        plan = [steps.unpack(part) for part in (before, root, start)]  # type: ignore[arg-type]
        started = self._start(*plan)
        if isinstance(started, Process):
            ended = Watcher(started, steps.Watch(*watch), self._channel).run()  # type: ignore[misc]
            self._channel.send(("ended", *ended))
        else:
            self._channel.send(started)
        self._is_root_reusable = bool(is_reusable)

    def clean(self) -> bool:
        """Undo what the job has changed; returns whether the slot may go on."""
        if self._root is not None and not (self._is_root_reusable and self._root.is_untouched()):
            self._drop_root()
        if self._sockets is not None and not self._sockets.is_clean():
            self._sockets.close()
            namespace.unshare(namespace.NEW_NETWORK)
            self._is_loopback_up = False
            self._sockets = network.SocketCounts("/proc/self")
        return Bearing.now() == self._bearing

    def _start(
        self,
        before: tuple[steps.Step, ...],
        root: tuple[steps.Step, ...],
        start: tuple[steps.Step, ...],
    ) -> Process | tuple[object, ...]:
        """Carry out the steps; returns the process, or the message that tells of the failure."""
        identity: Identity
        try:
            identity = identify(_layers(root))
        except OSError:
            identity = ()  # The step that mounts them says which is missing.
        is_kept = (
            self._root is not None
            and self._root.made_of == root
            and self._root.identity == identity
        )
        if not is_kept:
            self._drop_root()
        plan = before + root + start
        done = len(before) + len(root)
        number = 0
        made = self._root or Root(root, identity)
        try:
            if is_kept:
                namespace.enter(made.namespace, namespace.NEW_MOUNT)
            for number, step in enumerate(plan):
                if is_kept and len(before) <= number < done:
                    continue
                if number == done and not is_kept:
                    made.seal(self._own_process, has_fine_times=self._has_fine_times)
                started = self._do(made, step)
            assert isinstance(started, Process)
        except StartError as error:
            return "failed", number, error.number, *error.words
        except NotFound as error:
            return "failed", number, 0, *error.words
        except OSError as error:
            return "failed", number, error.errno or 0, _describe(error), ""
        finally:
            self._root = made
            # Back home; this also leaves the job's root and working directory.
            namespace.enter(self._home, namespace.NEW_MOUNT)
            if made.namespace < 0:
                self._drop_root()
        return started

    def _do(self, root: Root, step: steps.Step) -> Process | None:
        match step:
            case steps.Spawn():
                return spawn(step, self._files, self._null)
            case steps.EnterDirectory(path=path):
                os.chdir(path)
            case steps.UnshareIpc():
                namespace.unshare(namespace.NEW_IPC)
            case steps.SwitchLoopback(is_up=is_up):
                if is_up != self._is_loopback_up:
                    network.set_loopback(is_up=is_up)
                    self._is_loopback_up = is_up
            case _:
                self._builder.do(root, step)
        return None

    def _drop_root(self) -> None:
        if self._root is None:
            return
        root, self._root = self._root, None
        self._disposal.dispose(root.take_descriptors())
        if root.upper is not None and root.upper.path_on_disk:
            remove_tree(root.upper.path_on_disk)


def _layers(root: tuple[steps.Step, ...]) -> tuple[str, ...]:
    return next(step.layers for step in root if isinstance(step, steps.MountRoot))


def _describe(error: OSError) -> str:
    words = error.strerror or str(error)
    is_path = isinstance(error.filename, str) and "/" in error.filename
    return f"{words}: `{error.filename}`" if is_path else words


def serve(kind: steps.SlotKind, host: steps.Host, channel: Channel, disposal: Disposal) -> None:
    """Make the slot, tell that it is ready, and run jobs until the worker goes or it is worn."""
    try:
        files = make_home(kind, host)
        slot = Slot(kind, host, files, channel, disposal)
        give_up_powers(kind)
        slot.remember_bearing()
    except StageError as error:
        channel.send(("unavailable", error.doing, error.error.errno))
        return
    channel.send(("ready",))
    for _ in range(JOBS_MAX):
        message = channel.receive()
        while message is not None and message[0] != "run":
            # A job was to be killed that had just ended by itself.
            message = channel.receive()
        if message is None:
            return
        try:
            slot.run(message)
        except (WorkerGone, ConnectionError):
            return
        except Surprise as error:
            channel.send(("fault", str(error)))
            return
        except Exception:
            channel.send(("fault", traceback.format_exc(limit=8)))
            return
        try:
            if not slot.clean():
                break
        except OSError:
            break
    # Should a job be on its way already, its sender learns that it was never begun.
    channel.send(RETIRED)
