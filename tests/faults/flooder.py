"""A client that submits many jobs, and reads nothing that it is told: a program of its own.

Arguments: the broker's address, the directory of our certificate, how many jobs.
"""

import sys
import time
from pathlib import Path

from maelstrom.model.spec import JobSpec
from maelstrom.trust.identity import Role as TrustRole
from maelstrom.trust.tls import Tls
from maelstrom.wire import messages
from maelstrom.wire.address import connect, parse
from maelstrom.wire.connection import encode
from maelstrom.wire.framing import frame
from maelstrom.wire.greeting import Role, encode_hello, hello

AT_ONCE = 1000


def main() -> None:
    """Send, and stay."""
    address = parse(sys.argv[1])
    tls = Tls(Path(sys.argv[2]), [TrustRole.CLIENT])
    sock = connect(address)
    sock.settimeout(None)
    spec = JobSpec(program="/bin/true").encode()
    with tls.connecting.wrap_socket(sock, server_hostname=address.host) as wrapped:
        wrapped.sendall(frame(encode_hello(hello(Role.CLIENT, "flooder"))))
        for begin in range(1, int(sys.argv[3]) + 1, AT_ONCE):
            jobs = (messages.Submit(n, spec, ()) for n in range(begin, begin + AT_ONCE))
            wrapped.sendall(b"".join(frame(encode(job)) for job in jobs))
        print("all sent", flush=True)
        time.sleep(3600)


if __name__ == "__main__":
    main()
