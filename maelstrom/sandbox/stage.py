"""Make a slot's home: new namespaces, and a small mount tree from which job roots are built.

The home has /layers, /dev, /proc and mount points, and nothing else of the host: the fewer mounts
it has, the cheaper is each job's copy of them. A failure is told as a sentence that completes
"cannot ...", for the self-test to explain.
"""

import contextlib
import errno
import os
import resource
import signal
import socket
import stat
from collections.abc import Callable, Mapping

from maelstrom.linux import mount, namespace, process, seccomp
from maelstrom.sandbox.channel import Channel
from maelstrom.sandbox.steps import HOST_NAME, Host, SlotKind

DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
DEVICE_DIRECTORIES = ("shm", "pts", "mqueue")
# What tells of the whole machine, and what a mistake in its permissions would open to jobs.
PROC_HIDDEN = ("acpi", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list")
# All jobs of a slot see the same files there: `pressure` is open to all, to write and so to touch.
PROC_READ_ONLY = ("bus", "fs", "irq", "pressure", "sys", "sysrq-trigger")

# Of what jobs may write to. Who only looks must leave no trace for the next job.
WRITABLE = mount.ATTRIBUTE_NO_SETUID | mount.ATTRIBUTE_NO_DEVICES | mount.ATTRIBUTE_NO_ACCESS_TIMES
OLD_WRITABLE = mount.OLD_NO_SETUID | mount.OLD_NO_DEVICES | mount.OLD_NO_ACCESS_TIMES
# What the jobs of one slot may have at a time of each kind of namespace; all users of the host have
# some ten thousand between them.
NAMESPACES_MAX = 256
NAMESPACES = ("ipc", "mnt", "net", "pid", "time", "user", "uts")

STACKS_MAX = 4
# The slot itself needs some descriptors, however few its jobs may have.
SLOT_FILES_MIN = 64
# Whatever the worker was started with: these are off, and stacks are as they are everywhere.
LIFTED = (
    *(resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE),
    resource.RLIMIT_RSS,
)
STACK_BYTES = 8 << 20
# Too little for a file, as 0 is; and the one value at which the kernel does not start the host's
# collector either, which is root's.
NO_CORE_BYTES = 1
# The two processes of a slot count as its own.
SLOT_PROCESSES = 2


class StageError(Exception):
    """The host does not let us; `doing` completes "cannot ..."."""

    def __init__(self, doing: str, error: OSError) -> None:
        super().__init__(doing, error)
        self.doing = doing
        self.error = error


class StageFiles:
    """Descriptors that must be opened while the way to them is open."""

    def __init__(self) -> None:
        self.last_pid = -1
        self.oom_score = -1


def leave_host(kind: SlotKind, channel: Channel | None = None) -> None:
    """Enter new namespaces, as the process whose next child is the slot.

    The worker at the other end of the channel is asked for the identities that a user may have
    beside his own.
    """
    if kind.is_grouped and channel is not None:
        channel.send(("group", os.getpid()))
        channel.receive()
    user, group = os.geteuid(), os.getegid()
    kinds = namespace.NEW_PID | namespace.NEW_MOUNT | namespace.NEW_IPC | namespace.NEW_UTS
    _do("make a user namespace", namespace.unshare, namespace.NEW_USER)
    if kind.has_identities and channel is not None:
        _ask_for_identities(channel)
    else:
        try:
            namespace.map_identity(kind.user, kind.group, user, group)
        except OSError as error:
            doing = f"map an identity into the user namespace ({error.filename})"
            raise StageError(doing, error) from error
    _do("make mount, PID, IPC and UTS namespaces", namespace.unshare, kinds)
    if not kind.has_host_network:
        _do("make a network namespace", namespace.unshare, namespace.NEW_NETWORK)
    if kind.uptime_s >= 0:
        _do("make a time namespace", namespace.unshare, namespace.NEW_TIME)
        _do("set the clocks", namespace.set_uptime, kind.uptime_s)
    # It only hides the name of our own control group.
    with contextlib.suppress(OSError):
        namespace.unshare(namespace.NEW_CGROUP)


def _ask_for_identities(channel: Channel) -> None:
    channel.send(("map", os.getpid()))
    answer = channel.receive()
    if answer != ("mapped", 0, ""):
        number, words = answer[1:] if answer else (0, "the worker is gone")
        doing = f"map identities into the user namespace ({words})"
        raise StageError(doing, OSError(number, words))
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def make_home(kind: SlotKind, host: Host) -> StageFiles:
    """Build the home tree and give up the host's; the working directory is that of the layers."""
    layers = _do("copy the mount of the layers", mount.clone_tree, ".")
    _do("make the layers read-only", _make_read_only, layers)
    devices = _copy_devices()
    fuse = _copy_fuse() if kind.sees_fuse else -1
    tree = _do("copy the host's mounts", _copy_host) if kind.sees_host_files else -1
    uppers = _do("copy the writes' mount", mount.clone_tree, host.uppers) if host.uppers else -1
    proc = _do("mount proc", new_proc)
    home = _do("mount a tmpfs", new_tmpfs, 1 << 20, 0o755)
    _do("attach a mount", _enter_new, home)
    _do("make mount points", _make_mount_points)
    _do("attach the layers", mount.attach, layers, "layers")
    _do("attach proc", mount.attach, proc, "proc")
    if fuse >= 0:
        os.close(os.open("fuse", os.O_CREAT | os.O_WRONLY, 0o644))
        _do("attach /dev/fuse", mount.attach, fuse, "fuse")
    if tree >= 0:
        _do("attach the host's mounts", mount.attach, tree, "host")
    if host.uppers:
        _do("attach the writes", mount.attach, uppers, "uppers")
    _do("make the tree of devices", _make_devices, devices)
    _do("change the root", mount.pivot_root)
    files = StageFiles()
    files.oom_score = _do("open the badness", os.open, "/proc/self/oom_score_adj", os.O_WRONLY)
    # In a kernel without checkpoint and restore jobs have other PIDs than 2.
    with contextlib.suppress(OSError):
        files.last_pid = os.open("/proc/sys/kernel/ns_last_pid", os.O_WRONLY)
    _do("limit namespaces", _limit_namespaces)
    _do("mask parts of /proc", _mask_proc)
    return files


def give_up_powers(kind: SlotKind) -> None:
    """Set, once and for all jobs of this slot, what they inherit."""
    _do("set the host name", socket.sethostname, HOST_NAME)
    os.umask(0o022)
    _do("lock the security bits", process.forbid_root_privileges)
    _do("set limits", _set_limits, kind)
    _do("load the system call filter", seccomp.load)
    # Its files below /proc are not the jobs' to write, though it is of their user.
    _do("give up its files", _give_up_files)
    # As process 1 of its namespace the slot does not hear what has no handler here.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def new_tmpfs(size_bytes: int, mode: int) -> int:
    """Return a detached file system in memory."""
    file_system = mount.open_file_system(b"tmpfs")
    try:
        for key, value in _tmpfs_options(size_bytes, mode).items():
            mount.set_string(file_system, key, value)
        return mount.create(file_system, WRITABLE)
    finally:
        os.close(file_system)


def mount_tmpfs(target: str, size_bytes: int, mode: int) -> None:
    """Mount a file system in memory, by a single call."""
    options = _tmpfs_options(size_bytes, mode)
    words = b",".join(b"%s=%s" % option for option in options.items())
    mount.mount(b"tmpfs", os.fsencode(target), b"tmpfs", OLD_WRITABLE, words)


def _tmpfs_options(size_bytes: int, mode: int) -> dict[bytes, bytes]:
    return {
        b"size": b"%d" % size_bytes,
        # A file costs the kernel about a kilobyte that `size` does not count.
        b"nr_inodes": b"%d" % (1024 + size_bytes // 2048),
        b"mode": b"%o" % mode,
    }


def new_proc() -> int:
    file_system = mount.open_file_system(b"proc")
    try:
        return mount.create(
            file_system,
            mount.ATTRIBUTE_NO_SETUID | mount.ATTRIBUTE_NO_DEVICES | mount.ATTRIBUTE_NO_EXECUTE,
        )
    finally:
        os.close(file_system)


def _copy_host() -> int:
    tree = mount.clone_tree("/")
    # What the host mounts later would not be read-only where the rest is.
    mount.separate(tree)
    return tree


def _copy_devices() -> dict[str, int]:
    """Return copies of the host's devices, of those it has."""
    found = {}
    for name in DEVICES:
        # No program can do without `null`, nor can we.
        copy = mount.clone_tree if name == "null" else _copy
        with contextlib.suppress(_Missing):
            found[name] = _do(f"copy /dev/{name}", copy, f"/dev/{name}")
    return found


def _copy_fuse() -> int:
    """Return a copy of the host's device, or -1: the job that wants it is told so by its name."""
    with contextlib.suppress(_Missing):
        return _do("copy /dev/fuse", _copy, "/dev/fuse")
    return -1


def _copy_device(path: str, name: str) -> int:
    try:
        return mount.clone_tree(path)
    except FileNotFoundError as error:
        words = "the host has no such device"
        raise FileNotFoundError(error.errno, words, f"/dev/{name}") from error


class _Missing(Exception):
    """There is no such file."""


def _copy(path: str) -> int:
    try:
        return mount.clone_tree(path)
    except FileNotFoundError:
        raise _Missing from None


def _enter_new(home: int) -> None:
    directory = os.dup(home)
    mount.attach(home, ".")
    os.fchdir(directory)
    os.close(directory)


def _make_mount_points() -> None:
    for name in ("layers", "dev", "proc", "new", "up", "empty", "stacks", "host", "uppers"):
        os.mkdir(name)
    for number in range(STACKS_MAX):
        os.mkdir(f"stacks/{number}")


def _make_read_only(tree: int) -> None:
    mount.set_attributes(tree, mount.ATTRIBUTE_READ_ONLY, is_recursive=True)


def _make_devices(devices: dict[str, int]) -> None:
    mount.attach(new_tmpfs(1 << 16, 0o755), "dev")
    fill_devices("dev", devices, DEVICE_DIRECTORIES)


def fill_devices(
    place: str, devices: Mapping[str, int | str], directories: tuple[str, ...]
) -> None:
    """Make an empty file system a /dev of these trees, or copies of what is there, by name."""
    for name, source in devices.items():
        os.close(os.open(f"{place}/{name}", os.O_CREAT | os.O_WRONLY, 0o644))
        tree = _copy_device(source, name) if isinstance(source, str) else source
        mount.attach(tree, f"{place}/{name}")
    for name, target in DEVICE_LINKS:
        os.symlink(target, f"{place}/{name}")
    for name in directories:
        os.mkdir(f"{place}/{name}")
    # All jobs of the slot share it, and it belongs to their user. The nodes are the host's own: who
    # may write to one may change its times, and does not write to the file system it lies in.
    _make_place_read_only(place)


def _mask_proc() -> None:
    for name in PROC_READ_ONLY:
        with contextlib.suppress(_Missing):
            tree = _copy(f"/proc/{name}")
            _make_read_only(tree)
            mount.attach(tree, f"/proc/{name}")
    for name in PROC_HIDDEN:
        with contextlib.suppress(FileNotFoundError):
            is_directory = stat.S_ISDIR(os.stat(f"/proc/{name}").st_mode)
            tree = mount.clone_tree("/empty" if is_directory else "/dev/null")
            _make_read_only(tree)
            mount.attach(tree, f"/proc/{name}")


def _limit_namespaces() -> None:
    """Keep a job from using up what all users of the host share, and from our control group."""
    limits = dict.fromkeys(NAMESPACES, NAMESPACES_MAX)
    if _has_control_group():
        # In a control group namespace of its own a job could mount the tree of them.
        limits["cgroup"] = 0
    for name, most in limits.items():
        try:
            descriptor = os.open(f"/proc/sys/user/max_{name}_namespaces", os.O_WRONLY)
        except FileNotFoundError:
            continue  # A kernel without such namespaces.
        try:
            os.write(descriptor, b"%d" % most)
        finally:
            os.close(descriptor)


def _has_control_group() -> bool:
    """Whether our user may write to the control group we are in, or we cannot tell."""
    try:
        file_system = mount.open_file_system(b"cgroup2")
    except OSError as error:
        return error.errno not in (errno.ENODEV, errno.EPERM)
    try:
        tree = mount.create(file_system)
    except OSError as error:
        return error.errno not in (errno.EPERM, errno.EBUSY)
    finally:
        os.close(file_system)
    try:
        return os.access(".", os.W_OK, dir_fd=tree)
    finally:
        os.close(tree)


def _make_place_read_only(path: str) -> None:
    descriptor = os.open(path, os.O_PATH)
    try:
        _make_read_only(descriptor)
    finally:
        os.close(descriptor)


def _set_limits(kind: SlotKind) -> None:
    for limit in LIFTED:
        _set_soft(limit, resource.RLIM_INFINITY)
    _set_soft(resource.RLIMIT_STACK, STACK_BYTES)
    process.lower_limit(resource.RLIMIT_CORE, NO_CORE_BYTES)
    # One more is for a template, while it is started.
    process.lower_limit(resource.RLIMIT_NPROC, kind.processes_max + SLOT_PROCESSES + 1)
    _set_soft(resource.RLIMIT_NPROC, kind.processes_max + SLOT_PROCESSES)
    process.lower_limit(resource.RLIMIT_NOFILE, max(kind.open_files_max, SLOT_FILES_MIN))


def _give_up_files() -> None:
    process.set_dumpable(is_dumpable=False)


def _set_soft(limit: int, value: int) -> None:
    """Set what a process is held to; what it may go up to remains."""
    hard = resource.getrlimit(limit)[1]
    if hard != resource.RLIM_INFINITY:
        value = hard if value == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, hard))


def _do(doing: str, function: Callable[..., object], *arguments: object) -> int:
    try:
        result = function(*arguments)
    except OSError as error:
        raise StageError(doing, error) from error
    return result if isinstance(result, int) else 0
