"""Why a case runs although it has run before."""

import pytest

from maelstrom.client.history import History
from maelstrom.model.spec import Bind, JobSpec, Network

HISTORY = History(durations={"old": 1.0, "bad": 1.0}, failed=frozenset({"bad"}))
REASONS = {
    "new": (JobSpec(program="p"), "it has not been run before"),
    "old": (JobSpec(program="p"), "its program or something else it is given has changed"),
    "bad": (JobSpec(program="p"), "it did not pass last time"),
    "net": (JobSpec(program="p", network=Network.LOCAL), "it uses the host's network"),
    "bind": (JobSpec(program="p", mounts=(Bind("/a", "/b"),)), "it sees files of the host"),
}


@pytest.mark.parametrize("case", REASONS)
def test_reason(case: str) -> None:
    spec, reason = REASONS[case]
    assert HISTORY.why_run(case, spec) == reason
