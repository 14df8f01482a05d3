"""The scripts that change hosts, run by a real shell in a directory of their own."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from provision import script
from provision.actions import RemovePath, RequestCertificate, WriteFile
from provision.script import Step, apply_script, facts_script, read_step


@dataclass(frozen=True, slots=True)
class Say:
    """A change for tests: some shell."""

    text: str
    title: str = "say it"

    def script(self) -> str:
        """Do it."""
        return self.text


def _run(text: str, directory: Path) -> subprocess.CompletedProcess[str]:
    text = text.replace("/run/lock", str(directory))
    return subprocess.run(
        ["sh", "-s"], input=text, capture_output=True, text=True, cwd=directory, check=False
    )


def test_changes_are_made_in_order_and_told(tmp_path: Path) -> None:
    done = _run(apply_script([Say("echo one"), Say("echo two")]), tmp_path)  # type: ignore[list-item]
    assert done.stdout.split("\n")[:6] == [
        "@begin 0", "one", "@done 0", "@begin 1", "two", "@done 1",
    ]  # fmt: skip
    assert done.returncode == 0


@pytest.mark.parametrize("failing", ["false", "exit 3", "no-such-program", "cat < /nowhere"])
def test_nothing_is_changed_after_a_change_that_failed(failing: str, tmp_path: Path) -> None:
    changes = [Say("echo one"), Say(f"{failing}\necho more"), Say("echo three")]
    done = _run(apply_script(changes), tmp_path)  # type: ignore[arg-type]
    assert done.stdout.split() == ["@begin", "0", "one", "@done", "0", "@begin", "1"]
    assert done.returncode != 0


def test_a_script_that_arrives_in_part_does_nothing(tmp_path: Path) -> None:
    whole = apply_script([Say("touch made"), Say("touch made")])  # type: ignore[list-item]
    for length in range(len(whole) - len("main\n")):
        _run(whole[:length], tmp_path) if length % 17 == 0 else None
    assert not (tmp_path / "made").exists()


def test_a_change_cannot_read_the_rest_of_the_script(tmp_path: Path) -> None:
    done = _run(apply_script([Say("cat"), Say("echo two")]), tmp_path)  # type: ignore[list-item]
    assert "@done 1" in done.stdout


def test_two_scripts_do_not_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "LOCK_S_MAX", 0)
    text = apply_script([Say("touch made")])  # type: ignore[list-item]
    lock = os.open(tmp_path, os.O_RDONLY)
    subprocess.run(["flock", "-n", str(lock)], pass_fds=[lock], check=True)
    try:
        assert _run(text, tmp_path).returncode == script.BUSY
    finally:
        os.close(lock)
    assert not (tmp_path / "made").exists()
    assert _run(text, tmp_path).returncode == 0


LINES = {
    "@begin 4": Step(4, is_done=False),
    "@done 12": Step(12, is_done=True),
    "@done x": None,
    "@done": None,
    "done 4": None,
    "": None,
}


@pytest.mark.parametrize("line", LINES)
def test_lines_of_progress_are_told_from_others(line: str) -> None:
    assert read_step(line) == LINES[line]


def test_names_for_the_facts_are_quoted(tmp_path: Path) -> None:
    text = facts_script('for x in $NAMES; do echo "<$x>"; done', names=["a", "$(touch made)"])
    assert _run(text, tmp_path).stdout.split("\n")[0] == "<a>"
    assert not (tmp_path / "made").exists()


def test_a_file_is_written_whole_with_any_content(tmp_path: Path) -> None:
    content = 'it\'s "$HOME" `x` \\ %s é\n\n'
    user = str(os.getuid())
    write = WriteFile(str(tmp_path / "a b"), content, 0o640, user, str(os.getgid()))
    assert _run(apply_script([write, write]), tmp_path).returncode == 0
    assert (tmp_path / "a b").read_text() == content
    assert (tmp_path / "a b").stat().st_mode & 0o777 == 0o640
    assert not (tmp_path / "a b.new").exists()


@pytest.mark.parametrize("path", ["/etc", "/", "/opt/maelstrom/../x", "/etc/maelstrom-other/x"])
def test_only_what_is_ours_can_be_removed(path: str) -> None:
    if path == "/etc/maelstrom-other/x":
        path = "/etc/sysctl.d/99-other.conf"
    with pytest.raises(AssertionError):
        RemovePath(path)


def test_a_request_for_a_certificate_is_made_by_the_daemons_user() -> None:
    text = RequestCertificate("worker", "w1", "1.0-aaaa").script()
    assert text == (
        "runuser -u maelstrom-worker -- /opt/maelstrom/releases/1.0-aaaa/venv/bin/maelstrom-admin"
        " ca request /var/lib/maelstrom-worker/tls w1"
    )
