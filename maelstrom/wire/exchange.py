"""Questions and answers over one connection, for programs that do nothing else."""

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any, TypeVar

from maelstrom import __version__
from maelstrom.errors import ConnectionLost, ProtocolError, TrustError
from maelstrom.trust.identity import Role as TrustRole
from maelstrom.trust.tls import Tls, explain
from maelstrom.wire import messages
from maelstrom.wire.address import Address, connect
from maelstrom.wire.connection import Codec, encode
from maelstrom.wire.framing import FRAME_BYTES_MAX, Framer, frame
from maelstrom.wire.greeting import Role, agree, encode_hello, hello, read_hello

ANSWER_S_MAX = 15.0

M = TypeVar("M")


class Exchange:
    """An open connection."""

    def __init__(self, sock: Any, role: Role, codec: Codec[Any]) -> None:
        self._sock = sock
        self._codec = codec
        self._framer = Framer(FRAME_BYTES_MAX)
        self._bodies: list[bytes] = []
        ours = hello(role, __version__)
        sock.sendall(frame(encode_hello(ours)))
        agree(ours, read_hello(self._body()))

    def ask(self, message: messages.Message, answer: type[M]) -> M:
        """Return the answer to a message; raises what the broker says is wrong."""
        self._sock.sendall(frame(encode(message)))
        while True:
            found = self._codec.read(self._body())
            if isinstance(found, messages.Goodbye | messages.Failed):
                raise TrustError(found.message[:1000], hint=found.hint[:1000])
            if isinstance(found, answer):
                return found

    def _body(self) -> bytes:
        while not self._bodies:
            received = self._sock.recv(1 << 16)
            if not received:
                raise ProtocolError(
                    "the broker ended the connection",
                    hint="it may not accept our certificate; its log says why",
                )
            self._bodies += self._framer.feed(received)
        return self._bodies.pop(0)


@contextlib.contextmanager
def exchange(
    address: Address,
    role: Role,
    codec: Codec[Any],
    *,
    tls: Tls | None = None,
    context: ssl.SSLContext | None = None,
) -> Iterator[Exchange]:
    """Reach a broker, with our certificate or by a context of one's own; raises MaelstromError."""
    end = f"the broker at {address}"
    sock = connect(address)
    sock.settimeout(ANSWER_S_MAX)
    if tls is not None:
        context = tls.connecting
    try:
        if context is None:
            yield Exchange(sock, role, codec)
            return
        with context.wrap_socket(sock, server_hostname=address.host) as wrapped:
            if tls is not None:
                tls.judge(wrapped.getpeercert(), [TrustRole.BROKER])
            yield Exchange(wrapped, role, codec)
    except ssl.SSLError as error:
        presented = tls.certificate if tls is not None else None
        raise explain(error, end=end, presented=presented) from error
    except OSError as error:
        raise ConnectionLost(f"{end} broke off: {error.strerror or error}") from error
    finally:
        sock.close()
