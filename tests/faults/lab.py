"""Hosts with addresses of their own on one wire, and programs of ours on them that can be harmed.

Each host is a network namespace with one end of a pair of devices; the other ends are ports of a
bridge in a namespace of its own. Needs root, `ip` and `nft`.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from maelstrom.errors import MaelstromError
from tests.support.cluster import ROOT
from tests.support.secured import Trust

PORT = 9001
READY_S = 20.0


def whats_missing() -> str:
    """Say why there can be no lab here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces with addresses need root"
    lacking = [tool for tool in ("ip", "nft", "mount") if shutil.which(tool) is None]
    return f"`{lacking[0]}` is not installed" if lacking else ""


def run(*command: str) -> None:
    """Run a tool; its complaint is the error's."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise MaelstromError(f"{' '.join(command)}: {done.stderr.strip()}")


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Host:
    """A host with one program."""

    def __init__(self, lab: "Lab", name: str, number: int) -> None:
        self.lab = lab
        self.name = name
        self.address = f"10.213.7.{number}"
        self.space = f"mf{os.getpid()}-{name}"
        self.port = f"v{number}"
        self.command: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.told = lab.directory / f"{name}.out"
        self._offset = lab.directory / f"{name}.clock"
        self.set_clock(0)
        run("ip", "netns", "add", self.space)
        run("ip", "-n", lab.hub, "link", "add", self.port, "type", "veth", "peer", "name", "e0",
            "netns", self.space)  # fmt: skip
        run("ip", "-n", lab.hub, "link", "set", self.port, "master", "br0", "up")
        run("ip", "-n", self.space, "addr", "add", f"{self.address}/24", "dev", "e0")
        run("ip", "-n", self.space, "link", "set", "e0", "up")
        run("ip", "-n", self.space, "link", "set", "lo", "up")

    # Its program

    def start(self, *command: str) -> None:
        """Start the program, or the same again."""
        self.command = list(command) or self.command
        with self.told.open("ab") as out:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.space, sys.executable, "-m", "tests.support.skewed",
                 str(self._offset), *self.command],
                cwd=ROOT,
                stdout=out,
                stderr=out,
            )  # fmt: skip

    def set_clock(self, ahead_s: float) -> None:
        """Let it be another time of day there, from now on."""
        new = self._offset.with_suffix(".new")
        new.write_text(str(ahead_s))
        new.replace(self._offset)

    def send(self, number: signal.Signals) -> None:
        """Send the program a signal; wait for its end if it is to end."""
        assert self.process is not None
        self.process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait(30)

    def pids(self) -> list[int]:
        """Return all processes it has started, the last one last."""
        assert self.process is not None
        found = [self.process.pid]
        for pid in found:
            found += children(pid)
        return found

    def memory_bytes(self) -> int:
        """Return how much memory the program itself has."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def slots(self) -> list[int]:
        """Return the slots of a worker: not the jobs they run."""
        assert self.process is not None
        return [slot for zygote in children(self.process.pid) for slot in children(zygote)]

    # Its wire

    def cut(self) -> None:
        """Pull the plug."""
        run("ip", "-n", self.lab.hub, "link", "set", self.port, "down")

    def mend(self) -> None:
        """Put it back, and drop nothing any more."""
        run("ip", "-n", self.lab.hub, "link", "set", self.port, "up")
        run("ip", "netns", "exec", self.space, "nft", "flush", "ruleset")

    def filter(self, rule: str, *, hook: str = "input") -> None:
        """Have the kernel of the host treat what comes, or goes, by a rule of nft."""
        for line in (
            "add table inet faults",
            f"add chain inet faults it {{ type filter hook {hook} priority 0; }}",
            f"add rule inet faults it {rule}",
        ):
            run("ip", "netns", "exec", self.space, "nft", line)


