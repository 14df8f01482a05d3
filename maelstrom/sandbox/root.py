"""Carry out the steps that make a root, and find out whether a job has left it as it was."""

import errno
import os
import stat
from collections.abc import Callable

from maelstrom.linux import mount, namespace
from maelstrom.sandbox import steps
from maelstrom.sandbox.overlay import Overlays, Upper
from maelstrom.sandbox.stage import new_tmpfs

# More than this many directories of ours in an upper tree, and looking at them costs more than a
# new root.
FINGERPRINT_ENTRIES_MAX = 64

Fingerprint = tuple[tuple[object, ...], ...]


class Root:
    """A mount namespace with a job's root in it, and what the job could write to."""

    def __init__(self, made_of: tuple[steps.Step, ...]) -> None:
        self.made_of = made_of
        self.namespace = -1
        self.writable: list[int] = []
        self.taken: list[int] = []
        self.upper: Upper | None = None
        self._fingerprints: list[Fingerprint | None] = []

    def seal(self, own_process: int) -> None:
        """Remember the finished root as it is now; takes the slot's own directory below /proc."""
        self.namespace = os.open("ns/mnt", os.O_RDONLY, dir_fd=own_process)
        self._fingerprints = [_fingerprint(directory) for directory in self._watched()]

    def is_untouched(self) -> bool:
        """Whether nothing was written since."""
        for directory, before in zip(self._watched(), self._fingerprints, strict=True):
            if before is None or _fingerprint(directory) != before:
                return False
        return True

    def _watched(self) -> list[int]:
        return [*self.writable, *([self.upper.directory] if self.upper else [])]

    def close(self) -> None:
        """Let go of it; the kernel frees it all."""
        for descriptor in (*self.writable, *self.taken, self.namespace):
            if descriptor >= 0:
                os.close(descriptor)
        self.writable, self.taken, self.namespace = [], [], -1
        if self.upper is not None:
            self.upper.close()
            self.upper = None


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
        root.writable.append(os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=tree))

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


def _fingerprint(directory: int) -> Fingerprint | None:
    """Describe a tree that has nothing but a few directories; None for any other."""
    found: list[tuple[object, ...]] = []
    pending = [""]
    while pending:
        path = pending.pop()
        descriptor = directory
        if path:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            descriptor = os.open(path, flags, dir_fd=directory)
        try:
            status = os.fstat(descriptor)
            attributes = tuple(
                (name, os.getxattr(descriptor, name)) for name in sorted(os.listxattr(descriptor))
            )
            found.append((path, status.st_mode, status.st_mtime_ns, attributes))
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        return None
                    pending.append(f"{path}/{entry.name}" if path else entry.name)
        finally:
            if path:
                os.close(descriptor)
        if len(found) + len(pending) > FINGERPRINT_ENTRIES_MAX:
            return None
    return tuple(sorted(found, key=lambda entry: str(entry[0])))
