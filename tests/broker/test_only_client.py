"""The broker of a stand-alone client lives as long as its client, no longer."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.wire.framing import frame
from maelstrom.wire.greeting import Role, encode_hello, hello

END_S = 30


@contextlib.contextmanager
def started(store: Path, *sockets: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    numbers = [sock.fileno() for sock in sockets]
    process = subprocess.Popen(
        [sys.executable, "-m", "maelstrom.cli.broker", "--connection-fd",
         ",".join(map(str, numbers)), os.fspath(store), "1000000"],
        pass_fds=numbers,
    )  # fmt: skip
    for sock in sockets:
        sock.close()
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("said", [b"", frame(encode_hello(hello(Role.CLIENT, "test")))])
def test_it_ends_when_its_client_went_before_it_was_there(tmp_path: Path, said: bytes) -> None:
    # The worker waits all the time, as it does when its client was killed.
    (client, clients), (worker, workers) = socket.socketpair(), socket.socketpair()
    client.sendall(said)
    client.close()
    with worker, started(tmp_path / "store", clients, workers) as broker:
        assert broker.wait(END_S) == 0


def test_it_ends_with_its_client_and_not_with_a_worker(tmp_path: Path) -> None:
    (client, clients), (worker, workers) = socket.socketpair(), socket.socketpair()
    with started(tmp_path / "store", clients, workers) as broker:
        worker.close()
        client.sendall(frame(encode_hello(hello(Role.CLIENT, "test"))))
        client.settimeout(END_S)
        assert client.recv(1)
        assert broker.poll() is None
        client.close()
        assert broker.wait(END_S) == 0
