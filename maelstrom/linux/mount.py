"""File systems and the mount tree, through the mount API of Linux 5.2 and later."""

import ctypes
import os

from maelstrom.linux.calls import system_call

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

ATTRIBUTE_READ_ONLY = 0x1
ATTRIBUTE_NO_SETUID = 0x2
ATTRIBUTE_NO_DEVICES = 0x4
ATTRIBUTE_NO_EXECUTE = 0x8
ATTRIBUTE_NO_ACCESS_TIMES = 0x10

OLD_NO_SETUID, OLD_NO_DEVICES, OLD_NO_ACCESS_TIMES = 0x2, 0x4, 0x400

DETACH = 2

_OPEN_TREE_CLONE = 1
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_FROM_DESCRIPTOR, _TO_DESCRIPTOR = 0x4, 0x40
_RESOLVE_NO_CROSSING, _RESOLVE_NO_MAGIC, _RESOLVE_NO_LINKS = 0x1, 0x2, 0x4
_RESOLVE_BENEATH, _RESOLVE_IN_ROOT = 0x8, 0x10
_PRIVATE = 1 << 18
_ATTEMPTS_MAX = 1000
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6


def clone_tree(path: str | bytes | int, *, is_recursive: bool = True) -> int:
    """Return a file descriptor of a detached copy of the mounts at a path or an open place."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | (AT_RECURSIVE if is_recursive else 0)
    if isinstance(path, int):
        return system_call("open_tree", path, b"", flags | AT_EMPTY_PATH)
    return system_call("open_tree", AT_FDCWD, os.fsencode(path), flags)


def attach(tree: int, target: str | int) -> None:
    """Mount a detached tree on a path or an open mount point, and close its descriptor."""
    try:
        _move(tree, b"", target, _FROM_DESCRIPTOR)
    finally:
        os.close(tree)


def move(source: str, target: str | int) -> None:
    """Move a mount, with all below it, to a path or an open mount point."""
    _move(AT_FDCWD, os.fsencode(source), target, 0)


def _move(directory: int, source: bytes, target: str | int, flags: int) -> None:
    if isinstance(target, int):
        system_call("move_mount", directory, source, target, b"", flags | _TO_DESCRIPTOR)
    else:
        system_call("move_mount", directory, source, AT_FDCWD, os.fsencode(target), flags)


def open_in_root(root: int, path: str, *, is_directory: bool = False) -> int:
    """Open a path, only to name it, as if the directory `root` were the root.

    No symbolic link leads out of it. With `is_directory` nothing else will do.
    """
    return _open_below(root, path, _DIRECTORY_IN_ROOT if is_directory else _NAME_IN_ROOT)


def open_file_of_root(root: int, path: str, flags: int) -> int:
    """Open a path as if `root` were the root, but nothing on another mount."""
    resolve = _RESOLVE_IN_ROOT | _RESOLVE_NO_CROSSING | _RESOLVE_NO_MAGIC
    return _open_below(root, path, bytes(_How(flags | os.O_CLOEXEC, 0, resolve)))


def open_by_links_of_files(path: bytes, flags: int) -> int:
    """Open a path that leads through no link of the kernel's own, as `/proc/self/exe` is one."""
    how = bytes(_How(flags | os.O_CLOEXEC, 0, _RESOLVE_NO_MAGIC))
    return system_call("openat2", AT_FDCWD, path, how, len(how))


def open_directory_plainly(root: int, path: str, more_flags: int = 0) -> int:
    """Open a directory for reading, by a relative path that no symbolic link is part of."""
    flags = more_flags | os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    return _open_below(root, path, bytes(_How(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_LINKS)))


def _open_below(root: int, path: str, how: bytes) -> int:
    """Open a path that may not lead out of a directory.

    The kernel goes up by `..` only if nobody on the host has mounted or renamed anything meanwhile,
    and else wants to be asked again.
    """
    attempts = _ATTEMPTS_MAX
    while True:
        try:
            return system_call("openat2", root, os.fsencode(path), how, len(how))
        except BlockingIOError:
            attempts -= 1
            if attempts == 0:
                raise


def open_file_system(kind: bytes) -> int:
    """Begin a new file system of a kind."""
    return system_call("fsopen", kind, _FSOPEN_CLOEXEC)


def set_string(file_system: int, key: bytes, value: bytes) -> None:
    """Set an option that has a value."""
    system_call("fsconfig", file_system, _SET_STRING, key, value, 0)


def set_flag(file_system: int, key: bytes) -> None:
    """Set an option that has none."""
    system_call("fsconfig", file_system, _SET_FLAG, key, None, 0)


def create(file_system: int, attributes: int = 0) -> int:
    """Make the file system with its options, and return a detached mount of it."""
    system_call("fsconfig", file_system, _CREATE, None, None, 0)
    return system_call("fsmount", file_system, _FSMOUNT_CLOEXEC, attributes)


def explanation(file_system: int) -> str:
    """Return what the kernel wrote about a failure, or nothing."""
    lines = []
    while True:
        try:
            line = os.read(file_system, 4096)
        except OSError:
            break
        if not line:
            break
        lines.append(line.decode(errors="replace").strip())
    return "; ".join(line.removeprefix("e ") for line in lines if line.startswith("e "))


class _How(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_NAME_IN_ROOT = bytes(_How(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT))
_DIRECTORY_IN_ROOT = bytes(_How(os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY, 0, _RESOLVE_IN_ROOT))


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def set_attributes(tree: int, attributes: int, *, is_recursive: bool) -> None:
    """Add attributes to a mount, given by its descriptor."""
    value = bytes(_Attributes(attributes, 0, 0, 0))
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if is_recursive else 0)
    system_call("mount_setattr", tree, b"", flags, value, len(value))


def separate(tree: int) -> None:
    """Let no mount that is made elsewhere from now on appear in a tree."""
    value = bytes(_Attributes(0, 0, _PRIVATE, 0))
    system_call("mount_setattr", tree, b"", AT_EMPTY_PATH | AT_RECURSIVE, value, len(value))


def mount(source: bytes, target: bytes, kind: bytes, flags: int, options: bytes) -> None:
    """Make the old call, whose options end at 4095 bytes without a word."""
    system_call("mount", source, target, kind, flags, options)


def unmount(path: str | bytes) -> None:
    """Take a mount, and what lies below it, out of the tree; it ends with its last user."""
    system_call("umount2", os.fsencode(path), DETACH)


def pivot_root() -> None:
    """Make the mount at the working directory the root, and let go of the old one."""
    system_call("pivot_root", b".", b".")
    system_call("umount2", b".", DETACH)
    os.chdir("/")
