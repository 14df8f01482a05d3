"""One slot: process 1 of its own namespaces, running one job after the other.

Rules of this file:
1. A plan's steps are carried out in order; the first that fails is reported with its number.
2. After a job nothing of it is left: no process, no socket, no IPC object, no file, no changed
   limit. What cannot be proven clean is replaced: the root, the network namespace, or the slot.
3. The reply is sent first, and what only the next job needs is done after it.
"""

import contextlib
import os
import select
import traceback

from maelstrom.linux import mount, namespace, network
from maelstrom.linux.ipc import IpcObjects
from maelstrom.sandbox import steps
from maelstrom.sandbox.bearing import Bearing
from maelstrom.sandbox.channel import RETIRED, Channel
from maelstrom.sandbox.diagnosis import NotFound
from maelstrom.sandbox.disposal import Disposal
from maelstrom.sandbox.foreseen import Foreseen
from maelstrom.sandbox.forked import Waiting, spawn_forked
from maelstrom.sandbox.from_template import FromTemplate
from maelstrom.sandbox.harvest import Harvest, Refused
from maelstrom.sandbox.job import (
    Pipes,
    Process,
    StartError,
    StatusLost,
    Surprise,
    Watcher,
    WorkerGone,
    spawn,
)
from maelstrom.sandbox.room import Room
from maelstrom.sandbox.root import Root
from maelstrom.sandbox.stage import StageError, StageFiles, give_up_powers, make_home
from maelstrom.sandbox.supply import RootSupply
from maelstrom.sandbox.template import TEMPLATE_SOCKETS
from maelstrom.sandbox.terminal import TerminalWatcher

