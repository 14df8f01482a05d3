"""Hosts on which one thing is taken away, made in user and mount namespaces of our own.

A program of its own, since a process with threads may not make them: its arguments are names of
hosts and of ways, in pairs, and it prints what each way said on its host.
"""

import array
import contextlib
import ctypes
import errno
import fcntl
import itertools
import json
import os
import resource
import select
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from maelstrom.linux import mount, namespace, process
from maelstrom.linux.calls import NUMBERS
from maelstrom.sandbox.__main__ import main as sandbox
from maelstrom.sandbox.stage import DEVICES

MNT = "/mnt"
_BIND, _READ_ONLY, _REMOUNT, _RECURSIVE = 0x1000, 0x1, 0x20, 0x4000
_ALLOW, _ERROR, _ASK = 0x7FFF0000, 0x00050000, 0x7FC00000
_IS_EQUAL, _IS_NOT_LESS = 0x15, 0x35
# The last call that Linux 5.12 has, the oldest that we work with.
_LAST_CALL = "mount_setattr"
_NEW_LISTENER = 8
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_REQUEST = struct.Struct("<QIIiIQ6Q")
_RESPONSE = struct.Struct("<QqiI")
_GO_ON = 1


def enter() -> None:
    """Be the owner of the mounts."""
    user, group = os.geteuid(), os.getegid()
    namespace.unshare(namespace.NEW_USER | namespace.NEW_MOUNT)
    namespace.map_identity(user, group, user, group)


def _mount_tmpfs(path: str, options: str = "") -> None:
    mount.mount(b"tmpfs", path.encode(), b"tmpfs", 0, options.encode())


def _make_read_only(path: str) -> None:
    place = path.encode()
    mount.mount(place, place, b"", _BIND | _RECURSIVE, b"")
    tree = os.open(path, os.O_PATH)
    mount.set_attributes(tree, mount.ATTRIBUTE_READ_ONLY, is_recursive=False)
    os.close(tree)


def _limit(kind: str) -> Callable[[], None]:
    def limit() -> None:
        Path(f"/proc/sys/user/max_{kind}_namespaces").write_text("0")

    return limit


def _cover_proc() -> None:
    mount.attach(mount.clone_tree("/dev/null"), "/proc/version")


def _protect_settings() -> None:
    _make_read_only("/proc/sys")


def _nest_overlays() -> None:
    """Have temporary files lie on an overlay of an overlay, which can be in no third one."""
    _mount_tmpfs(MNT)
    lower = f"{MNT}/lower"
    Path(lower).mkdir()
    for storey in ("first", "second"):
        upper, work, place = (f"{MNT}/{storey}-{part}" for part in ("upper", "work", "place"))
        for directory in (upper, work, place):
            Path(directory).mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work},userxattr"
        mount.mount(b"overlay", place.encode(), b"overlay", 0, options.encode())
        lower = place
    os.environ["TMPDIR"] = lower


def _take_device(name: str) -> Callable[[], None]:
    def take() -> None:
        trees = {
            other: mount.clone_tree(f"/dev/{other}")
            for other in DEVICES
            if other != name and Path("/dev", other).exists()
        }
        _mount_tmpfs("/dev")
        for other, tree in trees.items():
            Path("/dev", other).touch()
            mount.attach(tree, f"/dev/{other}")

    return take


def _forbid(*calls: str, number: int = errno.EPERM) -> Callable[[], None]:
    def forbid() -> None:
        process.set_no_new_privileges()
        _load([NUMBERS[call] for call in calls], _ERROR | number)

    return forbid


def _hide_newer_calls() -> None:
    process.set_no_new_privileges()
    _load([NUMBERS[_LAST_CALL] + 1], _ERROR | errno.ENOSYS, jump=_IS_NOT_LESS)


def _chroot() -> None:
    """Change the root to a plain directory, as the usual chroot is."""
    _mount_tmpfs(MNT)
    root = Path(MNT, "root")
    root.mkdir()
    for path in Path("/").iterdir():
        place = root / path.name
        if path.is_symlink():
            place.symlink_to(path.readlink())
        elif path.is_dir() and path.name not in ("mnt", "lost+found"):
            place.mkdir()
            mount.attach(mount.clone_tree(str(path)), str(place))
    os.chroot(root)
    os.chdir("/")


def _read_only_home() -> None:
    _mount_tmpfs(MNT)
    _make_read_only(MNT)
    os.environ["HOME"] = MNT
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        os.environ.pop(name, None)


def _no_temporary_files() -> None:
    for path in ("/tmp", "/var/tmp", "/usr/tmp"):
        if Path(path).is_dir():
            _make_read_only(path)
    os.chdir("/proc")
    for name in ("TMPDIR", "TEMP", "TMP"):
        os.environ.pop(name, None)


def _few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))


