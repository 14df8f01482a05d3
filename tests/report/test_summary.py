"""What a run adds up to."""

import pytest

from maelstrom.model.case import Status
from maelstrom.report.events import Event
from maelstrom.report.summary import Summary
from tests.support.events import Story, everything


def summed(events: list[Event]) -> Summary:
    summary = Summary()
    for event in events:
        summary.handle(event)
    return summary


def test_every_kind_of_verdict_is_counted_apart() -> None:
    summary = summed(everything())
    assert {status: count for status, count in summary.counts.items() if count != 1} == {
        Status.PASSED: 3
    }
    assert summary.cached == 1
    assert (summary.done, summary.total) == (11, 11)
    assert [r.case for r in summary.slowest] == ["hang", "slow"]
    assert summary.elapsed_s == pytest.approx(3.21)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("also", [None, Status.PASSED, Status.FAILED, Status.INFRASTRUCTURE_ERROR])
def test_the_exit_status_is_that_of_the_worst_case(status: Status, also: Status | None) -> None:
    story = Story()
    for one in (status, also):
        if one is not None:
            story.verdict("target", one.value, one)
    both = (status, also)
    expected = 0 if all(one is None or one.is_good for one in both) else 2
    if Status.INFRASTRUCTURE_ERROR in both:
        expected = 3
    assert summed(story.end()).exit_status == expected


@pytest.mark.parametrize(("is_ours", "expected"), [(False, 2), (True, 3)])
def test_a_target_that_cannot_be_tested_is_a_failure(is_ours: bool, expected: int) -> None:
    story = Story()
    story.broken("target", "it does not list", is_ours=is_ours)
    assert summed(story.end()).exit_status == expected


def test_a_run_without_cases_is_green_and_an_interrupted_one_is_not() -> None:
    assert summed(Story().end()).exit_status == 0
    assert summed(Story().end(interrupted=True)).exit_status == 2


def test_an_interrupt_has_its_status_whatever_else_was_wrong() -> None:
    story = Story()
    story.broken("t", "the broker is gone", is_ours=True)
    assert summed(story.end(interrupted=True)).exit_status == 2


def test_a_target_that_fails_takes_its_waiting_cases_with_it() -> None:
    story = Story()
    story.target("target", "one", "two", "three")
    story.start("target", "two")
    story.verdict("target", "one")
    assert summed(story.events).total == 3
    story.broken("target", "the library went away")
    summary = summed(story.events)
    assert (summary.done, summary.total, dict(summary.running)) == (1, 1, {})


def test_only_the_five_slowest_are_kept_and_none_that_was_quick() -> None:
    story = Story()
    for seconds in (0.1, 0.6, 5.0, 0.7, 0.7, 3.0, 1.0, 0.49):
        story.verdict("target", f"{seconds}", seconds=seconds)
    assert [r.duration_s for r in summed(story.events).slowest] == [5.0, 3.0, 1.0, 0.7, 0.7]
