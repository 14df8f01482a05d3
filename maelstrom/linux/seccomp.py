"""A small deny list of system calls, as a hand-made filter program."""

import ctypes
import struct

from maelstrom.linux.calls import MACHINE, NUMBERS, system_call

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_ARCHITECTURE = 0, 4
_ALLOW = 0x7FFF0000
_DENY = 0x00050000 | 1  # EPERM

_SET_MODE_FILTER = 1

# What one job could leave for the next in kernel memory that outlives its processes (keyrings),
# or what has no place in a test and a long record of holes.
DENIED = (
    "add_key",
    "bpf",
    "delete_module",
    "finit_module",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "perf_event_open",
    "request_key",
    "userfaultfd",
)

_X86_64, _I386, _AARCH64, _ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
_DENIED_I386 = (128, 129, 283, 286, 287, 288, 336, 350, 357, 374, 425, 426, 427)
_DENIED_ARM = (128, 129, 309, 310, 311, 347, 364, 379, 386, 388, 401, 425, 426, 427)
# The x32 calls are the x86_64 ones with this bit: a second way to each of them.
_X32_BIT = 0x40000000


def program() -> bytes:
    """Return the filter for this machine, which covers its 32-bit mode too."""
    denied = [(_JUMP_EQUAL, NUMBERS[name]) for name in DENIED]
    if MACHINE == "aarch64":
        return _assemble([(_AARCH64, denied), (_ARM, [(_JUMP_EQUAL, n) for n in _DENIED_ARM])])
    denied.append((_JUMP_AT_LEAST, _X32_BIT))
    return _assemble([(_X86_64, denied), (_I386, [(_JUMP_EQUAL, n) for n in _DENIED_I386])])


def _assemble(parts: list[tuple[int, list[tuple[int, int]]]]) -> bytes:
    """Lay out one block per architecture; another architecture may not call anything."""
    code: list[tuple[int, int, int, int]] = [(_LOAD, 0, 0, _AT_ARCHITECTURE)]
    for architecture, checks in parts:
        # A block is: its load, the checks, allow, deny.
        code.append((_JUMP_EQUAL, 0, len(checks) + 3, architecture))
        code.append((_LOAD, 0, 0, _AT_NUMBER))
        for index, (jump, value) in enumerate(checks):
            code.append((jump, len(checks) - index, 0, value))
        code += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _DENY)]
    code.append((_RETURN, 0, 0, _DENY))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def load() -> None:
    """Put this process and all its children under the filter, for good."""
    code = program()
    value = bytes(_Program(len(code) // 8, code))
    system_call("seccomp", _SET_MODE_FILTER, 0, value)