JOBS_MAX = 10_000
# A template holds the memory of a loaded interpreter.
TEMPLATE_IDLE_S_MAX = 30.0


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
        # A program is looked for while these are open: nothing may lie above them. Nor does a mount
        # of a job's lie over them.
        self._devices = mount.clone_tree("/dev")
        self._processes = mount.clone_tree("/proc")
        own_process = os.open("self", os.O_PATH | os.O_DIRECTORY, dir_fd=self._processes)
        self._home = os.open("ns/mnt", os.O_RDONLY, dir_fd=own_process)
        self._roots = RootSupply(host, disposal, own_process=own_process, home=self._home)
        self._from_template = FromTemplate(
            self._roots, files, devices=self._devices, channel=channel.fileno()
        )
        self._foreseen = Foreseen(self._roots, files)
        self._waiting: Waiting | None = None
        """The process that was made for the present job."""
        self._root: Root | None = None
        """That of the present job."""
        self._has_own_network = not kind.has_host_network
        self._sockets = network.SocketCounts("/proc/self") if self._has_own_network else None
        self._is_loopback_up = False
        self._is_root_reusable = False
        self._is_last_job = kind.is_one_shot
        self._objects = IpcObjects("/proc")
        self._terminal = -1
        self._pipes: Pipes | None = None
        self._bearing: Bearing | None = None

    def remember_bearing(self) -> None:
        """Take the present priorities for the right ones."""
        self._bearing = Bearing.of_slot()

    def rest(self) -> None:
        """Before a job: keep no template for nothing."""
        if self._from_template.template is None:
            return
        if not select.select([self._channel], [], [], TEMPLATE_IDLE_S_MAX)[0]:
            self._from_template.drop()

    def foresee(self, message: tuple[object, ...]) -> None:
        """Make ready for a job that is likely to come."""
        before, root, standing = message[1:]
        # Where it fails, the job does it itself, and tells of it.
        with contextlib.suppress(OSError):
            self._pipes = Pipes.open()
            for step in steps.unpack(before):  # type: ignore[arg-type]  # As the worker sends it.
                self._prepare(step)
            self._foreseen.make(before, root, steps.Standing(*standing))  # type: ignore[arg-type, misc]

    def run(self, message: tuple[object, ...], *, may_fork: bool = True) -> None:
        """Run one job and reply."""
        before, root, start, watch, is_reusable = message[1:]
        self._is_root_reusable = bool(is_reusable)
        looks_after = steps.Watch(*watch)  # type: ignore[misc]  # As the worker sends it.
        started: Process | tuple[object, ...] | None = None
        last = steps.unpack(start)  # type: ignore[arg-type]
        if may_fork:
            started = self._fork(before, root, last, looks_after)  # type: ignore[arg-type]
        if started is None:
            started = self._start(before, root, last)  # type: ignore[arg-type]
        if not isinstance(started, Process):
            self._channel.send(started)
            return
        pipes, self._pipes = self._pipes, None
        assert pipes is not None
        if self._terminal >= 0:
            self._run_on_terminal(started, pipes, looks_after)
            return
        watcher = Watcher(started, pipes, looks_after, self._channel, self._objects)
        watcher.room = self._room()
        self._foresee(root)  # type: ignore[arg-type]
        try:
            ended = watcher.run()
        except StatusLost:
            # It has killed what it is a fork of: let it try that on its own.
            self._replace_ipc()
            self._roots.drop(self._root)
            os.close(started.descriptor)
            pipes.close()
            self.run(message, may_fork=False)
            return
        spoiled = ""
        if (looks_after.outputs or looks_after.is_captured) and ended.why != "killed":
            spoiled = self._harvest(looks_after)
        self._channel.send(("spoiled", spoiled) if spoiled else ("ended", *ended))
        os.close(started.descriptor)
        pipes.close()

    def _run_on_terminal(self, started: Process, pipes: Pipes, watch: steps.Watch) -> None:
        watcher = TerminalWatcher(
            started, self._terminal, pipes, watch, self._channel, self._objects
        )
        watcher.room = self._room()
        self._channel.send(("ended", *watcher.run()))

    def _room(self) -> Room | None:
        """Return what the present job may write to on disk."""
        upper = self._root.upper if self._root is not None else None
        return Room(upper.root, upper.bytes_max) if upper and upper.path_on_disk else None

    def _harvest(self, watch: steps.Watch) -> str:
        """Send back what the job has made; returns what was wrong with it."""
        assert self._root is not None
        assert self._root.upper is not None
        harvest = Harvest(self._channel, watch)
        try:
            if watch.is_captured:
                harvest.send_changes(self._root.upper.root, self._root.made)
            if watch.outputs:
                self._roots.enter(self._root)
                try:
                    harvest.send_outputs(watch.outputs)
                finally:
                    self._roots.leave()
        except Refused as error:
            return str(error)
        return ""

    def clean(self) -> bool:
        """Undo what the job has changed; returns whether the slot may go on."""
        if self._root is not None:
            self._roots.give_back(self._root, is_reusable=self._is_root_reusable)
            self._root = None
        self._from_template.clean()
        # A root that is used once may have shown the queues.
        if not (self._is_root_reusable and self._objects.is_untouched()):
            self._replace_ipc()
        own = TEMPLATE_SOCKETS if self._from_template.template is not None else 0
        is_silent = not self._is_loopback_up
        if self._sockets is not None and not self._sockets.is_clean(own, is_silent=is_silent):
            # A template would keep the old one.
            self._from_template.drop()
            self._replace_network()
        return Bearing.of_slot() == self._bearing

    def close(self) -> None:
        """Remove what it has on disk; nobody outside may be allowed to, where others own it."""
        with contextlib.suppress(OSError, Surprise):
            self._foreseen.end()
            self._from_template.drop()
            self._roots.drop(self._root)
            self._roots.close()

    def _start(
        self, before: bytes, made_of: bytes, start: tuple[steps.Step, ...]
    ) -> Process | tuple[object, ...]:
        """Carry out the steps; returns the process, or the message that tells of the failure."""
        root = self._roots.take(made_of)
        self._waiting = self._foreseen.take(before, root, start[-1])
        number = 0
        try:
            for step in steps.unpack(before):
                self._prepare(step)
                number += 1
            if root is not None:
                self._roots.enter(root)
                number += len(root.steps)
            else:
                root = self._roots.begin(made_of)
                for step in root.steps:
                    self._roots.do(root, step)
                    number += 1
                # This belongs to the last of them.
                number -= 1
                self._roots.seal(root)
                number += 1
            for step in start:
                started = self._launch(step, root)
                number += 1
            assert started is not None
        except StartError as error:
            return "refused", error.number, *error.words
        except NotFound as error:
            return "refused", 0, *error.words
        except OSError as error:
            return "failed", number, error.errno or 0, _describe(error), ""
        finally:
            self._roots.leave()
            if root is not None and root.namespace < 0:
                self._roots.drop(root)
                root = None
            self._root = root
        return started

    def _fork(
        self,
        before: bytes,
        made_of: bytes,
        start: tuple[steps.Step, ...],
        watch: steps.Watch,
    ) -> Process | None:
        """Start the job as a fork of a template, if it is made for it and that goes."""
        directory, program = start
        assert isinstance(directory, steps.EnterDirectory)
        leaves_root = self._is_root_reusable and not watch.outputs and not watch.is_captured
        if not isinstance(program, steps.Spawn) or not leaves_root:
            self._from_template.drop()
            return None
        if not self._from_template.choose(before, program, directory.path):
            return None
        self._pipes = self._pipes or Pipes.open()
        ends = (self._pipes.stdout_end, self._pipes.stderr_end)
        try:
            for step in steps.unpack(before):
                self._prepare(step)
            root = self._roots.take(made_of) or self._roots.make(made_of)
        except OSError:
            return None
        started = self._from_template.start(program, root, ends, self._objects)
        if started is None:
            self._roots.drop(root)
            # It may have begun, and left something, before it took its template along.
            self._replace_ipc()
            self._pipes.close()
            self._pipes = None
        else:
            self._root = root
        return started

    def _foresee(self, made_of: bytes) -> None:
        """Do for the next job what can be done while this one runs."""
        if self._is_last_job:
            return
        # Where it fails, the next job's step tells of it.
        with contextlib.suppress(OSError):
            self._pipes = Pipes.open()
        if self._is_root_reusable:
            self._roots.foresee(made_of)

    def _prepare(self, step: steps.Step) -> None:
        match step:
            case steps.SwitchLoopback(is_up=is_up):
                self._switch_loopback(is_up=is_up)
            case _:
                raise AssertionError(step)

    def _switch_loopback(self, *, is_up: bool) -> None:
        if is_up and not self._is_loopback_up:
            network.set_loopback(is_up=True)
            self._is_loopback_up = True
        elif self._is_loopback_up and not is_up:
            # One that was on once is not as one that never was: who connects waits for ever.
            self._replace_network()

    def _replace_network(self) -> None:
        assert self._sockets is not None
        namespace.unshare(namespace.NEW_NETWORK)
        self._is_loopback_up = False
        before = self._sockets
        try:
            self._sockets = network.SocketCounts("/proc/self")
        except OSError as error:
            # Whatever a job leaves in it would not be seen.
            raise Surprise(f"cannot look at a new network: {error.strerror}") from error
        before.close()

    def _replace_ipc(self) -> None:
        # A template would keep the old one.
        self._from_template.drop()
        self._objects.remove()
        namespace.unshare(namespace.NEW_IPC)
        before = self._objects
        try:
            self._objects = IpcObjects("/proc")
        except OSError as error:
            raise Surprise(f"cannot look at new IPC objects: {error.strerror}") from error
        before.close()

    def _launch(self, step: steps.Step, root: Root) -> Process | None:
        match step:
            case steps.EnterDirectory(path=path):
                os.chdir(path)
                return None
            case steps.Spawn():
                self._pipes = self._pipes or Pipes.open()
                known = self._roots.programs(root)
                return spawn(step, self._files, self._devices, self._pipes, known)
            case steps.SpawnForked():
                self._pipes = self._pipes or Pipes.open()
                ends = (self._pipes.stdout_end, self._pipes.stderr_end)
                started, self._terminal = spawn_forked(
                    step, self._files, self._devices, ends, self._waiting
                )
                return started
            case _:
                raise AssertionError(step)


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
    except OSError as error:
        channel.send(("unavailable", "look at a new slot", error.errno))
        return
    channel.send(("ready",))
    try:
        _run_jobs(slot, kind, channel)
    finally:
        slot.close()