HOSTS: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "user namespaces": _limit("user"),
    "mount namespaces": _limit("mnt"),
    "network namespaces": _limit("net"),
    "a whole /proc": _cover_proc,
    "writable settings": _protect_settings,
    "a disk for layers": _nest_overlays,
    "room in /dev/shm": lambda: _mount_tmpfs("/dev/shm", "size=4k,nr_inodes=2"),
    "a writable home": _read_only_home,
    "temporary files": _no_temporary_files,
    "/dev/null": _take_device("null"),
    "/dev/tty": _take_device("tty"),
    "/dev/full": _take_device("full"),
    "new privileges": process.set_no_new_privileges,
    "unshare": _forbid("unshare"),
    "mount": _forbid("mount", "fsopen", "move_mount", "open_tree"),
    "the mount API": _forbid("fsopen", "move_mount", "open_tree", number=errno.ENOSYS),
    "calls newer than Linux 5.12": _hide_newer_calls,
    "a root that is a mount": _chroot,
    "open files": _few_files,
}
WAYS = {
    "check": ["--check"],
    "run": ["--tmp", "/x", "--", "/nowhere"],
    "tty": ["--device", "null", "--device", "tty", "--", "/nowhere"],
    "fuse": ["--device", "fuse", "--", "/nowhere"],
}
# The file systems, or options of theirs, that a kernel does not have, or not for ordinary users,
# and what it says.
UNKNOWN = {
    "lists of layers": (b"lowerdir+", errno.EINVAL),
    "overlay": (b"overlay", errno.ENODEV),
    "overlay for ordinary users": (b"overlay", errno.EPERM),
    "message queues": (b"mqueue", errno.ENODEV),
    "sysfs": (b"sysfs", errno.EPERM),
    "pseudo-terminals": (b"devpts", errno.ENODEV),
}


# The argument that names them.
NAMING = {NUMBERS["fsopen"]: 0, NUMBERS["mount"]: 2, NUMBERS["fsconfig"]: 2}


def _load(numbers: list[int], verdict: int, flags: int = 0, jump: int = _IS_EQUAL) -> int:
    """Put us under a filter that has a verdict on some calls; may return a descriptor."""
    code = [(0x20, 0, 0, 0)]
    for number in numbers:
        code += [(jump, 0, 1, number), (0x06, 0, 0, verdict)]
    code.append((0x06, 0, 0, _ALLOW))
    instructions = b"".join(struct.pack("HBBI", *instruction) for instruction in code)
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
    result = ctypes.CDLL(None, use_errno=True).syscall(
        NUMBERS["seccomp"], ctypes.c_long(1), ctypes.c_long(flags), program
    )
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "seccomp")
    return int(result)


def _take_file_system(kind: bytes, number: int) -> None:
    """Do as if the kernel had no such file system; the process that decides is our parent."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        process.set_no_new_privileges()
        listener = _load([*NAMING], _ASK, _NEW_LISTENER)
        socket.send_fds(theirs, [b"x"], [listener])
        os.close(listener)
        return
    theirs.close()
    _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    _answer(descriptors[0], os.pidfd_open(pid), kind, number)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _answer(listener: int, asker: int, kind: bytes, number: int) -> None:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    # Before Linux 6.11 a listener hears of the end only of what was waited for.
    poll.register(asker, select.POLLIN)
    while dict(poll.poll()).get(listener, 0) & select.POLLIN:
        request = array.array("B", bytes(_REQUEST.size))
        try:
            fcntl.ioctl(listener, _RECEIVE, request)
        except FileNotFoundError:
            continue  # Who asked is gone.
        ticket, pid, _, call, _, _, *arguments = _REQUEST.unpack(request.tobytes())
        place = arguments[NAMING[call]]
        is_refused = False
        # Not every call names one, and a slot that runs jobs lets nobody look into it.
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory,
        ):
            memory.seek(place)
            is_refused = memory.read(len(kind) + 1) == kind + b"\0"
        answer = (ticket, 0, -number, 0) if is_refused else (ticket, 0, 0, _GO_ON)
        fcntl.ioctl(listener, _SEND, _RESPONSE.pack(*answer))


def _make(name: str) -> None:
    if name in UNKNOWN:
        _take_file_system(*UNKNOWN[name])
    else:
        enter()
        HOSTS[name]()


def _visit(name: str, way: str) -> tuple[int, str, str]:
    """Make a host and do something on it; return the exit status and what was said."""
    streams = [os.memfd_create(stream) for stream in ("stdout", "stderr")]
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.dup2(streams[0], 1)
            os.dup2(streams[1], 2)
            _make(name)
            status = sandbox(WAYS[way])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _, result = os.waitpid(pid, 0)
    said = [os.pread(stream, 1 << 20, 0).decode() for stream in streams]
    for stream in streams:
        os.close(stream)
    return os.waitstatus_to_exitcode(result), said[0], said[1]


if __name__ == "__main__":
    os.chdir("/")
    answers = itertools.starmap(_visit, zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    json.dump(list(answers), sys.stdout)
