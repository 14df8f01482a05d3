"""How contents are packed and cut, and which parcels are lies."""

from collections import deque

import pytest

from maelstrom.errors import ProtocolError
from maelstrom.model.digest import Digest
from maelstrom.wire import parcel as parcels
from maelstrom.wire.messages import PLAIN, ZSTD, Parcel, Piece
from maelstrom.wire.parcel import DIGESTS_MAX, PARCEL_BYTES_MAX, PIECES_MAX, Span, batches, check

MAX = PARCEL_BYTES_MAX


def blob(number: int, size: int) -> Digest:
    return Digest(f"{number:064x}", size)


SMALL, MIDDLE, FULL, LARGE = blob(1, 10), blob(2, MAX - 15), blob(3, MAX), blob(4, 2 * MAX + 5)
NONE = blob(5, 0)

# What is wanted, and the parcels it is sent in, as (blob, offset, length) each.
PACKED = {
    "small ones together": ([(SMALL, 0), (NONE, 0)], [[(SMALL, 0, 10), (NONE, 0, 0)]]),
    "no more than fits": (
        [(SMALL, 0), (MIDDLE, 0), (SMALL, 0)],
        [[(SMALL, 0, 10), (MIDDLE, 0, MAX - 15)], [(SMALL, 0, 10)]],
    ),
    "one that fills a parcel": ([(FULL, 0), (NONE, 0)], [[(FULL, 0, MAX), (NONE, 0, 0)]]),
    "a large one in pieces, by itself": (
        [(SMALL, 0), (LARGE, 0), (SMALL, 0)],
        [[(SMALL, 0, 10)], [(LARGE, 0, MAX)], [(LARGE, MAX, MAX)], [(LARGE, 2 * MAX, 5)],
         [(SMALL, 0, 10)]],
    ),
    "what is left of one": ([(LARGE, 2 * MAX), (SMALL, 0)],
                            [[(LARGE, 2 * MAX, 5)], [(SMALL, 0, 10)]]),
}  # fmt: skip


@pytest.mark.parametrize("name", PACKED)
def test_contents_are_packed(name: str) -> None:
    wanted, expected = PACKED[name]
    queue = deque(wanted)
    found = []
    while queue:
        found.append(parcels.spans(queue))
    assert found == [[Span(*span) for span in group] for group in expected]
    for group in found:
        size = sum(span.length for span in group)
        check(Parcel(tuple(Piece(*span) for span in group), PLAIN, memoryview(bytes(size))))


def test_no_parcel_has_too_many_pieces() -> None:
    queue = deque([(NONE, 0)] * (PIECES_MAX + 1))
    assert len(parcels.spans(queue)) == PIECES_MAX
    assert len(queue) == 1


def test_a_long_list_goes_in_parts() -> None:
    assert [len(part) for part in batches([NONE] * (DIGESTS_MAX + 1))] == [DIGESTS_MAX, 1]
    assert list(batches([])) == []


LIES = {
    "of nothing": ((), PLAIN, b"", "0 pieces"),
    "of too many pieces": ((Piece(NONE, 0, 0),) * (PIECES_MAX + 1), PLAIN, b"", "the limit is"),
    "beyond its blob": ((Piece(SMALL, 5, 6),), PLAIN, b"x" * 6, "no part of blob"),
    "before its blob": ((Piece(SMALL, -1, 5),), PLAIN, b"x" * 5, "no part of blob"),
    "of less than nothing": ((Piece(SMALL, 5, -1),), PLAIN, b"", "no part of blob"),
    "of an empty piece": ((Piece(LARGE, 5, 0),), PLAIN, b"", "not by itself"),
    "of a part among others": (
        (Piece(SMALL, 0, 10), Piece(LARGE, 0, 1)), PLAIN, b"x" * 11, "not by itself",
    ),
    "too large": ((Piece(LARGE, 0, MAX + 1),), ZSTD, b"", "the limit is"),
    "in an unknown coding": ((Piece(SMALL, 0, 10),), 7, b"x" * 10, "unknown coding 7"),
    "shorter than it says": ((Piece(SMALL, 0, 10),), PLAIN, b"x" * 9, "9 bytes that says 10"),
    "longer than it says": ((Piece(SMALL, 0, 10),), PLAIN, b"x" * 11, "11 bytes that says 10"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_parcel_that_lies_is_refused(name: str) -> None:
    pieces, coding, content, reason = LIES[name]
    with pytest.raises(ProtocolError, match=reason):
        check(Parcel(pieces, coding, memoryview(content)))
