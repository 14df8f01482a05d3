"""Ranges of users for containers: granted where they are wanted, behind those of others."""

from dataclasses import replace

import pytest

from provision import layout
from provision.facts import Facts, Range
from provision.identities import plan_identities, plan_revocation
from provision.inventory import Host
from provision.plan import plan_host, plan_removal
from provision.wanted import wanted
from tests.provision.hosts_as_told import (
    BARE,
    RELEASE,
    TEMPLATES,
    as_wanted,
    inventory,
    titles,
    want,
    worker,
)

OURS = Range("maelstrom-worker", 300_000, 65536)
OTHERS = (Range("ann", 100_000, 65536), Range("bob", 165_536, 65536))


def _with_identities() -> Host:
    host = worker()
    assert host.worker is not None
    return replace(host, worker=replace(host.worker, has_identities=True))


def _facts(*subuids: Range, subgids: tuple[Range, ...] | None = None) -> Facts:
    return replace(BARE, subuids=subuids, subgids=subuids if subgids is None else subgids)


GRANTS: dict[str, tuple[Facts, list[str]]] = {
    "a host without ranges": (
        _facts(), ["grant maelstrom-worker the users and groups 100000 to 165535"],
    ),
    "a host whose users have ranges": (
        _facts(*OTHERS), ["grant maelstrom-worker the users and groups 231072 to 296607"],
    ),
    "users and groups that differ": (
        _facts(subgids=OTHERS), ["grant maelstrom-worker the users and groups 231072 to 296607"],
    ),
    "a range that is there": (_facts(*OTHERS, OURS), []),
    "a range that is too small": (
        _facts(replace(OURS, count=10)),
        ["grant maelstrom-worker the users and groups 300010 to 365545"],
    ),
    "users without groups": (
        _facts(OURS, subgids=()), ["grant maelstrom-worker the users and groups 365536 to 431071"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GRANTS)
def test_a_worker_that_wants_identities_gets_them_behind_those_of_others(case: str) -> None:
    facts, expected = GRANTS[case]
    assert [c.action.title for c in plan_identities(_with_identities(), facts)] == expected
    assert list(plan_identities(worker(), facts)) == []
    assert list(plan_identities(inventory().host("broker"), facts)) == []


def test_a_worker_that_wants_them_no_longer_loses_its_own_only() -> None:
    facts = _facts(*OTHERS, OURS)
    (change,) = plan_revocation(worker(), facts)
    assert change.action.script() == (
        "sed -i '/^maelstrom-worker:300000:65536$/d' /etc/subuid\n"
        "sed -i '/^maelstrom-worker:300000:65536$/d' /etc/subgid"
    )
    assert list(plan_revocation(_with_identities(), facts)) == []
    assert list(plan_revocation(worker(), _facts(*OTHERS))) == []


def test_the_one_who_grants_is_there_before_the_worker_starts() -> None:
    plan = plan_host(wanted(_with_identities(), inventory(), RELEASE, TEMPLATES), BARE)
    found = titles(plan)
    assert found[-3:] == [
        f"start {layout.PROC_MOUNT}",
        f"start {layout.IDENTITIES_SOCKET}",
        f"start {layout.unit('worker')}",
    ]
    assert f"write {layout.UNITS}/{layout.IDENTITIES_SERVICE}" in found


def test_the_one_who_grants_goes_when_nobody_wants_him() -> None:
    had = as_wanted(wanted(_with_identities(), inventory(), RELEASE, TEMPLATES))
    gone = [f"stop and remove {layout.IDENTITIES_SOCKET}",
            f"stop and remove {layout.IDENTITIES_SERVICE}",
            "let systemd read its unit files"]  # fmt: skip
    assert titles(plan_host(want(worker()), had))[-3:] == gone
    assert set(gone) < set(titles(plan_removal(had)))
