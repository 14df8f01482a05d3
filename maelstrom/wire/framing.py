"""Cut a stream of bytes into frames; no I/O.

    frame = length (4 bytes, big-endian, of the body) + body (1 .. frame_bytes_max bytes)

Rules of this file:
1. All complete frames of a read are returned at once; a body is copied once.
2. Nothing is kept beyond one incomplete frame, so a peer cannot make us hold more than the limit.
"""

import struct
from collections.abc import Iterator

from maelstrom.errors import ProtocolError

FRAME_BYTES_MAX = 64 << 20
HELLO_BYTES_MAX = 4096
"""Before a peer has said who it is, it gets no more than this."""

_HEAD = struct.Struct(">I")
head, _unpack = _HEAD.pack, _HEAD.unpack_from
"""`head` returns what stands in front of a body of so many bytes."""


def frame(body: bytes) -> bytes:
    """Return the body with its length in front."""
    return head(len(body)) + body


class Framer:
    """Takes bytes as they come, yields bodies of frames."""

    __slots__ = ("_kept", "frame_bytes_max")

    def __init__(self, frame_bytes_max: int = HELLO_BYTES_MAX) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._kept = bytearray()

    @property
    def is_between(self) -> bool:
        """Whether the stream may end here without loss."""
        return not self._kept

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Yield what is complete; raises ProtocolError for a frame that cannot be."""
        data: bytes | memoryview = received
        if self._kept:
            self._kept += received
            # A large frame comes in many reads: look no further before it can be whole.
            if len(self._kept) >= 4 and len(self._kept) < 4 + self._length(self._kept):
                return
            data = memoryview(self._kept)
            self._kept = bytearray()
        end = len(data)
        body = 4
        while body <= end:
            (length,) = _unpack(data, body - 4)
            # Not once for all: the limit may grow with a frame, as with the greeting.
            if not 1 <= length <= self.frame_bytes_max:
                raise self._refusal(length)
            if body + length > end:
                break
            found = data[body : body + length]
            yield found if isinstance(found, bytes) else bytes(found)
            body += length + 4
        if body - 4 < end:
            self._kept = bytearray(data[body - 4 :])

    def _length(self, data: bytearray) -> int:
        length: int = _unpack(data, 0)[0]
        if not 1 <= length <= self.frame_bytes_max:
            raise self._refusal(length)
        return length

    def _refusal(self, length: int) -> ProtocolError:
        return ProtocolError(
            f"a frame of {length} bytes; this end accepts 1 to {self.frame_bytes_max}",
            hint="is the other end a Maelstrom program of the same version?",
        )
