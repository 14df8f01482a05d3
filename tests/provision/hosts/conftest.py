"""Four Debian hosts for all of these tests: a broker's, two workers', a client's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.wheelhouse import Archive, Target, gather
from tests.provision.lab.image import image
from tests.provision.lab.lab import Lab
from tests.provision.lab.operator import Operator

PYTHONS = {"bookworm": (3, 11), "trixie": (3, 13)}


@pytest.fixture(scope="session")
def suites() -> list[str]:
    """Return which releases of Debian there are, the older one first."""
    return os.environ["MAELSTROM_TEST_HOSTS"].split()


@pytest.fixture(scope="session")
def archives(suites: list[str]) -> dict[str, Archive]:
    """Return the wheels for each release, gathered here: hosts and controller have no way out."""
    return {suite: gather(Target(PYTHONS[suite], "x86_64")) for suite in suites}


@pytest.fixture(scope="session")
def lab(suites: list[str]) -> Iterator[Lab]:
    """Return the hosts, switched on."""
    images = [image(suite) for suite in (suites[0], suites[0], suites[-1], suites[0])]
    with Lab(images) as lab:
        yield lab


@pytest.fixture(scope="module")
def operator(
    lab: Lab, archives: dict[str, Archive], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """Return an operator; what is left on the hosts at the end is removed."""
    operator = Operator(lab, tmp_path_factory.mktemp("operator") / "cluster")
    operator.write(lab.hosts[0], lab.hosts[1:3])
    yield operator
    operator.user = "admin"
    operator.write(lab.hosts[0], lab.hosts[1:3])
    assert operator.run("down", "--yes").status == 0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return an empty directory."""
    return tmp_path
