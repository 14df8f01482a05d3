"""Somebody who runs a cluster from the lab's controller: an inventory, and the commands."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.provision.lab.host import Host
from tests.provision.lab.lab import Lab

PROJECT = Path(__file__).parents[3]
COMMAND_S_MAX = 240


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, what it wrote, and how long it took."""

    status: int
    text: str
    seconds: float

    def __str__(self) -> str:
        return f"status {self.status} after {self.seconds:.1f} s:\n{self.text}"


class Operator:
    """The operator of one cluster, with a directory of his own."""

    def __init__(self, lab: Lab, directory: Path, *, user: str = "admin") -> None:
        directory.mkdir()
        self.lab = lab
        self.directory = directory
        self.inventory = directory / "cluster.toml"
        self.known_hosts = directory / "hosts"
        self.known_hosts.write_text(lab.known_hosts())
        self.user = user
        self.wheel = ""
        self.more = ""  # For the broker's table.
        self.more_of_workers = ""

    def write(self, broker: Host, workers: Sequence[Host]) -> None:
        """Write the inventory; workers are named w1, w2, ..."""
        lines = ["format = 1"]
        lines += [f'wheel = "{self.wheel}"'] if self.wheel else []
        lines += [
            "[ssh]", f'user = "{self.user}"', f'key = "{self.lab.key}"',
            f'known_hosts = "{self.known_hosts}"',
            "[broker]", f'host = "{broker.address}"', *self.more.splitlines(),
        ]  # fmt: skip
        for number, host in enumerate(workers, 1):
            lines += [f"[workers.w{number}]", f'host = "{host.address}"', "slots = 2"]
            lines += self.more_of_workers.splitlines()
        self.inventory.write_text("\n".join([*lines, ""]))

    def start(self, verb: str, *arguments: str, **options: object) -> subprocess.Popen[str]:
        """Begin one of the commands."""
        command = [sys.executable, "-m", "provision", verb, "--inventory", str(self.inventory)]
        return subprocess.Popen(
            self.lab.command(*command, *arguments),
            cwd=PROJECT,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,  # type: ignore[call-overload]
        )

    def run(self, verb: str, *arguments: str, stdin: str = "") -> Said:
        """Run one of the commands to its end."""
        began = time.monotonic()
        process = self.start(verb, *arguments)
        text, _ = process.communicate(stdin, timeout=COMMAND_S_MAX)
        said = Said(process.returncode, text, time.monotonic() - began)
        print(f"--- {verb} {' '.join(arguments)}\n{said}")
        return said

    def _environment(self) -> dict[str, str]:
        # Nothing of this machine's ssh: neither its agent, nor its keys and configuration.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SSH_")}
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return {**kept, "HOME": str(home), "XDG_CACHE_HOME": cache}
