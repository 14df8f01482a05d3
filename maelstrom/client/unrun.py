"""Targets that were asked for and did not run: up to date, not built, or not reached."""

from collections.abc import Iterator
from typing import NamedTuple

from maelstrom.client.record import Record
from maelstrom.report.events import Event, TargetUnreached, TargetUpToDate


class Unrun(NamedTuple):
    """Names of targets, in the order in which they were met."""

    up_to_date: tuple[str, ...] = ()
    unbuilt: tuple[str, ...] = ()
    """What they need could not be built."""
    unreached: tuple[str, ...] = ()
    """The build ended before it came to them."""


def events(unrun: Unrun, record: Record) -> Iterator[Event]:
    """Tell of them; of those up to date what was found when they ran."""
    for name in unrun.up_to_date:
        yield TargetUpToDate(name, record.results(name))
    for name in unrun.unbuilt:
        yield TargetUnreached(name, "what it needs was not built", is_broken=True)
    for name in unrun.unreached:
        yield TargetUnreached(name, "the build ended before it", is_broken=False)
