"""Some Debian hosts with addresses of their own, and a place from which to command them."""

import os
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.provision.lab import cgroups
from tests.provision.lab.command import run
from tests.provision.lab.host import Host
from tests.provision.lab.network import PREFIX, Network

VAR_BYTES = 700 << 20


class Lab:
    """Hosts h1, h2, ...; entering it boots them, leaving it removes all traces."""

    def __init__(self, images: list[Path], *, var_bytes: int = VAR_BYTES) -> None:
        self._images = images
        self._var_bytes = var_bytes
        self.network = Network("ml" + uuid.uuid4().hex[:5])
        self.directory = Path(tempfile.mkdtemp(prefix="maelstrom-hosts-", dir="/var/tmp"))
        self.key = self.directory / "key"
        self._bases: list[Path] = []
        self.hosts = [
            Host(f"h{i}", f"{PREFIX}{10 + i}", network=self.network, directory=self.directory)
            for i in range(1, len(images) + 1)
        ]

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _open(self) -> None:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", self.key)
        public = self.key.with_suffix(".pub").read_text()
        self.network.open()
        mounted = {image: self._mount(image) for image in dict.fromkeys(self._images)}

        def make(host: Host, image: Path) -> None:
            self.network.add(host.name, host.address)
            host.install(mounted[image], public, self._var_bytes)
            host.boot()

        with ThreadPoolExecutor(len(self.hosts)) as pool:
            list(pool.map(make, self.hosts, self._images))

    def _mount(self, image: Path) -> Path:
        base = self.directory / f"base-{len(self._bases)}"
        base.mkdir()
        run("mount", "-o", "loop,ro", image, base)
        self._bases.append(base)
        return base

    def _close(self) -> None:
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            list(pool.map(Host.destroy, self.hosts))
        self.network.close()
        cgroups.remove(self.network.prefix)
        for base in self._bases:
            run("umount", base, check=False)
        run("rm", "-rf", "--one-file-system", self.directory)

    def known_hosts(self) -> str:
        """Return the hosts' true keys as a known_hosts file has them."""
        return "".join(f"{host.address} {host.host_key}\n" for host in self.hosts)

    def command(self, *words: str) -> list[str]:
        """Return how to run a program from the controller's place."""
        # `ip netns exec` would mount another /sys, where cgroups are missing.
        return ["nsenter", f"--net=/run/netns/{self.network.namespace('ctl')}", *words]

    def environment(self) -> dict[str, str]:
        """Return an environment without anything of this machine's ssh."""
        return {k: v for k, v in os.environ.items() if not k.startswith("SSH_")}
