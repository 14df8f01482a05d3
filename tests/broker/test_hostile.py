"""A real broker among hostile peers: each is turned away, and the others are served."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.errors import MaelstromError
from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId
from maelstrom.model.manifest import File, Manifest
from maelstrom.model.outcome import InfrastructureFault
from maelstrom.wire import connection as connections
from maelstrom.wire import messages
from maelstrom.wire.connection import Codec, Connection, encode
from maelstrom.wire.framing import frame
from maelstrom.wire.greeting import Hello, Role, encode_hello, hello
from tests.support.by_hand import TO_WORKER, Peer, greeting
from tests.support.cluster import Crew
from tests.support.parcels import parcel

BLOBS: Codec[messages.Message] = Codec(messages.Blobs)


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    crew = Crew(tmp_path_factory.mktemp("crew"))
    crew.start("tcp", workers=0)
    yield crew
    crew.close()


def client(crew: Crew) -> tuple[Peer, str]:
    peer = Peer(crew.address, greeting(Role.CLIENT))
    peer.body()
    welcome = peer.until(messages.Welcome)
    assert isinstance(welcome, messages.Welcome)
    return peer, welcome.token


def is_serving(crew: Crew) -> bool:
    peer, token = client(crew)
    peer.close()
    return bool(token)


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff" * 100,
        b"\0\0\0\0",
        frame(b"\x91" * 4000),
        frame(encode_hello(Hello(7, 9, Role.CLIENT, "99.0"))),
        greeting(Role.BROKER),
        greeting(Role.BLOBS, "no such token"),
    ],
    ids=["http", "noise", "empty", "nested", "future", "broker", "token"],
)
def test_a_stranger_is_let_go_and_the_others_are_served(crew: Crew, first: bytes) -> None:
    peer = Peer(crew.address, first)
    with pytest.raises((EOFError, ConnectionResetError)):
        peer.read_on()
    peer.close()
    assert is_serving(crew)


SUBMIT = messages.Submit(1, b"spec", ())
JOB = JobId(ClientId(1), 1)
BREACHES = {
    "garbage": (Role.CLIENT, frame(b"\xc1\xc1"), "cannot be read"),
    "a worker's message": (Role.CLIENT, frame(encode(messages.Join("x", 1))), "cannot be read"),
    "a frame too large": (Role.CLIENT, b"\x7f\xff\xff\xff", "this end accepts"),
    "one job twice": (Role.CLIENT, frame(encode(SUBMIT)) * 2, "submitted twice"),
    "files of another machine": (
        Role.CLIENT,
        frame(encode(messages.Offer(((Digest.of(b""), b"/etc/shadow"),)))),
        "another machine",
    ),
    "a digest that is none": (
        Role.CLIENT,
        frame(encode(messages.Want((Digest.of(b""),))).replace(b"e3b0", b"../x")),
        "cannot be read",
    ),
    "a job without a number": (
        Role.CLIENT,
        frame(encode(messages.Submit(0, b"spec", ()))),
        "cannot have the number 0",
    ),
    "outcomes that never were": (
        Role.CLIENT,
        frame(encode(messages.Ping(heard=5))),
        "so many were not sent",
    ),
    "two workers in one": (
        Role.WORKER,
        frame(encode(messages.Join("x", 1))) * 2,
        "joined twice",
    ),
    "no slots": (Role.WORKER, frame(encode(messages.Join("x", 0))), "without slots"),
    "a report before joining": (
        Role.WORKER,
        frame(encode(messages.Report(JOB, 1, b"", is_fault=False))),
        "before it joined",
    ),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_answered_with_its_reason(crew: Crew, name: str) -> None:
    role, sent, reason = BREACHES[name]
    peer = Peer(crew.address, greeting(role))
    peer.body()
    peer.sock.sendall(sent)
    assert reason in peer.goodbye().message
    peer.close()
    assert is_serving(crew)


def test_what_is_resumed_and_was_never_there_is_unknown(crew: Crew) -> None:
    first, token = client(crew)
    first.close()
    again = Peer(crew.address, greeting(Role.CLIENT, token))
    again.body()
    welcome = again.until(messages.Welcome)
    assert isinstance(welcome, messages.Welcome)
    assert welcome.is_resumed
    again.send(messages.Resume((1, 7, 7, -3)))
    assert again.until(messages.Unknown) == messages.Unknown((1, 7, -3))
    # A token is good for one kind of peer.
    other = Peer(crew.address, greeting(Role.WORKER, token))
    other.body()
    welcome = other.until(messages.Welcome)
    assert isinstance(welcome, messages.Welcome)
    assert not welcome.is_resumed
    again.close()
    other.close()


def test_a_worker_that_holds_what_it_was_not_given_is_to_end_it(crew: Crew) -> None:
    worker = Peer(crew.address, greeting(Role.WORKER))
    worker.body()
    worker.until(messages.Welcome)
    worker.send(messages.Join("liar", 1, (), ((JOB, 3),)))
    assert worker.until(messages.Kill, TO_WORKER) == messages.Kill(JOB, 3)
    worker.close()


def test_a_worker_that_reports_what_it_was_not_given_changes_nothing(crew: Crew) -> None:
    peer = Peer(crew.address, greeting(Role.WORKER))
    peer.body()
    peer.send(
        messages.Join("x", 1),
        messages.Report(JobId(ClientId(999), 1), 1, b"junk", is_fault=False),
        messages.Return(JobId(ClientId(999), 1), 1),
        messages.Started(JobId(ClientId(999), 1), 1),
        messages.Ping(),
    )
    assert is_serving(crew)
    peer.close()


def test_wrong_content_is_refused_and_fails_only_its_own_jobs(crew: Crew) -> None:
    manifest = Manifest([("x", File(Digest.of(b"right")))])
    peer, token = client(crew)
    peer.send(messages.Submit(1, b"spec", (manifest.digest,)))
    assert peer.until(messages.Want) == messages.Want((manifest.digest,))
    blobs = Peer(crew.address, greeting(Role.BLOBS, token))
    blobs.body()
    blobs.send(parcel(manifest.encoded))
    assert (manifest.digest,) == blobs.until(messages.Took, BLOBS).stored  # type: ignore[attr-defined]
    assert peer.until(messages.Want) == messages.Want((Digest.of(b"right"),))
    blobs.send(parcel(b"wrong", says=Digest.of(b"right")))
    assert isinstance(blobs.until(messages.Refused, BLOBS), messages.Refused)
    ended = peer.until(messages.Ended)
    assert isinstance(ended, messages.Ended)
    assert InfrastructureFault.__struct_config__.tag.encode() in ended.outcome  # type: ignore[union-attr]  # It has one.
    blobs.close()
    peer.close()


def test_a_blob_that_nobody_asked_for_is_refused(crew: Crew) -> None:
    peer, token = client(crew)
    blobs = Peer(crew.address, greeting(Role.BLOBS, token))
    blobs.body()
    blobs.send(parcel(b"gift"))
    found = blobs.until(messages.Goodbye, BLOBS)
    assert "without being asked" in str(found)
    blobs.close()
    peer.close()


def test_a_blob_that_breaks_off_may_be_sent_again(crew: Crew) -> None:
    content = Manifest([]).encoded
    peer, token = client(crew)
    peer.send(messages.Submit(1, b"spec", (Digest.of(content),)))
    assert peer.until(messages.Want)
    whole = frame(encode(parcel(content)))
    for sent in (whole[:-2], whole):
        blobs = Peer(crew.address, greeting(Role.BLOBS, token))
        blobs.body()
        blobs.sock.sendall(sent)
        if sent == whole:
            assert blobs.until(messages.Took, BLOBS)
        blobs.close()
    peer.close()


class Listener:
    """Who owns a connection and waits for its end."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[MaelstromError | None] = (
            asyncio.get_running_loop().create_future()
        )

    def greeted(self, theirs: Hello) -> None:
        """Fine."""

    def received(self, message: object) -> None:
        """Fine."""

    def lost(self, error: MaelstromError | None) -> None:
        self.ended.set_result(error)


