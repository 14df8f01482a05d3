"""A cluster's life on real hosts: from bare to a test run, changed, mended, and taken away."""

import json
import xml.etree.ElementTree as ET

import pytest

from provision.wheelhouse import Archive
from tests.provision.lab.lab import Lab
from tests.provision.lab.operator import Operator
from tests.provision.lab.suite import install_client, run_jobs, suite_command, write_suite

BROKER = "10.213.0.11:9001"
LEFT = (
    "getent passwd | grep maelstrom; getent group | grep maelstrom;"
    " find / -xdev -iname '*maelstrom*' -not -path '/proc/*' -not -path '/sys/*' 2>/dev/null;"
    " find /run /var /tmp -iname '*maelstrom*' -not -path '/run/host/*';"
    " systemctl list-units --all --plain --no-legend | grep maelstrom;"
    " ps -eo comm | grep maelstrom"
)


@pytest.fixture(scope="module", autouse=True)
def cluster(operator: Operator) -> None:
    """Bring the cluster up once."""
    said = operator.run("up", "--yes", "--no-diff")
    assert said.status == 0, said


def test_a_second_up_changes_nothing(operator: Operator) -> None:
    said = operator.run("up", "--yes")
    assert "nothing to change on 3 hosts" in said.text
    assert said.status == 0


def test_all_is_well_on_both_releases(operator: Operator) -> None:
    said = operator.run("status", "--json")
    rows = json.loads(said.text)
    assert [(row["host"], row["role"], row["is_well"]) for row in rows] == [
        ("broker", "broker", True), ("w1", "worker", True), ("w2", "worker", True),
    ]  # fmt: skip
    assert all(row["certificate_days"] > 80 for row in rows)


def test_a_suite_runs_on_both_workers_from_an_unprivileged_place(
    operator: Operator, lab: Lab, archives: dict[str, Archive], suites: list[str]
) -> None:
    client = lab.hosts[3]
    install_client(client, archives[suites[0]].path, operator.inventory.parent / ".cluster/client")
    write_suite(client, count=60, seconds=0.05)
    client.run(suite_command(BROKER, log="log"), user="guest", check=False)
    said = (client.root / "home/guest/project/log").read_text()
    junit = (client.root / "home/guest/project/junit.xml").read_text()
    cases = [case.get("name") for case in ET.fromstring(junit).iter("testcase")]
    assert len(cases) == len(set(cases)) == 60, said
    for host in lab.hosts[1:3]:
        assert host.run("find /var/lib/maelstrom-worker/store -type f | head -n 1"), host.name


def test_drift_is_told_and_mended(operator: Operator, lab: Lab) -> None:
    broker, first, second = lab.hosts[:3]
    broker.run("echo x >> /etc/maelstrom/broker.toml; systemctl restart maelstrom-broker || true")
    first.run("chmod 666 /etc/maelstrom/worker.toml; systemctl disable --now maelstrom-worker")
    second.run("rm /etc/systemd/system/maelstrom-worker.service; userdel -f maelstrom-worker")
    said = operator.run("up", "--yes")
    assert said.status == 0
    for told in (
        "write /etc/maelstrom/broker.toml  (its content differs)",
        "-x",
        "set the mode of /etc/maelstrom/worker.toml to 0640",
        "start maelstrom-worker.service with the host  (it is not enabled)",
        "make the user maelstrom-worker  (it is not there)",
    ):
        assert told in said.text
    assert "nothing to change" in operator.run("up", "--yes").text
    assert operator.run("status").status == 0


def test_cases_that_require_a_label_run_only_where_it_is(
    operator: Operator, lab: Lab, archives: dict[str, Archive], suites: list[str]
) -> None:
    plain = operator.inventory.read_text()
    operator.inventory.write_text(plain.replace("[workers.w2]", '[workers.w2]\nlabels = ["red"]'))
    said = operator.run("up", "--yes")
    assert said.status == 0
    assert '+labels = "red"' in said.text
    assert "nothing to change on broker, w1" in said.text
    rows = json.loads(operator.run("status", "--json").text)
    assert [row["labels"] for row in rows] == [[], [], ["red"]]
    client = lab.hosts[3]
    install_client(client, archives[suites[0]].path, operator.inventory.parent / ".cluster/client")
    job = {"program": "sleep", "arguments": ["0.1"], "labels": ["red"]}
    places = [ended["worker"] for ended in run_jobs(client, BROKER, 12 * [job])]
    assert places == 12 * [lab.hosts[2].name]
    write_suite(client, count=3, labels=("red",))
    client.run(suite_command(BROKER, log="log"), user="guest")
    write_suite(client, count=3, labels=("blue",))
    client.run(suite_command(BROKER, log="log"), user="guest", check=False)
    said_there = (client.root / "home/guest/project/log").read_text()
    assert "no worker accepts a job that needs a slot, the label `blue`" in said_there
    assert "the labels of workers are red" in said_there
    operator.inventory.write_text(plain)
    assert '-labels = "red"' in operator.run("up", "--yes").text


