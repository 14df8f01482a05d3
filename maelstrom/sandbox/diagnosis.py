"""Say why a program could not be started, seen from within the job's root.

The kernel's ENOENT does not tell a missing program from a missing interpreter or loader.
"""

import errno
import os
import stat
import struct

from maelstrom.linux import mount
from maelstrom.linux.calls import MACHINE

# Numbers of machines in an ELF header, as far as one may meet them.
ELF_MACHINES = {
    3: "i386",
    8: "MIPS",
    20: "PowerPC",
    21: "ppc64",
    22: "s390x",
    40: "ARM",
    62: "x86_64",
    183: "aarch64",
    243: "RISC-V",
    258: "LoongArch",
}
_PROGRAM_INTERPRETER = 3
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG)
# A socket, and a device without a driver, cannot be opened.
_NO_FILE = (*_NOT_THERE, errno.ENXIO, errno.ENODEV)
_HEADERS_MAX = 128
PROGRAMS_KNOWN_MAX = 64
# As many as the kernel follows from script to script, and what it reads of each.
_INTERPRETERS_MAX = 6
_HEAD_BYTES = 256
_LOOK_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY

Words = tuple[str, str]
"""What is wrong, and what to do."""


class NotFound(Exception):
    """No such program in the job's root; says where it was looked for."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.words: Words = (message, hint)


def find_program(program: bytes, search_path: bytes, known: set[bytes]) -> bytes:
    """Return the path of a program; a name without a slash is looked up as a shell does.

    `known` are those that were found harmless in such a root. Raises NotFound, or OSError where the
    slot itself is short of means.
    """
    path = program if b"/" in program else _look_up(program, search_path)
    if path not in known:
        refuse_ways_out(path)
        if len(known) < PROGRAMS_KNOWN_MAX:
            known.add(path)
    return path


def refuse_ways_out(path: bytes) -> None:
    """See that neither a program nor the interpreter of a script leads to what is the slot's.

    Until the program has begun, links below /proc are those of the slot: to its interpreter, a file
    of the host, and to what it has open. Raises NotFound or OSError.
    """
    place = path
    for _ in range(_INTERPRETERS_MAX):
        try:
            head = _head(place)
        except OSError as error:
            if error.errno == errno.ELOOP and os.path.exists(place):
                words = f"program `{_text(place)}` leads out of the container by a link below /proc"
                raise NotFound(words, "") from error
            if error.errno in _NO_FILE:
                # Nor is it to be there for the process to come, which has a directory below /proc.
                raise NotFound(*explain_start(path, error.errno)) from error
            raise
        if not head.startswith(b"#!"):
            return
        place = _interpreter(head)


def _head(path: bytes) -> bytes:
    """Return how a file begins; nothing if it is none, or cannot be read."""
    try:
        file = mount.open_by_links_of_files(path, _LOOK_FLAGS)
    except PermissionError:
        os.close(mount.open_by_links_of_files(path, os.O_PATH))
        return b""
    try:
        return os.read(file, _HEAD_BYTES) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    finally:
        os.close(file)


def _look_up(program: bytes, search_path: bytes) -> bytes:
    rejected = b""
    for directory in search_path.split(b":"):
        # An empty part means the working directory, as it has always done.
        path = (directory or b".") + b"/" + program
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            continue
        if stat.S_ISREG(mode) and mode & 0o111:
            return path
        rejected = rejected or path
    name, places = _text(program), _text(search_path)
    if rejected:
        raise NotFound(f"program `{_text(rejected)}` is not an executable file", "")
    raise NotFound(
        f"program `{name}` is not in the container: looked in {places}",
        "add a layer that has it, or set PATH in the job's environment",
    )


def explain_start(path: bytes, number: int) -> Words:
    """Say in words why the program at `path` was refused with an error number."""
    name = _text(path)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return _explain_missing(path)
    except NotADirectoryError:
        return f"program `{name}` is not in the container: a part of the path is a file", ""
    except OSError as error:
        return f"cannot look at the program `{name}`: {error.strerror}", ""
    if stat.S_ISDIR(mode):
        return f"program `{name}` is a directory", ""
    if not stat.S_ISREG(mode):
        return f"program `{name}` is not a regular file", ""
    if number == errno.EACCES and not mode & 0o111:
        return (
            f"program `{name}` is not executable",
            "set its execute bit, or run it through its interpreter",
        )
    if number in (errno.ENOENT, errno.ENOEXEC, errno.EACCES, errno.ENOTDIR, errno.ELIBBAD):
        words = _explain_content(path, name)
        if words is not None:
            return words
    if number == errno.E2BIG:
        return f"arguments and environment of `{name}` are too long for the kernel", ""
    return f"cannot run `{name}`: {os.strerror(number)}", ""


def _explain_missing(path: bytes) -> Words:
    name = _text(path)
    if os.path.islink(path):
        target = _text(os.readlink(path))
        return (
            f"program `{name}` is a link to `{target}`, which is not in the container",
            "add a layer that has it",
        )
    if not path.startswith(b"/"):
        hint = f"the path starts at the working directory, `{os.getcwd()}`"
        return f"program `{name}` is not in the container", hint
    return f"program `{name}` is not in the container", "add a layer that has it"


def _explain_content(path: bytes, name: str) -> Words | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        head = os.read(descriptor, 4096)
        if head.startswith(b"#!"):
            return _explain_script(head, name)
        if head.startswith(b"\x7fELF"):
            return _explain_elf(descriptor, head, name)
    finally:
        os.close(descriptor)
    if not head:
        return f"program `{name}` is an empty file", ""
    return (
        f"program `{name}` is neither an ELF program nor a script that starts with `#!`",
        "run it through its interpreter",
    )


def _interpreter(head: bytes) -> bytes:
    # As the kernel does it: any other space is part of the name.
    line = head[2:].split(b"\n", 1)[0].split(b"\0", 1)[0]
    return next(filter(None, line.replace(b"\t", b" ").split(b" ")), b"")


def _explain_script(head: bytes, name: str) -> Words | None:
    if head.split(b"\n", 1)[0].endswith(b"\r"):
        return f"script `{name}` has DOS line ends after its interpreter's name", ""
    interpreter = _interpreter(head)
    if not interpreter:
        return f"script `{name}` names no interpreter after `#!`", ""
    try:
        mode = os.stat(interpreter).st_mode
    except OSError:
        return (
            f"interpreter `{_text(interpreter)}` of the script `{name}` is not in the container",
            "add a layer that has it",
        )
    if not stat.S_ISREG(mode) or not mode & 0o111:
        return f"interpreter `{_text(interpreter)}` of the script `{name}` is not executable", ""
    words = _explain_content(interpreter, _text(interpreter))
    return words and (f"interpreter of the script `{name}`: {words[0]}", words[1])


def _explain_elf(descriptor: int, head: bytes, name: str) -> Words | None:
    if len(head) < 64:
        return f"program `{name}` is cut off: an ELF header without the rest", ""
    order = "<" if head[5] == 1 else ">"
    (machine,) = struct.unpack_from(order + "H", head, 18)
    known = ELF_MACHINES.get(machine, f"machine {machine}")
    if known != MACHINE and not (known == "i386" and MACHINE == "x86_64"):
        return f"program `{name}` is for {known}, and this host is {MACHINE}", ""
    try:
        loader = _elf_loader(descriptor, head, order)
    except (struct.error, OSError):
        return f"program `{name}` has a damaged ELF header", ""
    if loader and not os.path.exists(loader):
        return (
            f"loader `{_text(loader)}` of the program `{name}` is not in the container",
            "add a layer with its shared libraries",
        )
    return None


def _elf_loader(descriptor: int, head: bytes, order: str) -> bytes:
    is_wide = head[4] == 2
    if is_wide:
        (start,) = struct.unpack_from(order + "Q", head, 32)
        size, count = struct.unpack_from(order + "HH", head, 54)
    else:
        (start,) = struct.unpack_from(order + "I", head, 28)
        size, count = struct.unpack_from(order + "HH", head, 42)
    for number in range(min(count, _HEADERS_MAX)):
        header = os.pread(descriptor, size, start + number * size)
        if struct.unpack_from(order + "I", header)[0] != _PROGRAM_INTERPRETER:
            continue
        if is_wide:
            (offset,) = struct.unpack_from(order + "Q", header, 8)
            (length,) = struct.unpack_from(order + "Q", header, 32)
        else:
            (offset,) = struct.unpack_from(order + "I", header, 4)
            (length,) = struct.unpack_from(order + "I", header, 16)
        return os.pread(descriptor, min(length, 4096), offset).rstrip(b"\0")
    return b""


def _text(path: bytes) -> str:
    return os.fsdecode(path)
