"""What is compressed and what is not, and what is not believed of what was compressed."""

import random

import pytest

from maelstrom.errors import ProtocolError
from maelstrom.wire.compression import COMPRESS_BYTES_MIN, compress, decompress, zstd

NOISE = random.Random(1).randbytes(1 << 20)
TEXT = b"a line of text, and another one\n" * (1 << 15)
# The beginning shrinks and the rest does not: a trial must look everywhere.
MIXED = TEXT[: 1 << 15] + NOISE[: 1 << 19]


@pytest.mark.parametrize(
    ("content", "is_worth"),
    [
        (TEXT, True),
        (NOISE, False),
        (NOISE[:5000], False),
        (MIXED, False),
        (TEXT[:COMPRESS_BYTES_MIN], True),
        (TEXT[: COMPRESS_BYTES_MIN - 1], False),
        (b"", False),
        (zstd.compress(TEXT * 20) * 200, True),
        (zstd.compress(NOISE), False),
    ],
)
def test_what_shrinks_is_compressed(content: bytes, is_worth: bool) -> None:
    small = compress(content)
    assert (small is not None) == is_worth
    if small is not None:
        assert len(small) < len(content)
        assert decompress(small, len(content)) == content


BOMB = zstd.compress(bytes(1 << 28), 1)
LIES = {
    "a bomb": (BOMB, 1000),
    "one byte too many": (zstd.compress(b"x" * 1001), 1000),
    "one byte too few": (zstd.compress(b"x" * 999), 1000),
    "two contents in one": (zstd.compress(b"x" * 1000) * 2, 1000),
    "cut off": (zstd.compress(NOISE[:1000])[:-3], 1000),
    "noise": (NOISE[:1000], 1000),
    "nothing": (b"", 1000),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_a_protocol_error(name: str) -> None:
    content, size = LIES[name]
    with pytest.raises(ProtocolError, match=r"cannot be decompressed|not of 1000 bytes"):
        decompress(content, size)


def test_a_content_that_wants_much_memory_is_refused() -> None:
    options = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    compressor = zstd.ZstdCompressor(options=options)
    greedy = compressor.compress(b"x" * 500) + compressor.compress(b"x" * 500) + compressor.flush()
    with pytest.raises(ProtocolError, match="cannot be decompressed"):
        decompress(greedy, 1000)


def test_a_bomb_makes_no_more_than_what_was_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = zstd.ZstdDecompressor

    class Watched:
        def __init__(self, options: object) -> None:
            self._real = real()
            self.eof, self.unused_data = False, b""

        def decompress(self, content: bytes, max_length: int) -> bytes:
            found = self._real.decompress(content, max_length=max_length)
            made.append(len(found))
            return found

    monkeypatch.setattr(zstd, "ZstdDecompressor", Watched)
    with pytest.raises(ProtocolError):
        decompress(BOMB, 1000)
    assert made == [1001]
