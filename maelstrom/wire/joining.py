"""Get a certificate from a broker: the first one with a join token, later ones with the one before.

Rules of this file:
1. The token leaves this host only when the broker has proved that it belongs to the authority which
   the token names.
2. A key never leaves this host.
"""

import contextlib
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from maelstrom import __version__
from maelstrom.errors import ConnectionLost, MaelstromError, ProtocolError, TrustError
from maelstrom.trust import build, tokens
from maelstrom.trust.holder import Holder
from maelstrom.trust.identity import Role as TrustRole
from maelstrom.trust.tls import Tls, context, explain
from maelstrom.wire import messages
from maelstrom.wire.address import Address, connect
from maelstrom.wire.connection import Codec, encode
from maelstrom.wire.framing import Framer, frame
from maelstrom.wire.greeting import Role, agree, encode_hello, hello, read_hello

ANSWER_S_MAX = 15.0
ANSWER_BYTES_MAX = 1 << 20

_FROM_BROKER: Codec[messages.BrokerToJoin] = Codec(messages.BrokerToJoin)
_log = logging.getLogger("maelstrom.joining")

M = TypeVar("M", messages.Authority, messages.Enrolled)


def enrol(address: Address, directory: Path, token: str, name: str) -> None:
    """Have a certificate in the directory, if there is none yet; raises MaelstromError."""
    holder = Holder(directory)
    if holder.is_complete:
        return
    shown = tokens.parse(token)
    blind = context(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    with _open(address, blind) as exchange:
        authority = exchange.ask(messages.AskAuthority(), messages.Authority).certificate
    if build.pin(build.from_pem(authority)) != shown.pin:
        raise TrustError(
            f"the broker at {address} belongs to another authority than the join token",
            hint="is the address right? somebody may be pretending to be the broker",
        )
    with _open(address, context(ssl.PROTOCOL_TLS_CLIENT, authority=authority)) as exchange:
        request = holder.request(name)
        told = exchange.ask(messages.Enrol(token.strip(), name, request), messages.Enrolled)
    holder.install(told.certificate, authority, told.revoked)
    _log.info("joined", extra={"fields": {"identity": f"worker/{name}", "broker": str(address)}})


def renew(address: Address, tls: Tls) -> None:
    """Have a newer certificate; raises MaelstromError."""
    holder = Holder(tls.directory)
    with _open(address, tls.connecting, tls) as exchange:
        request = holder.request(str(tls.certificate.identity))
        told = exchange.ask(messages.Renew(request), messages.Enrolled)
    holder.install(told.certificate, tls.authority, told.revoked)
    tls.refresh()
    _log.info("certificate renewed", extra={"fields": {"certificate": str(tls.certificate)}})


class _Exchange:
    """Questions and answers over one connection."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock
        self._framer = Framer(ANSWER_BYTES_MAX)
        self._bodies: list[bytes] = []
        ours = hello(Role.JOIN, __version__)
        sock.sendall(frame(encode_hello(ours)))
        agree(ours, read_hello(self._body()))

    def ask(self, message: messages.Message, answer: type[M]) -> M:
        """Return the answer to a message; raises what the broker says is wrong."""
        self._sock.sendall(frame(encode(message)))
        while True:
            found = _FROM_BROKER.read(self._body())
            if isinstance(found, messages.Goodbye):
                raise TrustError(found.message[:1000], hint=found.hint[:1000])
            if isinstance(found, answer):
                return found

    def _body(self) -> bytes:
        while not self._bodies:
            received = self._sock.recv(1 << 16)
            if not received:
                raise ProtocolError("the broker ended the connection")
            self._bodies += self._framer.feed(received)
        return self._bodies.pop(0)


@contextlib.contextmanager
def _open(address: Address, tls: ssl.SSLContext, ours: Tls | None = None) -> Iterator[_Exchange]:
    end = f"the broker at {address}"
    sock = connect(address)
    sock.settimeout(ANSWER_S_MAX)
    try:
        with tls.wrap_socket(sock, server_hostname=address.host) as wrapped:
            if ours is not None:
                ours.judge(wrapped.getpeercert(), [TrustRole.BROKER])
            yield _Exchange(wrapped)
    except ssl.SSLError as error:
        presented = ours.certificate if ours is not None else None
        raise explain(error, end=end, presented=presented) from error
    except OSError as error:
        raise ConnectionLost(f"{end} broke off: {error.strerror or error}") from error
    finally:
        sock.close()


def renew_if_due(address: Address, tls: Tls) -> None:
    """Renew in time; what goes wrong is only logged, for there is time to try again."""
    try:
        if tls.is_due():
            renew(address, tls)
    except (TimeoutError, MaelstromError) as error:
        _log.warning("certificate not renewed", extra={"fields": {"reason": str(error)}})
