"""A broker and workers on this machine, started and ended by a command."""

import os
import signal
import time
from pathlib import Path

from provision.local import LocalCluster


def test_a_local_cluster_starts_goes_on_by_itself_and_is_ended(tmp_path: Path) -> None:
    place = LocalCluster(tmp_path / "cluster").up(1)
    try:
        assert place.startswith("plain:127.0.0.1:")
        found = LocalCluster(tmp_path / "cluster")
        assert [(d.name, d.is_alive) for d in found.daemons] == [
            ("broker", True), ("worker-1", True),
        ]  # fmt: skip
        # Again: what runs goes on, what does not is started, what is too much is ended.
        before = found.daemons
        assert found.up(2) == place
        assert found.daemons[:2] == before
        os.kill(before[1].process, signal.SIGKILL)
        while before[1].is_alive:
            time.sleep(0.01)
        assert found.up(2) == place
        assert [d.name for d in found.daemons] == ["broker", "worker-2", "worker-1"]
        assert found.up(1) == place
    finally:
        ended = LocalCluster(tmp_path / "cluster").down()
    assert ended == 2
    assert LocalCluster(tmp_path / "cluster").down() == 0


def test_a_program_that_got_the_number_of_another_is_not_ended(tmp_path: Path) -> None:
    (tmp_path / "daemons.json").write_text('[{"name": "x", "process": 1, "began": "-1"}]')
    assert LocalCluster(tmp_path).down() == 0
