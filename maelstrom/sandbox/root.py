"""Carry out the steps that make a root, and find out whether a job has left it as it was."""

import errno
import os
import stat
from collections.abc import Callable

from maelstrom.linux import mount, namespace
from maelstrom.sandbox import steps
from maelstrom.sandbox.overlay import Identity, Overlays, Upper
from maelstrom.sandbox.stage import new_tmpfs
from maelstrom.sandbox.trace import Trace

class Root:
    """A mount namespace with a job's root in it, and what the job could write to."""

    def __init__(self, made_of: tuple[steps.Step, ...], identity: Identity) -> None:
        self.made_of = made_of
        self.identity = identity
        self.namespace = -1
        self.taken: list[int] = []
        self.upper: Upper | None = None
        self.scratch: list[int] = []
        self._traces: list[Trace] = []
        self._scratch_traces: list[Trace] = []

    def seal(self, own_process: int, *, has_fine_times: bool) -> None:
        """Remember the finished root as it is now; takes the slot's own directory below /proc."""
        self.namespace = os.open("ns/mnt", os.O_RDONLY, dir_fd=own_process)
        assert self.upper is not None
        scratch = (self.upper.tmp, self.upper.shm, *self.scratch)
        self._traces = [Trace(self.upper.root, has_fine_times=has_fine_times)]
        self._scratch_traces = [Trace(one, has_fine_times=has_fine_times) for one in scratch]

    def is_untouched(self) -> bool:
        """Whether nothing is left of what was written since."""
        return all(trace.is_same() for trace in self._traces) and all(
            trace.is_same() or trace.is_emptied() for trace in self._scratch_traces
        )

    def take_descriptors(self) -> list[int]:
        """Hand over all that keeps it alive: the kernel frees it when they are closed."""
        upper = self.upper[:3] if self.upper else ()
        descriptors = [*upper, *self.scratch, *self.taken]
        if self.namespace >= 0:
            descriptors.append(self.namespace)
        self.scratch, self.taken, self.namespace, self._traces = [], [], -1, []
        return descriptors


class RootBuilder:
    """Knows how to do each step of a root."""

    def __init__(self, overlays: Overlays) -> None:
        self._overlays = overlays
        self._run: dict[type, Callable[[Root, steps.Step], None]] = {
            steps.MountStack: self._mount_stack,
            steps.UnshareMounts: lambda *_: namespace.unshare(namespace.NEW_MOUNT),
            steps.MountRoot: self._mount_root,
            steps.TakeDevices: lambda root, _: root.taken.append(mount.clone_tree("/dev")),
            steps.TakeProcesses: lambda root, _: root.taken.append(mount.clone_tree("/proc")),
            steps.TakeBind: self._take_bind,
            steps.TakeSys: lambda root, _: self._take_new(root, b"sysfs"),
            steps.TakePseudoTerminals: lambda root, _: self._take_new(root, b"devpts"),
            steps.TakeMessageQueues: lambda root, _: self._take_new(root, b"mqueue"),
            steps.TakeTmp: self._take_tmp,
            steps.TakeScratch: self._take_scratch,
            steps.PivotRoot: self._pivot_root,
            steps.Attach: self._attach,
            steps.MakeDirectory: self._make_directory,
            steps.SealRoot: self._seal_root,
        }

    def do(self, root: Root, step: steps.Step) -> None:
        """Carry out one step; raises OSError."""
        self._run[type(step)](root, step)

    def _mount_stack(self, _root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.MountStack)
        self._overlays.mount_stack(step.layers)

    def _mount_root(self, root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.MountRoot)
        root.upper = self._overlays.mount_root(step.layers, step.size_bytes)

    def _take_bind(self, root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.TakeBind)
        tree = mount.clone_tree("/host" + step.host_path)
        root.taken.append(tree)
        if step.is_read_only:
            mount.set_attributes(tree, mount.ATTRIBUTE_READ_ONLY, is_recursive=True)

    def _take_new(self, root: Root, kind: bytes) -> None:
        attributes = mount.ATTRIBUTE_NO_SETUID | mount.ATTRIBUTE_NO_EXECUTE
        file_system = mount.open_file_system(kind)
        try:
            if kind == b"devpts":
                mount.set_flag(file_system, b"newinstance")
                mount.set_string(file_system, b"ptmxmode", b"0666")
                mount.set_string(file_system, b"mode", b"0620")
            else:
                attributes |= mount.ATTRIBUTE_NO_DEVICES
            if kind == b"sysfs":
                attributes |= mount.ATTRIBUTE_READ_ONLY
            root.taken.append(mount.create(file_system, attributes))
        finally:
            os.close(file_system)

    def _take_tmp(self, root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.TakeTmp)
        tree = new_tmpfs(step.size_bytes, 0o1777)
        root.taken.append(tree)
        root.scratch.append(os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=tree))

    def _take_scratch(self, root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.TakeScratch)
        root.taken.append(mount.clone_tree(f"/up/{step.name}"))

    def _pivot_root(self, _root: Root, _step: steps.Step) -> None:
        os.chdir("/new")
        mount.pivot_root()

    def _attach(self, root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.Attach)
        tree = root.taken.pop(0)
        try:
            make_mount_point(step.mount_point, is_directory=stat.S_ISDIR(os.fstat(tree).st_mode))
        except OSError:
            os.close(tree)
            raise
        mount.attach(tree, step.mount_point)

    def _make_directory(self, _root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.MakeDirectory)
        os.makedirs(step.path, 0o755, exist_ok=True)

    def _seal_root(self, _root: Root, _step: steps.Step) -> None:
        descriptor = os.open("/", os.O_PATH | os.O_DIRECTORY)
        try:
            mount.set_attributes(descriptor, mount.ATTRIBUTE_READ_ONLY, is_recursive=False)
        finally:
            os.close(descriptor)


def make_mount_point(path: str, *, is_directory: bool) -> None:
    """Make it if it is missing; raises OSError if it is of the other kind."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if is_directory:
            os.makedirs(path, 0o755)
        else:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644))
        return
    if stat.S_ISDIR(mode) and not is_directory:
        raise IsADirectoryError(errno.EISDIR, "a file cannot be mounted over a directory", path)
    if is_directory and not stat.S_ISDIR(mode):
        words = "a directory cannot be mounted over a file"
        raise NotADirectoryError(errno.ENOTDIR, words, path)
