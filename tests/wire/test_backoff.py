"""Waits between tries."""

from maelstrom.wire.backoff import FIRST_S, LONGEST_S, Backoff


def test_waits_double_up_to_a_bound_and_begin_anew() -> None:
    backoff = Backoff(lambda: 1.0)
    waits = [backoff.next_s() for _ in range(12)]
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == LONGEST_S
    backoff.reset()
    assert backoff.next_s() == FIRST_S


def test_no_wait_is_like_another_ones() -> None:
    early, late = Backoff(lambda: 0.0), Backoff(lambda: 0.999)
    assert early.next_s() < late.next_s()
