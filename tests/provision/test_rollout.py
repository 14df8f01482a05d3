"""The order in which hosts are changed, and what happens to the others when one fails."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from maelstrom.errors import MaelstromError
from provision.actions import Action, InstallRelease
from provision.facts import Facts
from provision.plan import HostPlan, plan_host
from provision.rollout import Rollout
from provision.script import ChangeFailed, Step
from tests.provision.hosts_as_told import BARE, NEWER, RELEASE, as_wanted, inventory, want


@dataclass(slots=True)
class Hosts:
    """Hosts that write down what is done to them, in order; `fails` says what cannot be done."""

    fails: Callable[[str, str], bool] = lambda _host, _title: False
    log: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, line: str) -> None:
        """Write a line down."""
        with self._lock:
            self.log.append(line)

    def of(self, *names: str) -> list[str]:
        """Return the lines about some hosts."""
        return [line for line in self.log if line.partition(":")[0] in names]


@dataclass(slots=True)
class Machine:
    """One of them."""

    name: str
    hosts: Hosts

    def send(self, action: InstallRelease, archive: bytes) -> None:
        """Take the wheels of a release."""
        self.hosts.note(f"{self.name}: take {action.name}")

    def apply(self, actions: list[Action], on_step: Callable[[Step], None]) -> str:
        """Make changes until one fails."""
        for number, action in enumerate(actions):
            if self.hosts.fails(self.name, action.title):
                raise ChangeFailed(f"cannot {action.title}", done=number)
            self.hosts.note(f"{self.name}: {action.title}")
            on_step(Step(number, is_done=True))
        return ""


def _roll_out(
    hosts: Hosts, facts: dict[str, Facts], plans: dict[str, HostPlan], tmp_path: Path
) -> dict[str, MaelstromError]:
    archive = tmp_path / "wheels.tar"
    archive.write_bytes(b"")
    return Rollout(
        machines={name: Machine(name, hosts) for name in plans},
        facts=facts,
        interrupt=lambda: None,
        plans=plans,
        archives=dict.fromkeys(plans, archive),
        broker="broker",
        certify=lambda _name, _action, _request: "",
        releases={},
        trust=("", ""),
        say=lambda _line: None,
    ).run()


def _bare() -> tuple[dict[str, Facts], dict[str, HostPlan]]:
    names = [host.name for host in inventory().hosts]
    plans = {name: plan_host(want(inventory().host(name)), BARE) for name in names}
    return dict.fromkeys(names, BARE), plans


def _running() -> tuple[dict[str, Facts], dict[str, HostPlan]]:
    """Return hosts that run one release, and the plans for a newer one."""
    hosts = {host.name: host for host in inventory().hosts}
    facts = {name: as_wanted(want(host, RELEASE)) for name, host in hosts.items()}
    return facts, {n: plan_host(want(host, NEWER), facts[n]) for n, host in hosts.items()}


def _before(log: list[str], first: str, second: str) -> bool:
    return log.index(first) < log.index(second)


def _starts(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if line.endswith(".service")]


def test_nothing_is_switched_before_all_hosts_are_prepared(tmp_path: Path) -> None:
    hosts = Hosts()
    assert _roll_out(hosts, *_running(), tmp_path) == {}
    for name in ("broker", "w1", "w2"):
        assert _before(
            hosts.log,
            f"{name}: install the release {NEWER.name}",
            f"broker: switch to the release {NEWER.name}",
        )


def test_the_broker_comes_first_then_running_workers_one_after_the_other(tmp_path: Path) -> None:
    hosts = Hosts()
    _roll_out(hosts, *_running(), tmp_path)
    assert hosts.log[-6:] == [
        f"broker: switch to the release {NEWER.name}",
        "broker: start maelstrom-broker.service",
        f"w1: switch to the release {NEWER.name}",
        "w1: start maelstrom-worker.service",
        f"w2: switch to the release {NEWER.name}",
        "w2: start maelstrom-worker.service",
    ]


def test_a_worker_that_fails_keeps_those_behind_it_as_they_are_and_all_go_back(
    tmp_path: Path,
) -> None:
    failed = []

    def fails(host: str, title: str) -> bool:
        if host == "w1" and title == "start maelstrom-worker.service" and not failed:
            failed.append(host)
            return True
        return False

    hosts = Hosts(fails)
    failures = _roll_out(hosts, *_running(), tmp_path)
    assert list(failures) == ["w1", "w2", "broker"]
    assert "it runs what it ran before" in failures["w1"].message
    assert failures["w2"].message == "not changed, because w1 did not come up"
    assert "put back" in failures["broker"].message
    assert hosts.log[-4:] == [
        f"w1: switch to the release {RELEASE.name}",
        "w1: start maelstrom-worker.service",
        f"broker: switch to the release {RELEASE.name}",
        "broker: start maelstrom-broker.service",
    ]
    assert not [line for line in hosts.of("w2") if "switch" in line]


def test_no_release_is_changed_when_a_host_cannot_be_prepared_for_it(tmp_path: Path) -> None:
    hosts = Hosts(lambda host, title: host == "w2" and title.startswith("install"))
    failures = _roll_out(hosts, *_running(), tmp_path)
    assert failures["broker"].message == "not changed, because w2 could not be prepared"
    assert failures["w1"].message == "not changed, because w2 could not be prepared"
    assert not [line for line in hosts.log if "switch" in line or "start" in line]


def test_a_broker_that_fails_leaves_all_workers_as_they_are(tmp_path: Path) -> None:
    hosts = Hosts(lambda host, title: host == "broker" and title.startswith("start"))
    failures = _roll_out(hosts, *_running(), tmp_path)
    assert "and it cannot go back" in failures["broker"].message
    for name in ("w1", "w2"):
        assert failures[name].message == "not changed, because the broker's host failed"
        assert not _starts(hosts.of(name))


def test_a_bare_worker_that_fails_is_no_matter_for_the_others(tmp_path: Path) -> None:
    hosts = Hosts(lambda host, title: host == "w1" and title.startswith("install"))
    failures = _roll_out(hosts, *_bare(), tmp_path)
    assert list(failures) == ["w1"]
    assert "w2: start maelstrom-worker.service" in hosts.log


@pytest.mark.parametrize(("number", "title"), [(0, "make the user"), (7, "install the release")])
def test_a_host_that_fails_is_told_how_far_it_came(number: int, title: str, tmp_path: Path) -> None:
    facts, plans = _bare()
    hosts = Hosts(lambda host, done: host == "w2" and done.startswith(title))
    failures = _roll_out(hosts, facts, plans, tmp_path)
    total = len(plans["w2"].changes)
    assert f"(after {number} of {total} changes)" in failures["w2"].message
    assert "run this again" in failures["w2"].hint


def test_a_host_that_fails_late_counts_what_was_done_in_all_its_parts(tmp_path: Path) -> None:
    facts, plans = _bare()
    hosts = Hosts(lambda host, done: host == "w2" and done == "start maelstrom-worker.service")
    failures = _roll_out(hosts, facts, plans, tmp_path)
    total = len(plans["w2"].changes)
    assert f"(after {total - 1} of {total} changes)" in failures["w2"].message
