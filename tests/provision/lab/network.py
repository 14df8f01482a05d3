"""The lab's network: a bridge and every host in network namespaces of their own.

Nothing is added to the machine's own network namespace, and no host has a way out.
"""

import ctypes
import os
import socket
from pathlib import Path

from tests.provision.lab.command import run

PREFIX = "10.213.0."
CLONE_NEWNET = 0x40000000
_NAMESPACES = Path("/run/netns")


class Network:
    """The namespaces of one lab; all their names begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.hub = f"{prefix}-hub"

    def open(self) -> None:
        """Make the bridge, and the controller's place at it."""
        run("ip", "netns", "add", self.hub)
        lines = ("link set lo up", "link add br0 type bridge forward_delay 0", "link set br0 up")
        run("ip", "-n", self.hub, "-b", "-", stdin="\n".join(lines))
        self.add("ctl", PREFIX + "1")

    def add(self, name: str, address: str) -> None:
        """Make the namespace of one host."""
        namespace = self.namespace(name)
        run("ip", "netns", "add", namespace)
        lines = (
            "link set lo up",
            f"link add host0 type veth peer name v-{name} netns {self.hub}",
            f"addr add {address}/24 dev host0",
            "link set host0 up",
        )
        run("ip", "-n", namespace, "-b", "-", stdin="\n".join(lines))
        run("ip", "-n", self.hub, "link", "set", f"v-{name}", "master", "br0", "up")

    def namespace(self, name: str) -> str:
        """Return the name of a host's namespace."""
        return f"{self.prefix}-{name}"

    def set_link(self, name: str, state: str) -> None:
        """Plug a host in (`up`) or out (`down`)."""
        run("ip", "-n", self.hub, "link", "set", f"v-{name}", state)

    def enter_controller(self) -> None:
        """Move the calling thread into the controller's namespace, for good."""
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(_NAMESPACES, self.namespace("ctl")).open() as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def answers(self, address: str, port: int, start: bytes) -> bool:
        """Whether a service there begins what it says with `start`; from the controller."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            self.enter_controller()
            with socket.create_connection((address, port), 1) as connection:
                return connection.recv(len(start)) == start
        except OSError:
            return False
        finally:
            ctypes.CDLL(None).setns(here, CLONE_NEWNET)
            os.close(here)

    def close(self) -> None:
        """Remove it all."""
        for path in _NAMESPACES.glob(f"{self.prefix}-*"):
            run("ip", "netns", "del", path.name, check=False)
