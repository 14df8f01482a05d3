"""What is remembered of a target from earlier runs."""

from collections.abc import Mapping

import msgspec

from maelstrom.model.case import Case
from maelstrom.model.spec import JobSpec


class History(msgspec.Struct, frozen=True):
    """What is remembered of a target; digests are those of specs."""

    listings: Mapping[str, tuple[Case, ...]] = {}
    passes: frozenset[str] = frozenset()
    durations: Mapping[str, float] = {}
    failed: frozenset[str] = frozenset()

    def why_run(self, case: str, spec: JobSpec) -> str:
        """Say for a person why how the case ended before will not do."""
        if spec.is_local:
            return spec.uncached_because
        if case in self.failed:
            return "it did not pass last time"
        if case not in self.durations:
            return "it has not been run before"
        return "its program or something else it is given has changed"
