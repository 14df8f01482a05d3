"""Another version comes to a running cluster, or does not come up and is taken back."""

import json
import shutil
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from provision.wheelhouse import Archive, Target, gather
from tests.provision.hosts.conftest import PYTHONS
from tests.provision.lab.lab import Lab
from tests.provision.lab.operator import PROJECT, Operator
from tests.provision.lab.suite import install_client, suite_command, write_suite

BROKER = "10.213.0.11:9001"
CASES = 500


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, suites: list[str]) -> dict[str, Path]:
    """Return wheels of a good and of a bad newer version, with all that they need gathered."""
    made = {
        "good": _wheel(tmp_path_factory.mktemp("good"), "99.0"),
        "bad": _wheel(tmp_path_factory.mktemp("bad"), "99.1", worker="raise SystemExit(7)\n"),
    }
    for wheel in made.values():
        for suite in suites:
            gather(Target(PYTHONS[suite], "x86_64"), str(wheel))
    return made


def _wheel(directory: Path, version: str, worker: str = "") -> Path:
    source = directory / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"):
        shutil.copy(PROJECT / name, source)
    shutil.copytree(PROJECT / "maelstrom", source / "maelstrom")
    first = source / "maelstrom/__init__.py"
    lines = first.read_text().splitlines()
    changed = [f'__version__ = "{version}"' if "__version__ =" in line else line for line in lines]
    first.write_text("\n".join([*changed, ""]))
    if worker:
        (source / "maelstrom/cli/worker.py").write_text(worker)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", directory, source]
    subprocess.run(command, check=True)
    return next(directory.glob("*.whl"))


@pytest.fixture(scope="module", autouse=True)
def cluster(operator: Operator, wheels: dict[str, Path]) -> None:
    """Bring the cluster up once, when all wheels are there."""
    assert operator.run("up", "--yes", "--no-diff").status == 0


def _versions(operator: Operator) -> set[str]:
    rows = json.loads(operator.run("status", "--json").text)
    assert all(row["is_well"] for row in rows), rows
    return {row["version"].split("-")[0] for row in rows}


def test_an_upgrade_while_a_suite_runs_loses_no_case_and_tells_none_twice(
    operator: Operator,
    lab: Lab,
    archives: dict[str, Archive],
    suites: list[str],
    wheels: dict[str, Path],
) -> None:
    client = lab.hosts[3]
    install_client(client, archives[suites[0]].path, operator.inventory.parent / ".cluster/client")
    write_suite(client, count=CASES, seconds=0.05)
    running = threading.Thread(
        target=client.run,
        args=(suite_command(BROKER, log="log"),),
        kwargs={"user": "guest", "check": False},
    )
    running.start()
    operator.wheel = str(wheels["good"])
    operator.write(lab.hosts[0], lab.hosts[1:3])
    said = operator.run("upgrade", "--yes", "--no-diff")
    was_running = running.is_alive()
    running.join()
    assert said.status == 0
    assert was_running, "the suite ended before the upgrade did"
    assert said.text.index("w1: start maelstrom-worker") < said.text.index("w2: switch to")
    junit = (client.root / "home/guest/project/junit.xml").read_text()
    log = (client.root / "home/guest/project/log").read_text()
    cases = list(ET.fromstring(junit).iter("testcase"))
    assert len(cases) == len({case.get("name") for case in cases}) == CASES, log
    bad = {"failure", "error", "skipped"}
    assert not [case.get("name") for case in cases if bad & {part.tag for part in case}], log
    assert _versions(operator) == {"99.0"}


def test_a_version_that_does_not_come_up_is_taken_back_everywhere(
    operator: Operator, lab: Lab, wheels: dict[str, Path]
) -> None:
    before = _versions(operator)
    operator.wheel = str(wheels["bad"])
    operator.write(lab.hosts[0], lab.hosts[1:3])
    said = operator.run("upgrade", "--yes", "--no-diff")
    assert said.status == 1
    assert "w1: cannot start maelstrom-worker.service" in said.text
    assert "it runs what it ran before" in said.text
    assert "w2: not changed, because w1 did not come up" in said.text
    assert "broker: changed, and then put back because another host failed" in said.text
    assert _versions(operator) == before
