"""Others that run a program: as a bare process, and in containers of theirs.

Run as a program it starts its arguments on orders from standard input, `JOBS AT-ONCE` a line, and
answers each with a line: for what has to be started from elsewhere than from the benchmark itself.
"""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

Way = Callable[[int, int], Awaitable[None]]
"""Runs so many jobs, so many at a time."""

NULL = ((os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0))  # fmt: skip
# In an argument it stands for the number of the job.
NUMBER = "{number}"
UNIFIED = Path("/sys/fs/cgroup/unified")


def processes(command: list[str]) -> Way:
    """Run it as plain processes."""

    numbers = itertools.count()

    async def way(jobs: int, at_once: int) -> None:
        running = 0
        for number in itertools.islice(numbers, jobs):
            if running == at_once:
                _reap()
                running -= 1
            arguments = [word.replace(NUMBER, str(number)) for word in command]
            os.posix_spawn(command[0], arguments, {}, file_actions=NULL)
            running += 1
        for _ in range(running):
            _reap()

    return way


def _reap() -> None:
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0


def peers(root: Path) -> dict[str, Way]:
    """Return those that are installed, with the same namespaces and mounts."""
    found: dict[str, Way] = {}
    bwrap = shutil.which("bwrap")
    if bwrap is not None:
        found["bwrap"] = processes(
            [
                *(bwrap, "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc"),
                *("--unshare-uts", "--unshare-cgroup", "--die-with-parent", "--new-session"),
                *("--hostname", "maelstrom", "--bind", str(root), "/", "--proc", "/proc"),
                *("--dev", "/dev", "--tmpfs", "/tmp", "/true"),
            ]
        )
    return found


@contextlib.contextmanager
def crun(root: Path) -> Iterator[dict[str, Way]]:
    """Return it if it is installed and runs here, with the same again, and no control groups."""
    program = shutil.which("crun")
    if program is None:
        print("  crun is not installed: its rows are left out", file=sys.stderr)
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="maelstrom-crun-") as directory:
        Path(directory, "config.json").write_text(json.dumps(_bundle(root)))
        command = [
            *(program, "--cgroup-manager=disabled", f"--root={directory}/state", "run"),
            *(f"--bundle={directory}", f"maelstrom-{os.getpid()}-{NUMBER}"),
        ]
        before = _to_version_2()
        tried = subprocess.run([*before, *command], capture_output=True, text=True, check=False)
        if tried.returncode:
            said = tried.stderr.strip()
            print(f"  crun does not run here, its rows are left out: {said}", file=sys.stderr)
            yield {}
            return
        elsewhere = [*before, sys.executable, "-m", __spec__.name, *command]
        with subprocess.Popen(
            elsewhere, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as starter:
            yield {"crun": _ordered(starter)}
            starter.communicate()


def _ordered(starter: subprocess.Popen[str]) -> Way:
    async def way(jobs: int, at_once: int) -> None:
        assert starter.stdin is not None
        assert starter.stdout is not None
        print(jobs, at_once, file=starter.stdin, flush=True)
        assert starter.stdout.readline() == "done\n"

    return way


def _to_version_2() -> list[str]:
    """Return what begins a command that is to see only version 2 of control groups.

    crun refuses hosts that have both, even if it is to use neither.
    """
    if not UNIFIED.is_dir():
        return []
    owner = ("--user", "--map-current-user", "--keep-caps") if os.geteuid() else ()
    script = f'mount --bind {UNIFIED} {UNIFIED.parent} && exec setpriv "$@"'
    powerless = ("--inh-caps=-all", "--ambient-caps=-all")
    return ["unshare", *owner, "--mount", "sh", "-c", script, "sh", *powerless]


def _bundle(root: Path) -> dict[str, Any]:
    namespaces = ("user", "pid", "network", "ipc", "uts", "cgroup", "mount")
    own = (("uidMappings", os.geteuid()), ("gidMappings", os.getegid()))
    return {
        "ociVersion": "1.0.0",
        "process": {
            "args": ["/true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "noNewPrivileges": True,
        },
        "root": {"path": str(root)},
        "hostname": "maelstrom",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {
            "namespaces": [{"type": name} for name in namespaces],
            **{name: [{"containerID": 0, "hostID": host, "size": 1}] for name, host in own},
        },
    }  # fmt: skip


if __name__ == "__main__":
    run = processes(sys.argv[1:])
    for order in sys.stdin:
        asyncio.run(run(*map(int, order.split())))
        print("done", flush=True)
