"""Compress content where it pays, and never believe how large it says it will be.

Zstandard's fastest level halves text at some hundred MB/s: worth it on a network, and a waste
between two programs of one machine. What does not shrink in a trial is sent as it is.
"""

import sys
from typing import TYPE_CHECKING

from maelstrom.errors import ProtocolError

if TYPE_CHECKING or sys.version_info < (3, 14):
    from backports import zstd
else:
    from compression import zstd

LEVEL = 1
COMPRESS_BYTES_MIN = 512
TRIAL_BYTES = 16 << 10
TRIALS = 4
WORTH_SHARE_MAX = 0.9
"""What is left of the trial may be no more than this."""
WINDOW_LOG_MAX = 22
"""Of what we decompress: no content makes us take more memory than four times its limit."""


def compress(content: bytes) -> bytes | None:
    """Return the content compressed, or None if that does not pay."""
    if len(content) < COMPRESS_BYTES_MIN:
        return None
    if len(content) > 2 * TRIALS * TRIAL_BYTES:
        sample = _sample(content)
        if len(zstd.compress(sample, LEVEL)) > WORTH_SHARE_MAX * len(sample):
            return None
    small = zstd.compress(content, LEVEL)
    return small if len(small) <= WORTH_SHARE_MAX * len(content) else None


def _sample(content: bytes) -> bytes:
    """Return pieces from all over it: many small files may lie side by side in there."""
    step = len(content) // TRIALS
    return b"".join(content[at : at + TRIAL_BYTES] for at in range(0, step * TRIALS, step))


def decompress(content: bytes | memoryview, size_bytes: int) -> bytes:
    """Return what was compressed, which must be of this size; raises ProtocolError."""
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: WINDOW_LOG_MAX}
    decompressor = zstd.ZstdDecompressor(options=options)
    try:
        # One byte more than was declared is enough to know a lie, and nothing more is made.
        found = decompressor.decompress(content, max_length=size_bytes + 1)
    except zstd.ZstdError as error:
        raise ProtocolError(f"content that cannot be decompressed: {error}") from error
    if len(found) != size_bytes or not decompressor.eof or decompressor.unused_data:
        raise ProtocolError(f"compressed content that is not of {size_bytes} bytes, as was said")
    return found
