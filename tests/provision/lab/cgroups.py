"""A cgroup for each host, made before it boots: otherwise all hosts would share one."""

import contextlib
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
REMOVAL_S_MAX = 5.0


def directories(name: str) -> list[Path]:
    """Return the directories of one host: two where cgroup v1 and v2 are mixed, v2 first."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT / name]
    return [root / name for root in (_ROOT / "unified", _ROOT / "systemd") if root.is_dir()]


def kill(name: str) -> None:
    """Kill every process of a host at once."""
    (directories(name)[0] / "cgroup.kill").write_text("1")


def freeze(name: str, *, frozen: bool) -> None:
    """Stop every process of a host while its kernel still answers pings, or let them go on."""
    (directories(name)[0] / "payload" / "cgroup.freeze").write_text("1" if frozen else "0")


def cpu_s(name: str) -> float:
    """Return how many seconds of the processors all that is in it has used."""
    lines = (directories(name)[0] / "cpu.stat").read_text().splitlines()
    return int(dict(line.split() for line in lines)["usage_usec"]) / 1e6


def remove(name: str) -> None:
    """Remove what is left; busy until the killed processes are reaped."""
    end = time.monotonic() + REMOVAL_S_MAX
    for top in directories(name):
        while top.exists() and time.monotonic() < end:
            inner = sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True)
            for path in [*inner, top]:
                with contextlib.suppress(OSError):
                    path.rmdir()
            time.sleep(0.02)
