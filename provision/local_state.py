"""What the operator's machine keeps of a cluster, beside `cluster.toml`."""

import fcntl
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maelstrom.errors import InfrastructureError


class LocalState:
    """The directory of one cluster: the CA, the hosts' keys, a lock."""

    def __init__(self, inventory: Path) -> None:
        self.directory = inventory.resolve().parent / f".{inventory.stem}"
        self.known_hosts = self.directory / "known_hosts"

    def open(self) -> None:
        """Make it; nobody else may look into it."""
        self.directory.mkdir(mode=0o700, exist_ok=True)
        ignore = self.directory / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs on this machine off this cluster."""
        self.open()
        with Path(self.directory, "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InfrastructureError(
                    "another run on this machine is changing this cluster",
                    hint=f"wait until it is done; it holds `{file.name}`",
                ) from None
            yield

    def write_environment(self, broker: str, identity: Path) -> Path:
        """Write what a shell needs so that `scons test --maelstrom` finds the cluster."""
        path = self.directory / "environment"
        values = {"MAELSTROM_BROKER": broker, "MAELSTROM_IDENTITY": str(identity)}
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
        path.write_text("".join(lines))
        return path

    def accept(self, line: str) -> None:
        """Remember a host's key."""
        self.open()
        descriptor = os.open(self.known_hosts, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(line)
