"""Which certificates hosts need, and why."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maelstrom.trust import build
from maelstrom.trust.authority import Authority
from maelstrom.trust.identity import Identity, Role
from provision import layout
from provision.actions import Certify
from provision.certificates import (
    Trust,
    addresses,
    days_left,
    identity,
    plan_certificates,
    plan_revocations,
)
from provision.facts import Facts, PathState
from provision.status import rows, table
from tests.provision.hosts_as_told import BARE, inventory, titles, worker

NOW = datetime(2030, 1, 1, tzinfo=UTC)
W1 = Identity(Role.WORKER, "w1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the operator's authority."""
    return Authority.create(tmp_path_factory.mktemp("trust") / "ca", "ours", now=NOW)


def _trust(authority: Authority, days: float = 0, *, is_forced: bool = False) -> Trust:
    now = NOW + timedelta(days=days)
    return Trust(authority.certificate, authority.revocation_list, now, is_forced)


def _issued(authority: Authority, who: Identity = W1, *where: str) -> str:
    request = build.request(build.new_key(), "x")
    return authority.issue(request, who, addresses=where, days=90, now=NOW).decode()


def _facts(authority: Authority, certificate: str, role: str = "worker") -> Facts:
    place = layout.tls(role)
    return replace(
        BARE,
        certificates={role: certificate},
        paths={
            f"{place}/ca.pem": PathState("regular file", 0o644, "x", "x", authority.pem),
            f"{place}/crl.pem": PathState(
                "regular file", 0o644, "x", "x", authority.revocation_list
            ),
        },
    )


def _reasons(facts: Facts, trust: Trust) -> list[str]:
    return [change.reason for change in plan_certificates(worker(), facts, trust)]


def test_a_daemon_without_a_certificate_gets_one(authority: Authority) -> None:
    (change,) = plan_certificates(worker(), BARE, _trust(authority))
    assert change.action == Certify("worker", "w1", ())
    assert change.reason == "there is none"


def test_a_good_certificate_stays(authority: Authority) -> None:
    assert _reasons(_facts(authority, _issued(authority)), _trust(authority)) == []


AGES = {59: [], 61: ["it expires on 2030-04-01"], 91: ["it expired on 2030-04-01"]}


@pytest.mark.parametrize("days", AGES)
def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left(
    days: int, authority: Authority
) -> None:
    assert _reasons(_facts(authority, _issued(authority)), _trust(authority, days)) == AGES[days]


def test_a_good_certificate_is_renewed_when_that_is_wanted(authority: Authority) -> None:
    trust = _trust(authority, is_forced=True)
    assert _reasons(_facts(authority, _issued(authority)), trust) == ["a new one is wanted"]


def test_a_certificate_of_another_authority_is_replaced(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority.create(tmp_path / "ca", "theirs", now=NOW)
    (reason,) = _reasons(_facts(authority, _issued(other)), _trust(authority))
    assert "of another authority than `ours`" in reason


def test_a_daemon_that_believes_another_authority_gets_ours(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority.create(tmp_path / "ca", "theirs", now=NOW)
    facts = _facts(other, _issued(authority))
    assert _reasons(facts, _trust(authority)) == ["it believes another authority"]


def test_a_certificate_of_another_name_is_replaced(authority: Authority) -> None:
    facts = _facts(authority, _issued(authority, Identity(Role.WORKER, "w7")))
    assert _reasons(facts, _trust(authority)) == ["it is of worker/w7"]


def test_what_is_no_certificate_is_replaced(authority: Authority) -> None:
    (reason,) = _reasons(_facts(authority, "nonsense"), _trust(authority))
    assert "cannot be read" in reason


def test_a_brokers_certificate_is_for_the_address_in_the_inventory(authority: Authority) -> None:
    host = inventory().host("broker")
    main = identity("broker", host)
    assert addresses("broker", host) == ("10.0.0.1", "localhost", "127.0.0.1")
    good = _facts(authority, _issued(authority, main, *addresses("broker", host)), "broker")
    assert list(plan_certificates(host, good, _trust(authority))) == []
    other = _facts(authority, _issued(authority, main, "10.9.9.9"), "broker")
    (change,) = plan_certificates(host, other, _trust(authority))
    assert change.reason == "it is for 10.9.9.9"


def test_a_revoked_certificate_is_replaced_and_all_hosts_hear_of_it(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "ca", "ours", now=NOW)
    facts = _facts(authority, _issued(authority))
    authority.revoke(str(W1), now=NOW)
    trust = _trust(authority)
    assert _reasons(facts, trust) == ["it was revoked"]
    (change,) = plan_revocations(worker(), facts, trust)
    assert change.action.title == f"write {layout.tls('worker')}/crl.pem"
    heard = _facts(authority, facts.certificates["worker"])
    assert list(plan_revocations(worker(), heard, trust)) == []


def test_a_list_that_was_only_signed_anew_is_no_change(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "ca", "ours", now=NOW)
    facts = _facts(authority, _issued(authority))
    before = authority.revocation_list
    _issued(authority, Identity(Role.WORKER, "w2"))
    assert authority.revocation_list != before
    assert list(plan_revocations(worker(), facts, _trust(authority))) == []


def test_a_list_that_is_none_is_replaced(authority: Authority) -> None:
    path = f"{layout.tls('worker')}/crl.pem"
    facts = _facts(authority, _issued(authority))
    broken = PathState("regular file", 0o644, "x", "x", b"nonsense")
    facts = replace(facts, paths={**facts.paths, path: broken})
    (change,) = plan_revocations(worker(), facts, _trust(authority))
    assert change.reason == "other certificates are revoked"


def test_days_are_counted(authority: Authority) -> None:
    text = _issued(authority)
    assert days_left(text, NOW + timedelta(days=30)) == pytest.approx(60)
    assert days_left("", NOW) is None


def test_titles_name_the_holder(authority: Authority) -> None:
    from provision.plan import HostPlan

    changes = tuple(plan_certificates(worker(), BARE, _trust(authority)))
    assert titles(HostPlan(certify=changes)) == ["make a certificate for worker/w1"]


WARNINGS = {
    "new": (0, None, None),
    "with most of its life": (50, None, None),
    "with less than a third left": (
        65, "it expires on 2030-04-01",
        "w1: the worker's certificate: it expires on 2030-04-01; `nox -s cluster_up` renews it",
    ),
    "expired": (
        91, "it expired on 2030-04-01",
        "w1: the worker's certificate: it expired on 2030-04-01; `nox -s cluster_up` renews it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WARNINGS)
def test_the_status_warns_where_the_next_up_renews(case: str, authority: Authority) -> None:
    days, reason, told = WARNINGS[case]
    facts = _facts(authority, _issued(authority))
    assert _reasons(facts, _trust(authority, days)) == ([reason] if reason else [])
    lines = table(rows(worker(), facts, 0.0, NOW + timedelta(days=days)))
    assert lines[2:] == ([told] if told else [])
