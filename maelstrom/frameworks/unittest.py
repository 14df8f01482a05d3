"""unittest: cases by test id, listed and run by a script of ours inside the container.

The script tells its findings in one line of JSON behind a separator, as that for pytest does.
"""

from maelstrom.frameworks.base import Invocation, Streams, Target, judge
from maelstrom.frameworks.told import (
    listed_cases,
    listing_of_script,
    read_verdict,
    run_of_script,
    script,
    without_verdict,
)
from maelstrom.model.case import Case, Verdict
from maelstrom.model.outcome import Outcome, Ran


class Unittest:
    """A Python file with unittest's cases, or a directory in which they are discovered."""

    name = "unittest"

    def listing(self, target: Target) -> Invocation | None:
        """Return how to load the cases."""
        return listing_of_script(self.name, script("unittest_case.py"), target)

    def cases(self, outcome: Ran) -> list[Case]:
        """Read the ids; a module that cannot be imported is a case of its own."""
        return listed_cases(self.name, outcome)

    def invocation(self, target: Target, case: Case) -> Invocation:
        """Return how to run one case."""
        return run_of_script(self.name, script("unittest_case.py"), target, case)

    def verdict(self, case: Case, outcome: Outcome) -> Verdict:
        """Read the outcome of one case."""
        return judge(
            outcome,
            lambda status, raw: read_verdict(self.name, case, status, raw),
            clean=lambda raw: Streams(without_verdict(self.name, case, raw.stdout), raw.stderr),
        )
