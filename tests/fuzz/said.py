"""What a hostile peer may say: every message there is, with fields that are likely to hurt.

The kinds and their fields are read from `maelstrom.wire.messages`, so a new one is said here, too.
"""

import inspect
import types
import typing
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec
from hypothesis import strategies as st

from maelstrom.model.digest import Digest
from maelstrom.model.ids import JobId
from maelstrom.model.outcome import Cancelled, Effects, Exited, InfrastructureFault
from maelstrom.model.spec import JobSpec
from maelstrom.wire import messages
from maelstrom.wire.compression import compress
from maelstrom.wire.connection import encode
from maelstrom.wire.framing import frame
from tests.sim.disk import LAYERS, SOURCES

T = TypeVar("T")

KINDS: list[type[messages.Message]] = [
    kind
    for _, kind in inspect.getmembers(messages, inspect.isclass)
    if issubclass(kind, messages.Message) and kind is not messages.Message
]
_DIGESTS = [
    *SOURCES,
    Digest("0" * 64, 0),
    Digest("f" * 64, 1 << 62),
    msgspec.structs.replace(LAYERS[0], size=LAYERS[0].size + 1),
]
_BODIES = [
    b"",
    b"junk",
    b"\x91" * 2000,
    JobSpec(program="/hostile").encode(),
    JobSpec(program="/hostile", layers=tuple(LAYERS[:2])).encode(),
    *(encode(outcome) for outcome in (Exited(0, Effects()), Cancelled(), InfrastructureFault("x"))),
]
INTEGERS = (
    st.just(1) | st.integers(0, 4) | st.sampled_from([-1, 1 << 20, 1 << 31, 1 << 63, (1 << 64) - 1])
)
# The first client's first jobs are those that are about.
JOBS = st.builds(JobId, st.just(1) | INTEGERS, st.integers(1, 3) | INTEGERS)
_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    int: INTEGERS,
    float: st.sampled_from([0.0, 1.5, -1.0, 1e300, float("inf"), float("nan")]),
    bool: st.booleans(),
    str: st.sampled_from(["", "slots", "w0", "exclusive:a", "../x", "\0", "x" * 5000]),
    bytes: st.sampled_from(_BODIES) | st.binary(max_size=20),
    memoryview: st.sampled_from(_BODIES).map(memoryview),
    Digest: st.sampled_from(_DIGESTS),
    JobId: JOBS,
}


def _of(kind: Any) -> st.SearchStrategy[Any]:
    """Return values of a field's type."""
    kind = getattr(kind, "__supertype__", kind)
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    parts = typing.get_args(kind)
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return st.one_of(*map(_of, parts))
    if kind is types.NoneType:
        return st.none()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(kind)
    if typing.get_origin(kind) is dict:
        return st.dictionaries(*map(_of, parts), max_size=3)
    assert typing.get_origin(kind) is tuple, kind
    if parts[-1] is Ellipsis:
        some = st.lists(_of(parts[0]), max_size=3).map(tuple)
        return some | some.map(lambda values: (*values, *values))
    return st.tuples(*map(_of, parts))


def _struct(kind: type[T]) -> st.SearchStrategy[T]:
    fields = msgspec.structs.fields(kind)
    return st.builds(kind, **{field.name: _of(field.type) for field in fields})


@st.composite
def _parcel(draw: st.DrawFn) -> messages.Parcel:
    """Return a parcel of contents that are wanted, perhaps with a lie in it."""
    pieces = []
    content = b""
    for digest in draw(st.lists(st.sampled_from(sorted(SOURCES)), min_size=1, max_size=3)):
        source = SOURCES[digest]
        assert isinstance(source, bytes)
        begin = draw(st.sampled_from([0, 0, 0, digest.size // 2]))
        end = draw(st.sampled_from([digest.size, digest.size, begin + 20_000]))
        content += source[begin:end]
        length = max(0, min(end, digest.size) - begin)
        pieces.append(messages.Piece(digest, begin, length, draw(st.booleans())))
    lie = draw(st.sampled_from(["", "", "content", "zeros", "coding"]))
    if lie == "content":
        content = bytes(reversed(content))
    packed = compress(bytes(1 << 24) if lie == "zeros" else content)
    is_packed = packed is not None and draw(st.booleans())
    coding = messages.ZSTD if is_packed != (lie == "coding") else messages.PLAIN
    body = packed if is_packed and packed is not None else content
    return messages.Parcel(tuple(pieces), coding, memoryview(body))


def _message(kind: type[messages.Message]) -> st.SearchStrategy[messages.Message]:
    if kind is messages.Parcel:
        return _parcel() | _struct(kind)
    return _struct(kind)


class Said(NamedTuple):
    """Bytes for a connection; then a wait."""

    content: bytes
    way: str
    wait_s: float


WAYS = ("main", "main", "main", "blobs", "again")
"""The first connection, one for contents, and a new one that takes the place of the first."""


def said(kinds: Iterable[type[messages.Message]]) -> st.SearchStrategy[list[Said]]:
    """Return speeches: mostly of these kinds, now and then of any, or of what is none."""
    likely = st.sampled_from(list(kinds)).flatmap(_message).map(encode)
    body = st.one_of(
        *[likely] * 10,
        st.sampled_from(KINDS).flatmap(_message).map(encode),
        st.lists(INTEGERS, max_size=4).map(encode),
        st.binary(min_size=1, max_size=30),
    )
    piece = st.one_of(
        *[likely.map(frame)] * 15,
        body.map(frame),
        st.lists(body, max_size=4).map(lambda bodies: b"".join(map(frame, bodies))),
        st.tuples(body.map(frame), st.integers(1, 6)).map(lambda cut: cut[0][: -cut[1]]),
        st.binary(max_size=30),
    )
    waits = st.sampled_from([0.0, 0.0, 0.01, 0.5, 3.0])
    return st.lists(st.builds(Said, piece, st.sampled_from(WAYS), waits), max_size=12)
