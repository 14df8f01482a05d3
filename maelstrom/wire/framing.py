"""Cut a stream of bytes into frames and raw content; no I/O.

    frame = length (4 bytes, big-endian, of the body) + body (1 .. frame_bytes_max bytes)

Rules of this file:
1. All complete frames of a read are returned at once; a body is copied once.
2. A header may announce raw content behind its frame. Then `expect_raw` is called while that frame
   is handled, and the next bytes come as chunks, not as frames.
3. Nothing is kept beyond one incomplete frame, so a peer cannot make us hold more than the limit.
"""

import struct
from collections.abc import Iterator

from maelstrom.errors import ProtocolError

FRAME_BYTES_MAX = 64 << 20
HELLO_BYTES_MAX = 4096
"""Before a peer has said who it is, it gets no more than this."""

_HEAD = struct.Struct(">I")


def frame(body: bytes) -> bytes:
    """Return the body with its length in front."""
    return _HEAD.pack(len(body)) + body


class Chunk(bytes):
    """A piece of raw content, to be told from the body of a frame."""

    __slots__ = ()


class Framer:
    """Takes bytes as they come, yields bodies of frames and chunks of raw content."""

    __slots__ = ("_kept", "_raw_bytes", "frame_bytes_max")

    def __init__(self, frame_bytes_max: int = HELLO_BYTES_MAX) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._kept = bytearray()
        self._raw_bytes = 0

    @property
    def is_between(self) -> bool:
        """Whether the stream may end here without loss."""
        return not self._kept and not self._raw_bytes

    def expect_raw(self, size_bytes: int) -> None:
        """Take the next bytes as raw content; call it while the frame before them is handled."""
        self._raw_bytes = size_bytes

    def feed(self, received: bytes) -> Iterator[bytes | Chunk]:
        """Yield what is complete; raises ProtocolError for a frame that cannot be."""
        if self._kept:
            self._kept += received
            data: bytes | bytearray = self._kept
            # A large frame comes in many reads: look no further before it can be whole.
            if not self._raw_bytes and len(data) >= 4 and len(data) < 4 + self._length(data, 0):
                return
            self._kept = bytearray()
        else:
            data = received
        at = 0
        end = len(data)
        while at < end:
            if self._raw_bytes:
                chunk = Chunk(data[at : at + self._raw_bytes])
                at += len(chunk)
                self._raw_bytes -= len(chunk)
                yield chunk
                continue
            if end - at < 4 or end - at - 4 < (length := self._length(data, at)):
                self._kept = bytearray(data[at:])
                return
            at += 4 + length
            yield bytes(data[at - length : at])

    def _length(self, data: bytes | bytearray, at: int) -> int:
        length: int = _HEAD.unpack_from(data, at)[0]
        if not 1 <= length <= self.frame_bytes_max:
            raise ProtocolError(
                f"a frame of {length} bytes; this end accepts 1 to {self.frame_bytes_max}",
                hint="is the other end a Maelstrom program of the same version?",
            )
        return length
