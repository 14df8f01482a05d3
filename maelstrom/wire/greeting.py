"""Say who we are, and tell whether two ends can talk.

Both ends send a Hello as their first frame, without waiting for the other's. Its encoding never
changes except by new fields at its end, so that any two versions can read each other's.
"""

import enum

import msgspec

from maelstrom.errors import ProtocolError
from maelstrom.wire.framing import FRAME_BYTES_MAX

PROTOCOL_MIN = 2
PROTOCOL_MAX = 2
MAGIC = "maelstrom"


class Role(enum.Enum):
    """What a connection is for."""

    BROKER = "broker"
    CLIENT = "client"
    WORKER = "worker"
    BLOBS = "blobs"
    """Content of a client or a worker, which names itself by the token the broker gave it."""
    ADMIN = "admin"
    """An operator: looks, drains, cancels, stops."""
    JOIN = "join"
    """Somebody who wants a certificate, or a newer one."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=MAGIC):
    """The first frame of each end."""

    protocol_min: int
    protocol_max: int
    role: Role
    build: str
    """The program's version, for a person."""
    frame_bytes_max: int = FRAME_BYTES_MAX
    token: str = ""


_decode = msgspec.msgpack.Decoder(Hello).decode
encode_hello = msgspec.msgpack.Encoder().encode


def hello(role: Role, build: str, token: str = "") -> Hello:
    """Return what this program says of itself."""
    return Hello(PROTOCOL_MIN, PROTOCOL_MAX, role, build, FRAME_BYTES_MAX, token)


def read_hello(body: bytes) -> Hello:
    """Read the other end's first frame."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(
            "the other end did not say hello",
            hint="is it a Maelstrom program? check host and port",
        ) from error


def agree(ours: Hello, theirs: Hello) -> int:
    """Return the protocol version both speak; raises ProtocolError naming who must be upgraded."""
    version = min(ours.protocol_max, theirs.protocol_max)
    if version >= max(ours.protocol_min, theirs.protocol_min):
        return version
    older, newer = sorted((ours, theirs), key=lambda end: end.protocol_max)
    raise ProtocolError(
        f"{_describe(ours)} and {_describe(theirs)} do not understand each other",
        hint=f"upgrade the {older.role.value} to {newer.build} "
        f"(or the {newer.role.value} to a version that speaks protocol {older.protocol_max})",
    )


def _describe(end: Hello) -> str:
    spoken = (
        str(end.protocol_max)
        if end.protocol_min == end.protocol_max
        else f"{end.protocol_min} to {end.protocol_max}"
    )
    return f"{end.role.value} {end.build[:40]} (protocol {spoken})"