class Lab:
    """A broker, workers and clients; `close` leaves nothing behind."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.hub = f"mf{os.getpid()}-hub"
        self.hosts: list[Host] = []
        self._disks: list[Path] = []
        self.disk = directory / "disk"
        run("ip", "netns", "add", self.hub)
        run("ip", "-n", self.hub, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.hub, "link", "set", "br0", "up")
        self._trust = Trust(directory)
        self._trust.addresses = ("10.213.7.1",)
        self.broker = self.add("broker")
        # The broker's disk is small, so that it can be filled.
        self.small_disk(self.disk)
        self.broker.start(
            "maelstrom.cli.broker", "--listen", f"{self.broker.address}:{PORT}",
            "--identity", str(self._issue("broker/main")),
            "--store", str(self.disk / "store"),
        )  # fmt: skip
        self.wait_for(self.broker, "listening")

    def _issue(self, who: str) -> Path:
        """Return a certificate that is good now, a day ago and days from now."""
        return self._trust.issue(who, begun=timedelta(days=2))

    def small_disk(self, directory: Path) -> Path:
        """Make a directory that can be filled."""
        directory.mkdir()
        run("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(directory))
        self._disks.append(directory)
        return directory

    def add(self, name: str) -> Host:
        """Return a new host."""
        host = Host(self, name, len(self.hosts) + 1)
        self.hosts.append(host)
        return host

    @property
    def address(self) -> str:
        """Where the broker listens."""
        return f"{self.broker.address}:{PORT}"

    def wait_for(self, host: Host, word: str, timeout_s: float = READY_S) -> None:
        """Wait until a program has said a word."""
        end = time.monotonic() + timeout_s
        while word not in host.told.read_text():
            assert time.monotonic() < end, f"{host.name}: {host.told.read_text()[-2000:]}"
            time.sleep(0.05)

    def add_worker(self) -> Host:
        """Start a worker of two slots on a new host."""
        host = self.add(f"worker{len(self.hosts)}")
        host.start(
            "maelstrom.cli.worker", "--broker", self.address, "--slots", "2",
            "--identity", str(self._issue(f"worker/{host.name}")),
            "--store", str(self.small_disk(self.directory / host.name) / "store"),
        )  # fmt: skip
        return host

    def add_client(self, program: Path, *numbers: int) -> Host:
        """Start a client on a new host."""
        host = self.add(f"client{len(self.hosts)}")
        identity = self._issue(f"client/{host.name}")
        host.start(
            "tests.faults.submitter", self.address, str(identity), str(program),
            *map(str, numbers),
        )  # fmt: skip
        return host

    def add_flooder(self, count: int) -> Host:
        """Start a client that submits so many jobs, and reads nothing."""
        host = self.add(f"flooder{len(self.hosts)}")
        identity = self._issue(f"client/{host.name}")
        host.start("tests.faults.flooder", self.address, str(identity), str(count))
        return host

    def progress(self, client: Host) -> int:
        """Return how many of its jobs a client was told the end of, in hundreds."""
        lines = [line for line in client.told.read_text().split() if line.isdecimal()]
        return int(lines[-1]) if lines else 0

    def result(self, client: Host, timeout_s: float) -> dict[str, object]:
        """Wait for the end of a client; return what it says."""
        assert client.process is not None
        try:
            client.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            told = {host.name: host.told.read_text()[-1500:] for host in self.hosts}
            raise AssertionError(f"not done within {timeout_s} s: {told}") from None
        lines = client.told.read_text().splitlines()
        found: dict[str, object] = json.loads(lines[-1])
        return found

    def close(self) -> None:
        """End all, whatever it is in."""
        for host in reversed(self.hosts):
            if host.process is not None:
                signal_all(reversed(host.pids()), signal.SIGKILL)
                host.process.wait(10)
        for disk in self._disks:
            subprocess.run(["umount", "-l", disk], check=False)
        for space in [*(host.space for host in self.hosts), self.hub]:
            subprocess.run(["ip", "netns", "del", space], check=False)