@pytest.mark.parametrize(
    ("first", "reason"),
    [(b"", "did not say hello within"), (greeting(Role.CLIENT), "was silent for")],
)
async def test_a_half_open_connection_is_noticed(
    first: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "GREETING_S_MAX", 0.1)
    monkeypatch.setattr(connections, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(connections, "SILENCE_S_MAX", 0.2)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        theirs.sendall(first)
        listener = Listener()
        connection = Connection(
            hello(Role.BROKER, "test"),
            owner=listener,
            codec=Codec(messages.ClientToBroker),
            expects=(Role.CLIENT,),
        )
        await asyncio.get_running_loop().create_connection(lambda: connection, sock=ours)
        error = await asyncio.wait_for(listener.ended, 5)
    assert error is not None
    assert reason in error.message


async def test_a_peer_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "OUTGOING_BYTES_MAX", 1 << 20)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        theirs.sendall(greeting(Role.CLIENT))
        listener = Listener()
        connection = Connection(
            hello(Role.BROKER, "test"),
            owner=listener,
            codec=Codec(messages.ClientToBroker),
            expects=(Role.CLIENT,),
        )
        await asyncio.get_running_loop().create_connection(lambda: connection, sock=ours)
        for _ in range(100):
            connection.send(messages.Ended(1, b"x" * (1 << 17)))
            await asyncio.sleep(0)
        error = await asyncio.wait_for(listener.ended, 5)
    assert error is not None
    assert "does not read" in error.message


@pytest.mark.parametrize("arguments", [("--listen", "plain:0.0.0.0:1"), ("--listen", "x")])
def test_a_wrong_command_line_is_explained_without_a_traceback(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    process = Crew(tmp_path)._spawn("broker", *arguments)
    _, told = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "--listen" in told
    assert "Traceback" not in told