def _run_jobs(slot: Slot, kind: steps.SlotKind, channel: Channel) -> None:
    """Run jobs until the worker goes or the slot is worn."""
    for _ in range(1 if kind.is_one_shot else JOBS_MAX):
        try:
            slot.rest()
            message = _next_job(slot, channel)
        except (OSError, Surprise):
            break
        if message is None:
            return
        if not _run(slot, channel, message):
            return
        try:
            # Nobody comes after the only job.
            if kind.is_one_shot or not slot.clean():
                break
        except (OSError, Surprise):
            break
    # Should a job be on its way already, its sender learns that it was never begun.
    channel.send(RETIRED)
    # Whoever writes to a connection that is closed may never read what was said last.
    while channel.receive() is not None:
        continue


def _next_job(slot: Slot, channel: Channel) -> tuple[object, ...] | None:
    """Wait for a job; None when there will be none."""
    message = channel.receive()
    while message is not None and message[0] != "run":
        # Else a job was to be killed that had just ended by itself.
        if message[0] == "foresee":
            slot.foresee(message)
        message = channel.receive()
    return message


def _run(slot: Slot, channel: Channel, message: tuple[object, ...]) -> bool:
    """Run one job; tell whether the slot is worth cleaning up."""
    try:
        slot.run(message)
    except (WorkerGone, ConnectionError):
        return False
    except Surprise as error:
        channel.send(("fault", str(error)))
        return False
    except OSError as error:
        channel.send(("fault", f"cannot look after a job: {_describe(error)}"))
        return False
    except Exception:
        channel.send(("fault", traceback.format_exc(limit=8)))
        return False
    return True
