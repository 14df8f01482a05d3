"""Make a system call by number, and the numbers for both machines we run on."""

import ctypes
import os
import platform
from collections.abc import Callable

MACHINE = platform.machine()

_X86_64 = {
    "shmctl": 31,
    "syslog": 103,
    "pivot_root": 155,
    "prctl": 157,
    "mount": 165,
    "umount2": 166,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "ioprio_get": 252,
    "unshare": 272,
    "perf_event_open": 298,
    "setns": 308,
    "sched_getattr": 315,
    "init_module": 175,
    "delete_module": 176,
    "kexec_load": 246,
    "finit_module": 313,
    "seccomp": 317,
    "kexec_file_load": 320,
    "bpf": 321,
    "userfaultfd": 323,
}
_AARCH64 = {
    "ioprio_get": 31,
    "umount2": 39,
    "mount": 40,
    "pivot_root": 41,
    "unshare": 97,
    "kexec_load": 104,
    "init_module": 105,
    "delete_module": 106,
    "syslog": 116,
    "prctl": 167,
    "shmctl": 195,
    "add_key": 217,
    "request_key": 218,
    "keyctl": 219,
    "perf_event_open": 241,
    "setns": 268,
    "sched_getattr": 275,
    "finit_module": 273,
    "seccomp": 277,
    "bpf": 280,
    "userfaultfd": 282,
    "kexec_file_load": 294,
}
# From 424 on every machine has the same numbers.
_COMMON = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "openat2": 437,
    "mount_setattr": 442,
}

NUMBERS: dict[str, int] = (_AARCH64 if MACHINE == "aarch64" else _X86_64) | _COMMON

Argument = int | bytes | ctypes.Array[ctypes.c_char] | None

_ARGUMENTS_MAX = 6
_library = ctypes.CDLL(None, use_errno=True)


def _function(arguments: int) -> Callable[..., int]:
    function = _library["syscall"]
    function.restype = ctypes.c_long
    # As a pointer passes a number of any sign, too; bare, its upper half would be left undefined.
    function.argtypes = (ctypes.c_long, *(ctypes.c_void_p,) * arguments)
    return function


_functions = [_function(arguments) for arguments in range(_ARGUMENTS_MAX + 1)]


def system_call(name: str, *arguments: Argument) -> int:
    """Make the call and return its result; raises OSError."""
    result = _functions[len(arguments)](NUMBERS[name], *arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result
