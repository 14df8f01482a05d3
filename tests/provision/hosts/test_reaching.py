"""Ways to reach hosts, and what is said when there is none; hosts are looked at, not changed."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.provision.lab.lab import Lab
from tests.provision.lab.operator import Operator


@pytest.fixture(autouse=True)
def inventory(operator: Operator, lab: Lab) -> Iterator[str]:
    """Return an inventory of a broker and a worker, written anew for each test."""
    operator.write(lab.hosts[0], lab.hosts[1:2])
    yield operator.inventory.read_text()
    operator.write(lab.hosts[0], lab.hosts[1:2])


def test_a_plan_is_shown_and_nothing_is_changed(operator: Operator, lab: Lab) -> None:
    said = operator.run("plan", "--no-diff")
    assert said.status == 0
    assert "changes on 2 hosts" in said.text
    assert ": done" not in said.text
    for host in lab.hosts[:2]:
        assert host.run("ls /opt /etc | grep maelstrom", check=False) == ""


def test_without_somebody_to_answer_nothing_is_changed(operator: Operator, lab: Lab) -> None:
    said = operator.run("up", "--no-diff")
    assert said.status == 1
    assert "`--yes` says yes beforehand" in said.text
    assert "nothing was changed" in said.text
    assert lab.hosts[0].run("ls /opt | grep maelstrom", check=False) == ""


def test_a_worker_behind_a_jump_host_is_reached_and_both_keys_are_checked(
    operator: Operator, lab: Lab, inventory: str
) -> None:
    gate, worker = lab.hosts[2], lab.hosts[1]
    operator.inventory.write_text(f'{inventory}jump = "admin@{gate.address}:22"\n')
    # From the controller's place the worker cannot be reached itself.
    block = f"ip saddr 10.213.0.1 ip daddr {worker.address} drop"
    chain = f"chain in {{ type filter hook input priority 0; {block}; }}"
    worker.run(f"nft 'table ip closed {{ {chain}; }}'")
    try:
        said = operator.run("plan", "--no-diff")
        assert said.status == 0
        assert "on 2 hosts" in said.text
        known = operator.known_hosts.read_text()
        lines = [line for line in known.splitlines() if not line.startswith(gate.address)]
        operator.known_hosts.write_text("\n".join([*lines, ""]))
        said = operator.run("plan", "--no-diff")
        operator.known_hosts.write_text(known)
        assert said.status == 1
        assert f"w1: the host key of `{gate.address}` is not known" in said.text
    finally:
        worker.run("nft delete table ip closed")


def test_names_of_an_ssh_configuration_are_understood(
    operator: Operator, lab: Lab, inventory: str
) -> None:
    config = operator.directory / "config"
    config.write_text(
        f"Host the-worker\n  HostName {lab.hosts[1].address}\n  User admin\n"
        f"  IdentityFile {lab.key}\n"
    )
    text = inventory.replace(lab.hosts[1].address, "the-worker")
    text = re.sub(r'(user|key) = ".*"\n', "", text)
    login = f'user = "admin"\nkey = "{lab.key}"\n[workers.w1]'
    text = text.replace("[workers.w1]", login).replace("[ssh]", f'[ssh]\nconfig = "{config}"')
    operator.inventory.write_text(text)
    said = operator.run("plan", "--no-diff")
    assert said.status == 0
    assert "on 2 hosts" in said.text


def test_an_address_that_does_not_resolve_is_told(operator: Operator, inventory: str) -> None:
    operator.inventory.write_text(inventory.replace("10.213.0.12", "nowhere.invalid"))
    said = operator.run("plan", "--no-diff")
    assert said.status == 1
    assert "w1: `nowhere.invalid` does not resolve" in said.text


def test_a_key_that_others_may_read_is_refused(operator: Operator, lab: Lab) -> None:
    lab.key.chmod(0o644)
    try:
        said = operator.run("plan", "--no-diff")
    finally:
        lab.key.chmod(0o600)
    assert said.status == 3
    assert "others may read the ssh key" in said.text
    assert f"chmod 600 {lab.key}" in said.text


def test_a_user_whose_key_is_not_known_there_is_told(operator: Operator, inventory: str) -> None:
    operator.inventory.write_text(inventory.replace('user = "admin"', 'user = "nobody"'))
    said = operator.run("plan", "--no-diff")
    assert "nobody@10.213.0.11 does not accept our ssh keys" in said.text


def test_another_version_than_the_inventory_wants_is_refused(
    operator: Operator, inventory: str
) -> None:
    operator.inventory.write_text(inventory.replace("format = 1", 'format = 1\nversion = "0.0.1"'))
    said = operator.run("plan", "--no-diff")
    assert said.status == 2
    assert "the inventory wants version 0.0.1, and this is" in said.text


def test_journals_are_shown_from_all_hosts(operator: Operator, lab: Lab) -> None:
    for host in lab.hosts[:2]:
        for role in ("broker", "worker"):
            host.run(f"systemd-run --quiet --wait --unit=maelstrom-{role} echo hello from {role}")
    said = operator.run("logs")
    assert said.status == 0
    assert re.search(r"^broker: .* hello from broker$", said.text, re.MULTILINE)
    assert re.search(r"^w1: .* hello from worker$", said.text, re.MULTILINE)
    assert "hello from worker" not in "".join(
        line for line in said.text.splitlines() if line.startswith("broker: ")
    )


def test_one_host_may_be_broker_and_worker(operator: Operator, lab: Lab) -> None:
    operator.write(lab.hosts[0], lab.hosts[:1])
    said = operator.run("up", "--yes", "--no-diff")
    assert said.status == 0, said
    rows = json.loads(operator.run("status", "--json").text)
    assert [(row["host"], row["role"], row["is_well"]) for row in rows] == [
        ("broker", "broker", True), ("broker", "worker", True),
    ]  # fmt: skip
    assert "nothing to change on 1 host" in operator.run("up", "--yes").text
    # It is no worker any more when its table is gone, and another is one.
    operator.write(lab.hosts[0], lab.hosts[1:2])
    assert operator.run("up", "--yes", "--no-diff").status == 0
    assert "worker" not in lab.hosts[0].run("ls /etc/maelstrom")
    assert operator.run("down", "--yes", "--no-diff").status == 0
