"""Addresses of a broker.

HOST:PORT, [IPV6]:PORT   TLS with certificates on both ends
plain:HOST:PORT          plaintext, on the loopback device only
unix:PATH                plaintext: the file system says who may connect
"""

import ipaddress
import socket
from typing import NamedTuple

from maelstrom.errors import ConnectionLost, UserError

CONNECT_S_MAX = 10.0
_MAPPED = "::ffff:"
"""Before an IPv4 address that came to a socket of IPv6."""


class Address(NamedTuple):
    """Where a broker listens: `path`, or else `host` and `port`."""

    host: str = ""
    port: int = 0
    path: str = ""
    is_plain: bool = False

    @property
    def wants_tls(self) -> bool:
        """Whether both ends must have certificates."""
        return not self.path and not self.is_plain

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        prefix = "plain:" if self.is_plain else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{prefix}{host}:{self.port}"


def parse(text: str) -> Address:
    """Read an address; raises UserError for what is none, or is plaintext off this machine."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address(path=text.removeprefix("unix:"))
    is_plain = text.startswith("plain:")
    host, colon, port = text.removeprefix("plain:").rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise UserError(
            f"`{text}` is not an address",
            hint="write HOST:PORT, [IPV6]:PORT, unix:PATH, or plain:HOST:PORT without TLS",
        )
    if is_plain and not is_loopback(host):
        raise UserError(
            f"`{text}` is not on this machine, and plaintext stays on the machine",
            hint="leave `plain:` out and use certificates, or use 127.0.0.1, [::1] or localhost",
        )
    return Address(host, int(port), is_plain=is_plain)


def is_loopback(host: str) -> bool:
    """Whether a name or address of a host can only be this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.removeprefix(_MAPPED)).is_loopback
    except ValueError:
        return False


def connect(address: Address) -> socket.socket:
    """Connect to a broker; raises ConnectionLost naming it."""
    try:
        if address.path:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.settimeout(CONNECT_S_MAX)
                sock.connect(address.path)
            except OSError:
                sock.close()
                raise
        else:
            sock = socket.create_connection((address.host, address.port), CONNECT_S_MAX)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise ConnectionLost(
            f"cannot reach the broker at {address}: {error.strerror or error}",
            hint="is `maelstrom-broker` running there?",
        ) from error
    sock.setblocking(False)
    return sock
