"""A broker and workers on this machine, started and ended by a command."""

from pathlib import Path

import pytest

from maelstrom.errors import UserError
from provision.local import LocalCluster


def test_a_local_cluster_starts_goes_on_by_itself_and_is_ended(tmp_path: Path) -> None:
    place = LocalCluster(tmp_path / "cluster").up(1)
    try:
        assert place.startswith("plain:127.0.0.1:")
        found = LocalCluster(tmp_path / "cluster")
        assert [(d.name, d.is_alive) for d in found.daemons] == [
            ("broker", True), ("worker-1", True),
        ]  # fmt: skip
        with pytest.raises(UserError, match="a local cluster already"):
            found.up(1)
    finally:
        ended = LocalCluster(tmp_path / "cluster").down()
    assert ended == 2
    assert LocalCluster(tmp_path / "cluster").down() == 0


def test_a_program_that_got_the_number_of_another_is_not_ended(tmp_path: Path) -> None:
    (tmp_path / "daemons.json").write_text('[{"name": "x", "process": 1, "began": "-1"}]')
    assert LocalCluster(tmp_path).down() == 0
