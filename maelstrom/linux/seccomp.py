"""A small filter of system calls, as a hand-made program for the kernel.

It denies what one job could leave for the next in kernel memory that outlives its processes
(keyrings), what would reach the slot, which is process 1, what knows no namespaces (the log of the
kernel, odd families of sockets), and what has no place in a test and a long record of holes.
"""

import ctypes
import errno
import struct
from typing import NamedTuple

from maelstrom.linux.calls import MACHINE, NUMBERS, system_call

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENT = 0, 4, 16
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000

_SET_MODE_FILTER = 1

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
    "syslog",
    "userfaultfd",
)
# Local, IPv4, IPv6, netlink, packets: these have namespaces. Sockets to a hypervisor have none.
FAMILIES = (1, 2, 10, 16, 17)
_SLOT = 1


class _Numbers(NamedTuple):
    """What one architecture calls by which number."""

    architecture: int
    denied: tuple[int, ...]
    limit: int
    """`prlimit64`, which asks for nothing but the same user, though a slot has powers."""
    socket: int


_X86_64 = _Numbers(0xC000003E, tuple(NUMBERS[name] for name in DENIED), limit=302, socket=41)
_I386 = _Numbers(
    0x40000003,
    (103, 128, 129, 283, 286, 287, 288, 336, 350, 357, 374, 425, 426, 427),
    limit=340,
    socket=359,
)
_AARCH64 = _Numbers(0xC00000B7, tuple(NUMBERS[name] for name in DENIED), limit=261, socket=198)
_ARM = _Numbers(
    0x40000028,
    (103, 128, 129, 309, 310, 311, 347, 364, 379, 386, 388, 401, 425, 426, 427),
    limit=369,
    socket=281,
)
# The x32 calls are the x86_64 ones with this bit: a second way to each of them.
_X32_BIT = 0x40000000

_Instruction = tuple[int, int, int, int]
_LOAD_ARGUMENT: _Instruction = (_LOAD, 0, 0, _AT_ARGUMENT)
_DENY: _Instruction = (_RETURN, 0, 0, _REFUSE | errno.EPERM)
_PASS: _Instruction = (_RETURN, 0, 0, _ALLOW)


def program() -> bytes:
    """Return the filter for this machine, which covers its 32-bit mode too."""
    if MACHINE == "aarch64":
        return _assemble(_block(_AARCH64), _block(_ARM))
    return _assemble(_block(_X86_64, (_JUMP_AT_LEAST, 0, 1, _X32_BIT), _DENY), _block(_I386))


def _assemble(*blocks: list[_Instruction]) -> bytes:
    """Lay the blocks out one after the other; another architecture may not call anything."""
    code: list[_Instruction] = [(_LOAD, 0, 0, _AT_ARCHITECTURE)]
    for block in blocks:
        code += block
    return b"".join(struct.pack("HBBI", *instruction) for instruction in (*code, _DENY))


def _block(numbers: _Numbers, *first: _Instruction) -> list[_Instruction]:
    """Return the code for one architecture, to be skipped by others; it always returns."""
    code: list[_Instruction] = [(_LOAD, 0, 0, _AT_NUMBER), *first]
    for number in numbers.denied:
        code += [(_JUMP_EQUAL, 0, 1, number), _DENY]
    code += [
        (_JUMP_EQUAL, 0, 4, numbers.limit),
        _LOAD_ARGUMENT,
        (_JUMP_EQUAL, 0, 1, _SLOT),
        _DENY,
        _PASS,
        (_JUMP_EQUAL, 0, len(FAMILIES) + 2, numbers.socket),
        _LOAD_ARGUMENT,
    ]
    for number, family in enumerate(FAMILIES):
        code.append((_JUMP_EQUAL, len(FAMILIES) - number, 0, family))
    code += [(_RETURN, 0, 0, _REFUSE | errno.EAFNOSUPPORT), _PASS]
    return [(_JUMP_EQUAL, 0, len(code), numbers.architecture), *code]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def load() -> None:
    """Put this process and all its children under the filter, for good."""
    code = program()
    value = bytes(_Program(len(code) // 8, code))
    system_call("seccomp", _SET_MODE_FILTER, 0, value)
