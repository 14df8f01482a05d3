"""The sandbox's own tests inside the worker's unit: on Debian 12 and 13, with all that closes it.

The lab covers a part of every /proc that hosts can see, so no mount of a /proc works by chance.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.wheelhouse import Archive
from tests.provision.hosts.conftest import PYTHONS
from tests.provision.lab.carried import PLACE, carry_tests, gather_packages, remove_tests
from tests.provision.lab.lab import Lab
from tests.provision.lab.operator import Operator
from tests.provision.lab.suite import install_client, run_jobs
from tests.provision.lab.unit import run_in_unit

PYTHON = "/opt/maelstrom/current/venv/bin/python"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory, suites: list[str]) -> dict[str, Path]:
    """Return what the tests need, for each release of Debian."""
    return {
        suite: gather_packages(tmp_path_factory.mktemp(suite), PYTHONS[suite]) for suite in suites
    }


@pytest.fixture(scope="module", autouse=True)
def cluster(operator: Operator, packages: dict[str, Path], lab: Lab) -> Iterator[None]:
    """Bring up workers whose jobs may have several users."""
    operator.more_of_workers = "identities = true"
    operator.write(lab.hosts[0], lab.hosts[1:3])
    said = operator.run("up", "--yes", "--no-diff")
    assert said.status == 0, said
    yield
    for host in lab.hosts[1:3]:
        remove_tests(host)


@pytest.mark.parametrize("number", [0, 1], ids=["older", "newer"])
def test_the_sandbox_tests_pass_inside_the_workers_unit(
    number: int, lab: Lab, packages: dict[str, Path], suites: list[str]
) -> None:
    host = lab.hosts[1 + number]
    carry_tests(host, packages[suites[-number]])
    said = run_in_unit(
        host,
        f"cd {PLACE}/tree && exec {PYTHON} -m pytest -q -p no:cacheprovider --color=no"
        " --tb=short tests/sandbox",
        f"Environment=PYTHONPATH={PLACE}/packages MAELSTROM_MUST_SANDBOX=1",
    )
    assert said.endswith("status 0\n"), said
    assert " passed" in said
    assert "no identities here" not in said


def test_a_second_up_changes_nothing_where_identities_are_granted(operator: Operator) -> None:
    assert "nothing to change on 3 hosts" in operator.run("up", "--yes").text


def _runs_as_several(lab: Lab) -> list[int]:
    """Return the exit statuses of jobs that want to be somebody else, on both workers."""
    job = {
        "program": "sh",
        "arguments": ["-c", 'sleep 0.2; [ "$(id -u) $(id -G)" = "1234 1234 4321" ]'],
        "layers": [{"type": "programs", "programs": ["sh", "id", "sleep"]}],
        "has_identities": True,
        "user": 1234,
        "group": 1234,
        "groups": [4321],
    }
    ended = run_jobs(lab.hosts[3], f"{lab.hosts[0].address}:9001", 4 * [job])
    return [each["status"] for each in ended]


def test_identities_are_taken_away_and_given_again_while_the_worker_runs(
    operator: Operator, lab: Lab, archives: dict[str, Archive], suites: list[str]
) -> None:
    identity = operator.inventory.parent / ".cluster/client"
    install_client(lab.hosts[3], archives[suites[0]].path, identity)
    assert _runs_as_several(lab) == [0, 0, 0, 0]
    worker = lab.hosts[1]
    assert "maelstrom-worker:" in worker.run("cat /etc/subuid /etc/subgid")
    operator.more_of_workers = ""
    operator.write(lab.hosts[0], lab.hosts[1:3])
    said = operator.run("up", "--yes", "--no-diff")
    assert said.status == 0, said
    assert "take the users and groups for containers away from maelstrom-worker" in said.text
    assert "maelstrom-worker" not in worker.run("cat /etc/subuid /etc/subgid")
    assert worker.run("ls /run/maelstrom-identities", check=False) == ""
    assert 0 not in _runs_as_several(lab)
    assert "nothing to change on 3 hosts" in operator.run("up", "--yes").text
    operator.more_of_workers = "identities = true"
    operator.write(lab.hosts[0], lab.hosts[1:3])
    assert operator.run("up", "--yes", "--no-diff").status == 0
    assert _runs_as_several(lab) == [0, 0, 0, 0]
    said = run_in_unit(worker, f"cd / && exec {PYTHON} -m maelstrom.sandbox --check")
    assert "ok  several users and groups in a container" in said
