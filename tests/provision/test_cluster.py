"""A run over hosts of several kinds: what each of them gets."""

from dataclasses import replace
from pathlib import Path

import pytest

from maelstrom.errors import UserError
from provision import cluster
from provision.cluster import Options, Run
from provision.facts import Facts, Python
from provision.local_state import LocalState
from provision.signer import Signer
from provision.survey import Survey
from provision.wanted import Release
from provision.wheelhouse import Archive, Target
from tests.provision.hosts_as_told import BARE, inventory, titles

ARM = replace(BARE, machine="aarch64", pythons=(Python("/usr/bin/python3", (3, 13, 5)),))
FACTS = {"broker": BARE, "w1": ARM, "w2": BARE}


@pytest.fixture
def gathered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return for which kinds of hosts something was gathered."""
    found: list[str] = []

    def gather(target: Target, wheel: str, say: object) -> Archive:
        found.append(str(target))
        return Archive(Path("x"), Release(f"1.0-{target}", "0" * 64), "1.0")

    monkeypatch.setattr(cluster, "gather", gather)
    return found


def _run(tmp_path: Path, version: str = "") -> Run:
    return Run(
        replace(inventory(), version=version),
        LocalState(tmp_path / "cluster.toml"),
        Options(),
        say=lambda _line: None,
        ask=lambda _question: False,
        authority=Signer(tmp_path / ".cluster/ca", "ours"),
    )


def _survey(facts: dict[str, Facts]) -> Survey:
    return Survey(facts=dict(facts), offsets_s=dict.fromkeys(facts, 0.0))


def test_hosts_of_several_architectures_and_pythons_each_get_their_own_release(
    tmp_path: Path, gathered: list[str]
) -> None:
    plans = _run(tmp_path)._plan(_survey(FACTS), is_forced=False)
    assert sorted(gathered) == ["cp311-x86_64", "cp313-aarch64"]
    assert "install the release 1.0-cp313-aarch64" in titles(plans["w1"])
    for name in ("broker", "w2"):
        assert "install the release 1.0-cp311-x86_64" in titles(plans[name])


def test_a_version_that_the_inventory_does_not_want_is_refused(
    tmp_path: Path, gathered: list[str]
) -> None:
    with pytest.raises(UserError, match=r"wants version 2\.0, and this is 1\.0"):
        _run(tmp_path, "2.0")._plan(_survey(FACTS), is_forced=False)
