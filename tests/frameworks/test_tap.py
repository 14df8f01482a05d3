"""TAP: plan and points must agree, and the exit status has the last word."""

import pytest

from maelstrom.frameworks import framework
from maelstrom.model.case import Case, Status
from tests.support.outcomes import exited

TAP = framework("tap")

PASSED, FAILED, SKIPPED = Status.PASSED, Status.FAILED, Status.SKIPPED
VERDICTS: dict[str, tuple[int, str, Status, str]] = {
    "all good": (0, "1..2\nok 1 - a\nok 2 - b\n", PASSED, ""),
    "the plan at the end": (0, "ok\nok\n1..2\n", PASSED, ""),
    "a version and a pragma": (0, "TAP version 14\npragma +strict\n1..1\nok 1\n", PASSED, ""),
    "one bad": (0, "1..2\nok 1\nnot ok 2 - b\n# got 1\n", FAILED, "not ok 2 - b (got 1)"),
    "two bad": (1, "1..2\nnot ok 1 - a\nnot ok 2\n", FAILED, "not ok 1 - a; not ok 2"),
    "many bad": (
        1,
        "1..7\n" + "".join(f"not ok {n}\n" for n in range(1, 8)),
        FAILED,
        "not ok 1; not ok 2; not ok 3; not ok 4; not ok 5; and 2 more",
    ),
    "a diagnostic in YAML": (
        0,
        "1..1\nnot ok 1 - a\n  ---\n  message: why\n  ...\n",
        FAILED,
        "not ok 1 - a (message: why)",
    ),
    "a TODO that fails": (0, "1..2\nok 1\nnot ok 2 - b # TODO later\n", PASSED, ""),
    "a TODO that passes": (0, "1..1\nok 1 # todo later\n", PASSED, ""),
    "one of two skipped": (0, "1..2\nok 1\nok 2 # SKIP no GPU\n", PASSED, ""),
    "all skipped": (0, "1..1\nok 1 - a # SKIP no GPU\n", SKIPPED, "no GPU"),
    "an escaped hash": (0, "1..1\nok 1 - issue \\# SKIP me\n", PASSED, ""),
    "an empty plan": (0, "1..0 # skip no GPU\n", SKIPPED, "no GPU"),
    "an empty plan with any words": (0, "1..0 # no GPU\n", SKIPPED, "no GPU"),
    "an empty plan without words": (0, "1..0\n", SKIPPED, "the plan is empty"),
    "an empty plan and a bad status": (1, "1..0 # skip\n", FAILED, "exited with status 1"),
    "bailing out": (0, "1..2\nok 1\nBail out! no disk\n", FAILED, "bailed out: no disk"),
    "too few points": (0, "1..3\nok 1\nok 2\n", FAILED, "planned 3 points but told of 2"),
    "too many points": (0, "1..1\nok 1\nok 2\n", FAILED, "planned 1 points but told of 2"),
    "points out of order": (0, "1..2\nok 2\nok 1\n", FAILED, "not numbered from 1 to 2"),
    "two plans": (0, "1..1\nok 1\n1..1\n", FAILED, "it printed 2 plans"),
    "no plan": (0, "ok 1\n", FAILED, "it printed no plan"),
    "nothing at all": (0, "", FAILED, "it printed no plan"),
    "a bad status": (3, "1..1\nok 1\n", FAILED, "exited with status 3"),
    "an early end": (3, "1..2\nok 1\n", FAILED, "exited with status 3; planned 2"),
    "a subtest": (0, "1..1\n    1..1\n    not ok 1\nok 1 - sub\n", PASSED, ""),
    "words that look alike": (0, "okay then\n1..1\nok 1\nokra\n", PASSED, ""),
    "no blank before the dash": (0, "1..1\nok 1- a\n", PASSED, ""),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_points_become_a_verdict(name: str) -> None:
    exit_status, text, status, reason = VERDICTS[name]
    verdict = TAP.verdict(Case("x"), exited(exit_status, text))
    assert verdict.status is status
    assert reason in verdict.reason if reason else verdict.reason == ""


def test_a_failure_is_shown_without_the_good_points() -> None:
    text = "TAP version 13\n1..3\nok 1 - a\nnot ok 2 - b\n# got 1\nok 3 # TODO c\n"
    verdict = TAP.verdict(Case("x"), exited(1, text, "words\n"))
    assert verdict.stdout == "not ok 2 - b\n# got 1\nok 3 # TODO c\n"
    assert verdict.stderr == "words\n"
