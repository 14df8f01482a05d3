"""Try, in a process of its own, what slots do beyond what every slot needs; print what fails.

Loaded as the zygote is: `python -I -S`. A line is a name, an errno (0: it works) and what was
tried, between tabs.
"""

import errno
import os
import sys
from collections.abc import Callable
from functools import partial

from maelstrom.linux import namespace, network, process
from maelstrom.sandbox import steps
from maelstrom.sandbox.overlay import Overlays, can_list_layers
from maelstrom.sandbox.root import Root, RootBuilder
from maelstrom.sandbox.stage import StageError, give_up_powers, leave_host, make_home

KIND = steps.SlotKind(
    user=1000,
    group=1000,
    has_host_network=False,
    sees_host_files=True,
    processes_max=100,
    open_files_max=100,
)


def main() -> None:
    """Try everything.

    Arguments: a directory with a layer named `layer`, a user and a group to become or -1, the
    version of Linux, and a directory on disk for writes or nothing.
    """
    if sys.argv[1] == "identities":
        _wait_for_identities(int(sys.argv[2]), int(sys.argv[3]))
        return
    directory, user, group = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    major, minor = sys.argv[4].split(".")
    host = steps.Host((int(major), int(minor)), sys.argv[5])
    os.chdir(directory)
    if user >= 0:
        process.become(user, group)
    process.set_no_new_privileges()
    if not _stage("namespaces", lambda: leave_host(KIND)):
        return
    pid = os.fork()
    if pid == 0:
        try:
            _try_slot(host)
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.waitpid(pid, 0)


def _wait_for_identities(user: int, group: int) -> None:
    """Be a user namespace that has none yet, until our parent lets go of us."""
    if user >= 0:
        process.become(user, group)
    namespace.unshare(namespace.NEW_USER)
    process.set_dumpable(is_dumpable=True)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


def _try_slot(host: steps.Host) -> None:
    if not _stage("home", lambda: make_home(KIND, host)):
        return
    overlays = Overlays(host)
    builder = RootBuilder(overlays)
    root = Root(b"", (steps.UnshareMounts(), steps.MountRoot(("layer",), 1 << 20)))
    _attempt("loopback", "switch the loopback device on", lambda: network.set_loopback(is_up=True))
    _attempt("ipc", "leave an IPC namespace", lambda: namespace.unshare(namespace.NEW_IPC))
    if _attempt("overlay", "mount an overlay", lambda: _mount(builder, root)):
        can_list = host.linux >= steps.LINUX_LAYER_LIST and can_list_layers()
        options: tuple[tuple[str, steps.Step], ...] = (
            ("sys", steps.MountSys("/sys")),
            ("terminals", steps.MountPseudoTerminals("/pts")),
            ("message queues", steps.MountMessageQueues("/mqueue")),
        )
        for name, step in options:
            _attempt(name, step.text, partial(builder.do, root, step))
        _tell("layer list", 0 if can_list else errno.ENOSYS, "mount layers from a list")
    _stage("powers", lambda: give_up_powers(KIND))


def _mount(builder: RootBuilder, root: Root) -> None:
    for step in root.steps:
        builder.do(root, step)
    with open("/new/written", "w") as file:
        file.write("x")


def _stage(name: str, function: Callable[[], object]) -> bool:
    try:
        function()
    except StageError as error:
        _tell(name, error.error.errno or 0, error.doing)
        return False
    _tell(name, 0, "")
    return True


def _attempt(name: str, doing: str, function: Callable[[], object]) -> bool:
    try:
        function()
    except OSError as error:
        _tell(name, error.errno or 0, doing)
        return False
    _tell(name, 0, doing)
    return True


def _tell(name: str, number: int, doing: str) -> None:
    sys.stdout.write(f"{name}\t{number}\t{doing}\n")
    sys.stdout.flush()
