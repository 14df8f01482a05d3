"""Open what a job reads from its standard input; called from within its root."""

import os
import stat

from maelstrom.linux import mount
from maelstrom.sandbox.diagnosis import NotFound
from maelstrom.sandbox.steps import Spawn, SpawnForked


def open_stdin(step: Spawn | SpawnForked, devices: int) -> int:
    """Return a descriptor of the given bytes, of a file of the root, or of nothing.

    `devices` is the slot's own /dev.

    Raises NotFound, or OSError where the slot itself is short of means.
    """
    if step.stdin:
        return _open_content(step.stdin)
    if step.stdin_file:
        return _open_file(step.stdin_file)
    # Opened anew: its flags and locks are those of this one job.
    return os.open("null", os.O_RDWR, dir_fd=devices)


def _open_content(content: bytes) -> int:
    descriptor = os.memfd_create("stdin", os.MFD_CLOEXEC)
    view = memoryview(content)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _open_file(path: str) -> int:
    # Nothing but a file of the root itself: the slot may read what jobs may not.
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
        descriptor = mount.open_file_of_root(root, path, flags)
    except OSError as error:
        words = f"cannot open `{path}` for stdin: {error.strerror}"
        raise NotFound(words, "it must be a file of a layer") from error
    finally:
        os.close(root)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotFound(f"`{path}` cannot be stdin: it is not a regular file", "")
        os.set_blocking(descriptor, True)
    except (OSError, NotFound):
        os.close(descriptor)
        raise
    return descriptor
