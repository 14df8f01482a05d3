"""A plain program's exit status is its verdict."""

import pytest

from maelstrom.frameworks import framework
from maelstrom.frameworks.base import Invocation, ListingError, Target
from maelstrom.model.case import Case, Status
from maelstrom.model.outcome import Exited
from tests.support.outcomes import exited

PLAIN = framework("plain")

VERDICTS: dict[str, tuple[Exited, Status, str]] = {
    "0": (exited(0, "not ok\n", "warning\n"), Status.PASSED, ""),
    "1": (exited(1), Status.FAILED, "exited with status 1"),
    "77 with a reason": (exited(77, "", "no GPU here\n"), Status.SKIPPED, "no GPU here"),
    "77 on stdout": (exited(77, "a\nno GPU here\n"), Status.SKIPPED, "no GPU here"),
    "77 without a word": (exited(77), Status.SKIPPED, "exited with status 77"),
    "127": (exited(127, "", "sh: x: not found\n"), Status.FAILED, "exited with status 127"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_exit_status_is_the_verdict(name: str) -> None:
    outcome, status, reason = VERDICTS[name]
    verdict = PLAIN.verdict(Case("x"), outcome)
    assert verdict.status is status
    assert verdict.reason.startswith(reason)
    assert verdict.stderr == outcome.effects.stderr.text()


@pytest.mark.parametrize("name", ["plain", "tap"])
def test_a_whole_program_is_one_case(name: str) -> None:
    known, target = framework(name), Target("/project/t", ("-x",))
    assert known.listing(target) is None
    assert known.invocation(target, Case("t")) == Invocation("/project/t", ("-x",))
    with pytest.raises(ListingError, match="has no cases to list"):
        known.cases(exited(0))


def test_a_script_runs_through_its_interpreter() -> None:
    call = PLAIN.invocation(Target("/project/t.py", ("-x",), "/usr/bin/python3"), Case("t"))
    assert (call.program, call.arguments) == ("/usr/bin/python3", ("/project/t.py", "-x"))
