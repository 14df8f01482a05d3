"""Carry out the steps that make a root, and find out whether a job has left it as it was."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator

from maelstrom.linux import mount, namespace
from maelstrom.sandbox import steps
from maelstrom.sandbox.overlay import Identity, Overlays, Upper
from maelstrom.sandbox.stage import DEVICE_DIRECTORIES, fill_devices, new_tmpfs
from maelstrom.sandbox.trace import Trace


class Root:
    """A mount namespace with a job's root in it, and what the job could write to."""

    def __init__(self, made_of: bytes, all_steps: tuple[steps.Step, ...]) -> None:
        """Take the steps that will make it, packed and plain."""
        self.made_of = made_of
        self.steps = all_steps
        self.layers = next(step.layers for step in all_steps if isinstance(step, steps.MountRoot))
        self.binds = [step.host_path for step in all_steps if isinstance(step, steps.MountBind)]
        self.identity: Identity = ()
        """That of its layers and binds."""
        self.namespace = -1
        self.upper: Upper | None = None
        self.directory = -1
        """The root directory, while it is being made."""
        self.made: list[str] = []
        """Mount points and directories that were missing, with those above them."""
        self.scratch: list[int] = []
        self._traces: list[Trace] = []
        self._scratch_traces: list[Trace] = []

    def seal(self, own_process: int, *, has_fine_times: bool) -> None:
        """Remember the finished root as it is now; takes the slot's own directory below /proc."""
        self.namespace = os.open("ns/mnt", os.O_RDONLY, dir_fd=own_process)
        assert self.upper is not None
        is_empty = not self.made
        self._traces = [Trace(self.upper.root, is_empty=is_empty, has_fine_times=has_fine_times)]
        self._scratch_traces = [
            Trace(directory, is_empty=True, has_fine_times=has_fine_times)
            for directory in (self.upper.tmp, self.upper.shm, *self.scratch)
        ]

    def renew(self) -> bool:
        """Make it as it was before the job, which must have ended; tell whether that went."""
        return all(trace.is_same() for trace in self._traces) and all(
            trace.is_same() or trace.clear() for trace in self._scratch_traces
        )

    def take_descriptors(self) -> list[int]:
        """Hand over all that keeps it alive: the kernel frees it when they are closed."""
        upper = self.upper[:3] if self.upper else ()
        descriptors = [*upper, *self.scratch, self.directory, self.namespace]
        self.scratch, self.directory, self.namespace, self._traces = [], -1, -1, []
        return [descriptor for descriptor in descriptors if descriptor >= 0]


class RootBuilder:
    """Knows how to do each step of a root."""

    def __init__(self, overlays: Overlays) -> None:
        self._overlays = overlays
        self._run: dict[type, Callable[[Root, steps.Step], None]] = {
            steps.MountStack: self._mount_stack,
            steps.UnshareMounts: self._unshare,
            steps.MountRoot: self._mount_root,
            steps.MountDevices: self._move,
            steps.MakeDevices: self._make_devices,
            steps.MountProcesses: self._move,
            steps.MountScratch: self._mount_scratch,
            steps.MountBind: self._mount_bind,
            steps.MountSys: self._mount_new,
            steps.MountPseudoTerminals: self._mount_new,
            steps.MountMessageQueues: self._mount_new,
            steps.MountTmp: self._mount_tmp,
            steps.MakeDirectory: self._make_directory,
            steps.SealRoot: self._seal_root,
            steps.PivotRoot: self._pivot_root,
        }

    def do(self, root: Root, step: steps.Step) -> None:
        """Carry out one step; raises OSError."""
        self._run[type(step)](root, step)

    def _mount_stack(self, _root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.MountStack)
        self._overlays.mount_stack(step.layers)

    def _unshare(self, _root: Root, _step: steps.Step) -> None:
        namespace.unshare(namespace.NEW_MOUNT)

    def _mount_root(self, root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.MountRoot)
        root.upper = self._overlays.mount_root(step.layers, step.size_bytes)
        root.directory = os.open("/new", os.O_PATH | os.O_DIRECTORY)

    def _move(self, root: Root, step: steps.Step) -> None:
        # The slot's own one stays where it is: this is the copy that came with the namespace.
        assert isinstance(step, steps.MountDevices | steps.MountProcesses)
        target = _find(root, step.mount_point, is_directory=True)
        try:
            mount.move(step.mount_point, target)
        finally:
            os.close(target)

    def _make_devices(self, root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.MakeDevices)
        target = _find(root, "/dev", is_directory=True)
        try:
            mount.attach(new_tmpfs(1 << 16, 0o755), target)
        finally:
            os.close(target)
        directories = tuple(
            name for name in DEVICE_DIRECTORIES if name != "shm" or "shm" in step.names
        )
        place = _find(root, "/dev", is_directory=True)
        try:
            sources = {name: "/fuse" if name == "fuse" else f"/dev/{name}" for name in step.names}
            sources.pop("shm", None)
            fill_devices(f"/proc/self/fd/{place}", sources, directories)
        finally:
            os.close(place)

    def _mount_scratch(self, root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.MountScratch)
        tree = mount.clone_tree(f"/up/{step.name}")
        _attach(root, tree, step.mount_point, is_directory=True)

    def _mount_bind(self, root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.MountBind)
        tree = _clone_of_host(step.host_path)
        with _closed_on_error(tree):
            is_directory = stat.S_ISDIR(os.fstat(tree).st_mode)
            if step.is_read_only:
                mount.set_attributes(tree, mount.ATTRIBUTE_READ_ONLY, is_recursive=True)
        _attach(root, tree, step.mount_point, is_directory=is_directory)

    def _mount_new(self, root: Root, step: steps.Step) -> None:
        match step:
            case steps.MountSys(mount_point=mount_point):
                tree = _new_file_system(b"sysfs", is_read_only=True)
            case steps.MountMessageQueues(mount_point=mount_point):
                tree = _new_file_system(b"mqueue", is_read_only=False)
            case steps.MountPseudoTerminals(mount_point=mount_point):
                tree = _new_pseudo_terminals()
            case _:
                raise AssertionError(step)
        _attach(root, tree, mount_point, is_directory=True)

    def _mount_tmp(self, root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.MountTmp)
        tree = new_tmpfs(step.size_bytes, 0o1777)
        with _closed_on_error(tree):
            root.scratch.append(os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=tree))
        _attach(root, tree, step.mount_point, is_directory=True)

    def _make_directory(self, root: Root, step: steps.Step) -> None:
        assert isinstance(step, steps.MakeDirectory)
        os.close(_find(root, step.path, is_directory=True))

    def _seal_root(self, root: Root, _step: steps.Step) -> None:
        mount.set_attributes(root.directory, mount.ATTRIBUTE_READ_ONLY, is_recursive=False)

    def _pivot_root(self, root: Root, _step: steps.Step) -> None:
        os.fchdir(root.directory)
        mount.pivot_root()
        os.close(root.directory)
        root.directory = -1


