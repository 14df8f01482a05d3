"""Streams of bytes, cut anywhere, give the same frames; what cannot be a frame is refused early."""

import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maelstrom.errors import ProtocolError
from maelstrom.wire import messages
from maelstrom.wire.connection import Codec, encode
from maelstrom.wire.framing import Framer, frame

# A checkout may be read-only, so no examples are kept on disk.
keeping_nothing = settings(database=None)

BODIES = st.lists(st.binary(min_size=1, max_size=300), max_size=8)


def feed(framer: Framer, stream: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    found = []
    for start, end in itertools.pairwise(places):
        if start < end:
            found += list(framer.feed(stream[start:end]))
    return found


@keeping_nothing
@given(BODIES, st.lists(st.integers(0, 3000), max_size=12))
def test_frames_come_out_as_they_went_in(bodies: list[bytes], cuts: list[int]) -> None:
    framer = Framer(1000)
    assert feed(framer, b"".join(map(frame, bodies)), cuts) == bodies
    assert framer.is_between


@pytest.mark.parametrize("head", [b"\0\0\0\0", b"\0\0\x03\xe9", b"GET ", b"\xff\xff\xff\xff"])
def test_a_frame_that_cannot_be_is_refused_at_its_length(head: bytes) -> None:
    with pytest.raises(ProtocolError, match="this end accepts 1 to 1000"):
        list(Framer(1000).feed(head))


CODECS = {
    "client": Codec(messages.ClientToBroker),
    "worker": Codec(messages.WorkerToBroker),
    "to a client": Codec(messages.BrokerToClient),
    "to a worker": Codec(messages.BrokerToWorker),
    "blobs": Codec(messages.Blobs),
}


@pytest.mark.parametrize("name", CODECS)
@keeping_nothing
@given(body=st.binary(max_size=200))
def test_garbage_is_a_protocol_error(name: str, body: bytes) -> None:
    try:
        CODECS[name].read(body)
    except ProtocolError:
        return
    # What can be read, by chance, is a message.


@keeping_nothing
@given(st.integers(0, 60), st.integers(0, 255))
def test_a_damaged_message_is_a_protocol_error_or_a_message(at: int, value: int) -> None:
    body = bytearray(encode(messages.Submit(1, b"spec", (), priority=3)))
    body[at % len(body)] = value
    # By chance it is a message still; then nothing is raised.
    with contextlib.suppress(ProtocolError):
        CODECS["client"].read(bytes(body))


def test_deep_nesting_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        CODECS["client"].read(b"\x91" * 100_000)