def test_new_certificates_are_taken_up_without_a_restart(operator: Operator, lab: Lab) -> None:
    before = [host.run("pgrep -o -f maelstrom-") for host in lab.hosts[:3]]
    said = operator.run("rotate", "--yes")
    assert said.text.count("install the certificate of the") == 3
    assert [host.run("pgrep -o -f maelstrom-") for host in lab.hosts[:3]] == before
    assert operator.run("status").status == 0


def test_a_host_that_was_rebooted_needs_nothing(operator: Operator, lab: Lab) -> None:
    lab.hosts[1].cut_power()
    lab.hosts[1].boot()
    lab.hosts[1].run("systemctl is-system-running --wait", check=False)
    assert "nothing to change on 3 hosts" in operator.run("up", "--yes").text


def test_the_sandbox_works_inside_the_workers_unit(lab: Lab) -> None:
    for host in lab.hosts[1:3]:
        said = host.run(_in_unit("python -m maelstrom.sandbox --check"), check=False)
        assert "rootless containers work here" in said, f"{host.name}: {said}"
        assert "NO  " not in said
        assert "was not handed over to us" not in said


def test_without_the_mount_unit_no_proc_could_be_mounted(lab: Lab) -> None:
    # The lab covers a part of every /proc that hosts could see, so this is not by chance.
    check = "/opt/maelstrom/current/venv/bin/python -m maelstrom.sandbox --check"
    as_worker = f"cd / && runuser -u maelstrom-worker -- {check}"
    for host in lab.hosts[1:3]:
        without = f"umount /run/maelstrom/proc && {as_worker}"
        said = host.run(f"unshare --mount --propagation private sh -c '{without}'", check=False)
        assert "cannot mount proc: Operation not permitted" in said, host.name


def _in_unit(command: str) -> str:
    """Return a shell command that runs a program of ours in a copy of the worker's unit."""
    unit = "/etc/systemd/system/maelstrom-worker.service"
    copy = "/run/systemd/system/try-worker.service"
    return (
        f"sed -e 's#^ExecStart=.*#ExecStart=/opt/maelstrom/current/venv/bin/{command}#'"
        " -e 's/^Type=.*/Type=oneshot/' -e '/^Restart/d' -e '/^ExecStartPre/d' -e '/^Watchdog/d'"
        f" {unit} > {copy}; systemctl daemon-reload; systemctl start try-worker;"
        f" journalctl -u try-worker -o cat --no-pager; rm {copy}; systemctl daemon-reload"
    )


@pytest.mark.parametrize(("role", "host", "most"), [("broker", 0, 2.0), ("worker", 1, 3.6)])
def test_units_are_closed_as_far_as_they_can_be(
    role: str, host: int, most: float, lab: Lab
) -> None:
    said = lab.hosts[host].run(f"systemd-analyze security maelstrom-{role} --no-pager", check=False)
    level = float(said.strip().splitlines()[-1].split(":")[1].split()[0])
    assert level <= most


def test_a_worker_is_added_and_removed(operator: Operator, lab: Lab) -> None:
    extra = lab.hosts[3]
    before = operator.inventory.read_text()
    said = operator.run("add", "--yes", "--no-diff", "w3", extra.address)
    assert said.status == 0
    assert "nothing to change on broker, w1, w2" in said.text
    assert extra.run("systemctl is-active maelstrom-worker").strip() == "active"
    said = operator.run("remove", "--yes", "--no-diff", "w3")
    assert said.status == 0
    assert operator.inventory.read_text() == before
    assert extra.run("systemctl is-active maelstrom-worker", check=False).strip() == "inactive"
    assert "other certificates are revoked" in said.text


def test_down_leaves_nothing(operator: Operator, lab: Lab) -> None:
    assert operator.run("down", "--yes").status == 0
    for host in lab.hosts[:3]:
        assert host.run(LEFT, check=False) == ""
    assert "nothing to change" in operator.run("down", "--yes").text
