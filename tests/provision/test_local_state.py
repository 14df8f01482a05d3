"""What the operator's machine keeps of a cluster."""

import stat
import subprocess
from pathlib import Path

import pytest

from maelstrom.errors import InfrastructureError
from provision.local_state import LocalState


def _state(tmp_path: Path) -> LocalState:
    return LocalState(tmp_path / "cluster.toml")


def test_it_is_for_its_owner_only_and_not_for_version_control(tmp_path: Path) -> None:
    state = _state(tmp_path)
    state.open()
    assert state.directory == tmp_path / ".cluster"
    assert stat.S_IMODE(state.directory.stat().st_mode) == 0o700
    assert (state.directory / ".gitignore").read_text() == "*\n"


def test_of_two_runs_on_one_machine_the_second_is_refused(tmp_path: Path) -> None:
    with (
        _state(tmp_path).locked(),
        pytest.raises(InfrastructureError, match="another run on this machine"),
        _state(tmp_path).locked(),
    ):
        pass
    with _state(tmp_path).locked():
        pass


def test_keys_of_hosts_are_added(tmp_path: Path) -> None:
    state = _state(tmp_path)
    state.accept("a ssh-ed25519 AAAA\n")
    state.accept("b ssh-ed25519 BBBB\n")
    assert state.known_hosts.read_text() == "a ssh-ed25519 AAAA\nb ssh-ed25519 BBBB\n"
    assert stat.S_IMODE(state.known_hosts.stat().st_mode) == 0o600


def test_a_shell_is_told_where_the_cluster_is(tmp_path: Path) -> None:
    state = _state(tmp_path)
    state.open()
    path = state.write_environment("[::1]:9001", tmp_path / "it's here")
    said = subprocess.run(
        ["sh", "-c", f". {path}; env"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "MAELSTROM_BROKER=[::1]:9001" in said
    assert f"MAELSTROM_IDENTITY={tmp_path}/it's here" in said
