"""Who asks for identities, and what he gets: in a /proc and an /etc of our own."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from maelstrom.sandbox import grantor, identities
from maelstrom.sandbox.grantor import grant
from maelstrom.sandbox.identities import GRANTOR_VARIABLE, NoIdentities, map_identities

ME = os.getuid()


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a directory with a process 7 of ours, and ranges for us."""
    process = tmp_path / "proc/7"
    process.mkdir(parents=True)
    for name in ("uid_map", "gid_map"):
        (process / name).touch()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/subuid").write_text(f"other:1:65536\n{ME}:100000:65536\n")
    (tmp_path / "etc/subgid").write_text(f"{ME}:10:10\n{ME}:200000:65536\n")
    return tmp_path


def _grant(host: Path, pid: int = 7, user: int = ME) -> str:
    return grant(pid, user, 1234, proc=host / "proc", etc=host / "etc")


def test_a_process_of_ones_own_gets_ones_own_ranges(host: Path) -> None:
    assert _grant(host) == ""
    assert (host / "proc/7/uid_map").read_text() == f"0 {ME} 1\n1 100000 65535\n"
    assert (host / "proc/7/gid_map").read_text() == "0 1234 1\n1 200000 65535\n"


REFUSED: dict[str, tuple[Callable[[Path], str], str]] = {
    "a process that is not there": (lambda host: _grant(host, pid=8), "there is no process 8"),
    "a process of another user": (
        lambda host: _grant(host, user=ME + 1), "process 7 belongs to another user",
    ),
    "a process that may not be changed": (
        lambda host: str((host / "proc/7/uid_map").unlink() or "") + _grant(host),
        "cannot map identities: No such file or directory",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_is_given_to(case: str, host: Path) -> None:
    ask, words = REFUSED[case]
    assert ask(host) == words
    assert (host / "proc/7/gid_map").read_text() == ""


def test_who_was_granted_nothing_gets_nothing(host: Path) -> None:
    (host / "etc/subuid").write_text("other:1:65536\n")
    with pytest.raises(NoIdentities, match=r"grants .* no 65535 identities"):
        _grant(host)
    assert (host / "proc/7/uid_map").read_text() == ""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[int, int, int]]:
    """Listen where the environment says; return for whom identities were asked."""
    found: list[tuple[int, int, int]] = []

    def note(pid: int, user: int, group: int) -> str:
        found.append((pid, user, group))
        return "" if pid == 7 else "not for you"

    monkeypatch.setattr(grantor, "grant", note)
    path = str(tmp_path / "socket")
    monkeypatch.setenv(GRANTOR_VARIABLE, path)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()

    def serve() -> None:
        with listening, listening.accept()[0] as connection:
            grantor.answer(connection)

    threading.Thread(target=serve, daemon=True).start()
    return found


def test_the_kernel_says_who_asks(asked: list[tuple[int, int, int]]) -> None:
    map_identities(7, 0, 0)
    assert asked == [(7, ME, os.getgid())]


def test_a_refusal_is_told_in_the_grantors_words(asked: list[tuple[int, int, int]]) -> None:
    with pytest.raises(NoIdentities, match="not for you"):
        map_identities(8, 0, 0)


def test_a_grantor_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(GRANTOR_VARIABLE, str(tmp_path / "nobody"))
    with pytest.raises(NoIdentities, match=r"cannot ask .*nobody for identities: No such file"):
        map_identities(7, 0, 0)


def test_what_is_no_number_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"-1\n")
        grantor.answer(theirs)
        assert ours.recv(100) == b"this is not the number of a process\n"


@pytest.mark.parametrize("is_bound", [False, True])
def test_who_can_gain_no_rights_is_told_why_newuidmap_fails(
    is_bound: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "newuidmap"
    tool.write_text("#!/bin/sh\necho write to uid_map failed >&2\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(GRANTOR_VARIABLE, raising=False)
    monkeypatch.setattr(identities, "extents", lambda _path, _user, own: [(0, own, 1)])
    monkeypatch.setattr(identities, "_is_bound", lambda: is_bound)
    with pytest.raises(NoIdentities, match="write to uid_map failed") as raised:
        map_identities(7, ME, ME)
    assert ("can gain no rights" in str(raised.value)) == is_bound
