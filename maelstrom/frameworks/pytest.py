"""pytest: cases by node id, listed and run by a script of ours inside the container.

The script tells its findings in one line of JSON behind a separator. A red never becomes green by
it: status 0 of the script and the line must both say that the case passed.
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


class Pytest:
    """A pytest file, directory or node."""

    name = "pytest"

    def listing(self, target: Target) -> Invocation | None:
        """Return how to collect the cases."""
        return listing_of_script(self.name, script("pytest_case.py"), target)

    def cases(self, outcome: Ran) -> list[Case]:
        """Read the collected node ids; a module that cannot be imported is a case of its own."""
        return listed_cases(self.name, outcome)

    def invocation(self, target: Target, case: Case) -> Invocation:
        """Return how to run one node."""
        return run_of_script(self.name, script("pytest_case.py"), target, case)

    def verdict(self, case: Case, outcome: Outcome) -> Verdict:
        """Read the outcome of one node."""
        return judge(
            outcome,
            lambda status, raw: read_verdict(self.name, case, status, raw),
            clean=lambda raw: Streams(without_verdict(self.name, case, raw.stdout), raw.stderr),
        )