def _clone_of_host(path: str) -> int:
    """Return a copy of what the host has at a path, whose links lead to where they do there."""
    place = _open_of_host(path)
    try:
        return mount.clone_tree(place)
    finally:
        os.close(place)


def identify_of_host(path: str) -> tuple[str, int, int]:
    """Tell what the host has at a path from what it may put there later; raises OSError."""
    place = _open_of_host(path)
    try:
        status = os.fstat(place)
    finally:
        os.close(place)
    # As long as it is mounted in a root, nothing else has its number.
    return path, status.st_dev, status.st_ino


def _open_of_host(path: str) -> int:
    host = os.open("/host", os.O_PATH | os.O_DIRECTORY)
    try:
        return mount.open_in_root(host, path)
    finally:
        os.close(host)


@contextlib.contextmanager
def _closed_on_error(descriptor: int) -> Iterator[None]:
    try:
        yield
    except OSError:
        os.close(descriptor)
        raise


def _attach(root: Root, tree: int, path: str, *, is_directory: bool) -> None:
    """Mount a tree on a path in the new root."""
    with _closed_on_error(tree):
        target = _find(root, path, is_directory=is_directory)
    try:
        mount.attach(tree, target)
    finally:
        os.close(target)


def _find(root: Root, path: str, *, is_directory: bool) -> int:
    """Open a mount point in the new root; make it if it is missing.

    Raises OSError if it is of the other kind.
    """
    try:
        target = mount.open_in_root(root.directory, path, is_directory=is_directory)
    except FileNotFoundError:
        parts = path[1:].split("/")
        root.made += ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]
        return _make(root.directory, path, is_directory=is_directory)
    except OSError as error:
        is_file = error.errno == errno.ENOTDIR and _is_there(root, path)
        words = "a directory is wanted and it is a file" if is_file else error.strerror
        raise OSError(error.errno, words, path) from error
    with _closed_on_error(target):
        if not is_directory and stat.S_ISDIR(os.fstat(target).st_mode):
            words = "a file is wanted and it is a directory"
            raise IsADirectoryError(errno.EISDIR, words, path)
    return target


def _is_there(root: Root, path: str) -> bool:
    try:
        os.close(mount.open_in_root(root.directory, path))
    except OSError:
        return False
    return True


def _make(root: int, path: str, *, is_directory: bool) -> int:
    """Make what is missing of a path, from the top."""
    parts = path.strip("/").split("/")
    parent = os.dup(root)
    try:
        for number, name in enumerate(parts, 1):
            here = "/".join(parts[:number])
            try:
                found = mount.open_in_root(root, here)
            except FileNotFoundError:
                _make_one(parent, name, is_directory=is_directory or number < len(parts))
                found = mount.open_in_root(root, here)
            os.close(parent)
            parent = found
    except OSError as error:
        os.close(parent)
        raise OSError(error.errno, error.strerror, f"/{here}") from error
    return parent


def _make_one(parent: int, name: str, *, is_directory: bool) -> None:
    if is_directory:
        os.mkdir(name, 0o755, dir_fd=parent)
    else:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        os.close(os.open(name, flags, 0o644, dir_fd=parent))


def _new_file_system(kind: bytes, *, is_read_only: bool) -> int:
    attributes = mount.ATTRIBUTE_NO_SETUID | mount.ATTRIBUTE_NO_EXECUTE
    attributes |= mount.ATTRIBUTE_NO_DEVICES
    if is_read_only:
        attributes |= mount.ATTRIBUTE_READ_ONLY
    file_system = mount.open_file_system(kind)
    try:
        return mount.create(file_system, attributes)
    finally:
        os.close(file_system)


def _new_pseudo_terminals() -> int:
    file_system = mount.open_file_system(b"devpts")
    try:
        mount.set_flag(file_system, b"newinstance")
        mount.set_string(file_system, b"ptmxmode", b"0666")
        mount.set_string(file_system, b"mode", b"0620")
        return mount.create(file_system, mount.ATTRIBUTE_NO_SETUID | mount.ATTRIBUTE_NO_EXECUTE)
    finally:
        os.close(file_system)
