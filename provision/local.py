"""A broker and some workers on this machine, without SSH: for a first look, and for tests.

They go on when the command has ended. What there is of them is in one directory.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from maelstrom.errors import InfrastructureError

START_S_MAX = 30.0
STOP_S_MAX = 30.0
WORKERS_MAX = 64
_LISTENING = re.compile(r"listening on (\S+)")


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program that was started; `began` tells it from another that got its number later."""

    name: str
    process: int
    began: str

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return bool(self.began) and _began(self.process) == self.began


class LocalCluster:
    """A cluster of processes, kept in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._record = directory / "daemons.json"

    @property
    def daemons(self) -> list[Daemon]:
        """Return what was started."""
        if not self._record.exists():
            return []
        return [Daemon(**entry) for entry in json.loads(self._record.read_text())]

    def up(self, workers: int) -> str:
        """Have a broker and so many workers run, as far as they do not; return where it listens."""
        if "broker" not in self._alive():
            self.down()
        self.directory.mkdir(mode=0o700, exist_ok=True)
        names = [f"worker-{number}" for number in range(1, workers + 1)]
        before = self._alive()
        _end([daemon for name, daemon in before.items() if name not in ("broker", *names)])
        try:
            if not before:
                self._start("broker", "--listen", "plain:127.0.0.1:0")
            listening = _LISTENING.search(self._log("broker").read_text())
            assert listening is not None, "a broker that is ready has said where it listens"
            for name in names:
                if name not in before:
                    self._start(name, "--broker", listening[1])
        except BaseException:
            if not before:
                self.down()
            raise
        return listening[1]

    def _alive(self) -> dict[str, Daemon]:
        return {daemon.name: daemon for daemon in self.daemons if daemon.is_alive}

    def _start(self, name: str, *arguments: str) -> None:
        """Start a daemon and wait until it says that it is ready, as it would tell systemd."""
        role = name.partition("-")[0]
        command = [sys.executable, "-m", f"maelstrom.cli.{role}", "--config-file", "-"]
        command += ["--store", str(self.directory / f"{name}-store"), *arguments]
        address = str(self.directory / "ready")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            Path(address).unlink(missing_ok=True)
            ready.bind(address)
            ready.settimeout(0.1)
            # A shell in between, which ends at once: the daemon is nobody's child.
            started = subprocess.run(
                ["sh", "-c", '"$@" >"$0" 2>&1 & echo $!', str(self._log(name)), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                env={**os.environ, "NOTIFY_SOCKET": address},
                start_new_session=True,
                check=True,
            )
            process = int(started.stdout)
            daemon = Daemon(name, process, _began(process))
            self._remember(daemon)
            self._wait(daemon, ready)
        Path(address).unlink()

    def _wait(self, daemon: Daemon, ready: socket.socket) -> None:
        end = time.monotonic() + START_S_MAX
        while time.monotonic() < end and daemon.is_alive:
            try:
                if b"READY=1" in ready.recv(4096):
                    return
            except TimeoutError:
                continue
        said = self._log(daemon.name).read_text(errors="replace").strip()
        raise InfrastructureError(f"the {daemon.name} did not come up: {said or 'it says nothing'}")

    def _remember(self, daemon: Daemon) -> None:
        known = [*self._alive().values(), daemon]
        entries = [{"name": d.name, "process": d.process, "began": d.began} for d in known]
        self._record.write_text(json.dumps(entries, indent=1))

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def down(self) -> int:
        """End all of it; return how many ran."""
        alive = [*self._alive().values()]
        # The broker, which was the first, is the last.
        _end(alive[::-1])
        self._record.unlink(missing_ok=True)
        return len(alive)


def _end(daemons: list[Daemon]) -> None:
    for daemon in daemons:
        os.kill(daemon.process, signal.SIGTERM)
    end = time.monotonic() + STOP_S_MAX
    while any(daemon.is_alive for daemon in daemons) and time.monotonic() < end:
        time.sleep(0.02)
    for daemon in daemons:
        if daemon.is_alive:
            os.kill(daemon.process, signal.SIGKILL)


def _began(process: int) -> str:
    """Return when a process began, in ticks since the machine did; nothing if it has ended."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
