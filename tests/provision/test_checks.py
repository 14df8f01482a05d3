"""What keeps a host from being in a cluster, and what is said about it."""

from dataclasses import replace

import pytest

from provision import layout
from provision.checks import problems
from provision.facts import Facts, Listener, Python, UnitState
from tests.provision.hosts_as_told import BARE, inventory

BROKER_UNIT = {layout.unit("broker"): UnitState("loaded", "active", "running", process=300)}
TABLE: dict[str, tuple[Facts, float, list[tuple[str, str]]]] = {
    "a host that can be what it should": (BARE, 0.0, []),
    "an unknown machine": (
        replace(BARE, machine="riscv64"), 0.0, [("it is a riscv64", "x86_64 and aarch64")],
    ),
    "no systemd": (replace(BARE, systemd=0), 0.0, [("it has no systemd", "Debian 12")]),
    "an old systemd": (replace(BARE, systemd=241), 0.0, [("its systemd is 241", "247 is needed")]),
    "no Python": (replace(BARE, pythons=()), 0.0, [("no Python", "apt-get install python3")]),
    "an old Python": (
        replace(BARE, pythons=(Python("/usr/bin/python3", (3, 10, 12)),)), 0.0,
        [("too old: /usr/bin/python3 (3.10.12)", "Python 3.11 or newer")],
    ),
    "a full disk": (
        replace(BARE, disk_free_bytes={"/opt": 10 << 30, "/var/lib": 20 << 20}), 0.0,
        [("20 MiB are free for /var/lib", "300 MiB")],
    ),
    "a clock that is late": (BARE, -3600.0, [("3600 s behind ours", "set-ntp")]),
    "a clock that is a little late": (BARE, -100.0, []),
    "a port that another program has": (
        replace(BARE, listeners=(Listener("0.0.0.0", 9001, "nginx", 7),)), 0.0,
        [("port 9001 is taken by `nginx`, process 7", "another `port`")],
    ),
    "a port that the broker has itself": (
        replace(BARE, listeners=(Listener("0.0.0.0", 9001, "maelstrom-broke", 300),),
                units=BROKER_UNIT), 0.0, [],
    ),
    "a port that another program has beside a broker": (
        replace(BARE, listeners=(Listener("0.0.0.0", 9001, "nginx", 7),), units=BROKER_UNIT), 0.0,
        [("port 9001 is taken", "another `port`")],
    ),
    "a broker that does not resolve": (
        replace(BARE, addresses={"10.0.0.1": ""}), 0.0,
        [("address `10.0.0.1` does not resolve there", "`address`")],
    ),
    "several at once": (
        replace(BARE, pythons=(), systemd=0), 0.0, [("no systemd", ""), ("no Python", "")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_all_that_is_wrong_is_told_with_what_to_do(case: str) -> None:
    facts, offset_s, expected = TABLE[case]
    cluster = inventory()
    found = problems(cluster.host("broker"), cluster, facts, offset_s)
    assert len(found) == len(expected), found
    for problem, (message, hint) in zip(found, expected, strict=True):
        assert message in problem.message
        assert hint in problem.hint


def test_a_worker_does_not_care_who_has_the_brokers_port() -> None:
    cluster = inventory()
    facts = replace(BARE, listeners=(Listener("0.0.0.0", 9001, "nginx", 7),))
    assert problems(cluster.host("w1"), cluster, facts, 0.0) == []
