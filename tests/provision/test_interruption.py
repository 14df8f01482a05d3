"""Changes that are cut off at any of their lines: the host is before or after, and goes on.

The changes are the real ones, run by a real shell on a tree of our own; programs that only root may
use are stand-ins that note what they were asked.
"""

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from provision.actions import (
    Action,
    ApplySettings,
    EnableUnit,
    GrantIdentities,
    InstallRelease,
    LoadProfile,
    MakeDirectory,
    MakeUser,
    ReloadUnits,
    RemovePath,
    RemoveProfile,
    RemoveUnit,
    RemoveUser,
    RestartUnit,
    SetMode,
    SwitchRelease,
    WriteFile,
)
from provision.script import apply_script

ME, MY_GROUP = str(os.getuid()), str(os.getgid())
STAND_INS = (
    *("useradd", "userdel", "usermod", "systemctl", "journalctl", "sysctl", "apparmor_parser"),
    *("pkill", "runuser", "sync", "chown"),
)
ETC, OPT = "/etc/maelstrom", "/opt/maelstrom"
FILE = f"{ETC}/worker.toml"
UNIT = "/etc/systemd/system/x.service"


# Makes an environment of nothing, and runs nothing: a real one takes too long for each line.
PYTHON = """#!/bin/sh
for last; do :; done
case "$*" in *"-m venv"*) mkdir -p "$last/bin"; cp "$0" "$last/bin/python";; esac
"""


def _archive() -> bytes:
    packed = io.BytesIO()
    content = b"#!@python@\nprint('hello')\n"
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("bin/maelstrom-worker")
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


ARCHIVE = _archive()
RELEASE = InstallRelease("2.0", "python-of-ours", hashlib.sha256(ARCHIVE).hexdigest())


@dataclass(frozen=True, slots=True)
class World:
    """A tree that stands for a host's."""

    root: Path

    def run(self, text: str) -> int:
        """Run a script in it."""
        for top in ("/opt/maelstrom", "/etc/", "/run/lock"):
            text = text.replace(top, f"{self.root}{top}")
        path = f"{self.root}/bin:{os.environ['PATH']}"
        command = ["sh", "-s"]
        done = subprocess.run(
            command, input=text, env={"PATH": path}, capture_output=True, text=True, check=False
        )
        return done.returncode

    def at(self, path: str) -> Path:
        """Return where a path of the host is."""
        return Path(f"{self.root}{path}")

    def content(self, path: str) -> str:
        """Return what a file holds, or nothing if it is not there."""
        return self.at(path).read_text() if self.at(path).exists() else ""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a host that has an older release, and files of ours."""
    made = World(tmp_path)
    for directory in ("bin", "run/lock", "etc/systemd/system", "etc/maelstrom",
                      "opt/maelstrom/releases/1.0", "opt/maelstrom/incoming"):  # fmt: skip
        (tmp_path / directory).mkdir(parents=True)
    for name in STAND_INS:
        (tmp_path / "bin" / name).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "bin/python-of-ours").write_text(PYTHON)
    (tmp_path / "bin/python-of-ours").chmod(0o755)
    made.at(FILE).write_text("old")
    made.at(UNIT).write_text("old")
    made.at(f"{OPT}/current").symlink_to("releases/1.0")
    made.at(f"{OPT}/releases/1.0/.complete").touch()
    made.at(RELEASE.archive).write_bytes(ARCHIVE)
    return made


def _is_complete(world: World) -> bool:
    return world.at(f"{OPT}/releases/2.0/.complete").exists()


def _works(world: World) -> bool:
    venv = world.at(f"{OPT}/releases/2.0/venv")
    return (venv / "bin/maelstrom-worker").read_text().startswith(f"#!{venv}/bin/python\n")


Look = Callable[[World], object]
# Each change, what is looked at, and what may be seen there before and after it.
CHANGES: dict[str, tuple[Action, Look, object, object]] = {
    "a file": (
        WriteFile(FILE, "new", 0o640, ME, MY_GROUP), lambda w: w.content(FILE), "old", "new",
    ),
    "a file that was not there": (
        WriteFile(f"{ETC}/x", "new", 0o600, ME, MY_GROUP),
        lambda w: w.content(f"{ETC}/x"), "", "new",
    ),
    "a directory": (
        MakeDirectory(f"{OPT}/x", 0o700, ME, MY_GROUP),
        lambda w: w.at(f"{OPT}/x").exists() and w.at(f"{OPT}/x").stat().st_mode & 0o777,
        False, 0o700,
    ),
    "a mode": (
        SetMode(FILE, 0o600, ME, MY_GROUP),
        lambda w: w.at(FILE).stat().st_mode & 0o777, 0o644, 0o600,
    ),
    "a release": (RELEASE, lambda w: _is_complete(w) and _works(w), False, True),
    "the release in use": (
        SwitchRelease("2.0"), lambda w: str(w.at(f"{OPT}/current").readlink()),
        "releases/1.0", "releases/2.0",
    ),
    "a unit that goes": (RemoveUnit("x.service"), lambda w: w.content(UNIT), "old", ""),
    "a path that goes": (RemovePath(FILE), lambda w: w.content(FILE), "old", ""),
    "a profile that goes": (
        RemoveProfile("/etc/apparmor.d/maelstrom-x"),
        lambda w: w.content("/etc/apparmor.d/maelstrom-x"), "", "",
    ),
    **{
        f"what {type(action).__name__} does": (action, lambda w: w.content(FILE), "old", "old")
        for action in (
            MakeUser("u", "/h"), GrantIdentities("u", 1, 2), ReloadUnits(), EnableUnit("x"),
            RestartUnit("x"), RemoveUser("u"), ApplySettings(FILE), LoadProfile(FILE),
        )
    },
}  # fmt: skip


def _cuts(action: Action) -> list[str]:
    """Return scripts that are killed after each of the change's lines, but not within an `if`."""
    lines = action.script().split("\n")
    cut = []
    for number in range(len(lines) + 1):
        text = "\n".join(["set -eu", "umask 022", *lines[:number]])
        depth = sum(line.startswith("if ") for line in lines[:number]) - sum(
            line == "fi" for line in lines[:number]
        )
        cut.append(f"{text}\nkill -9 $$" + "\nfi" * depth)
    return cut


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_that_is_cut_off_is_made_or_not_and_the_next_run_makes_it(
    case: str, world: World
) -> None:
    action, look, before, after = CHANGES[case]
    seen = []
    for text in _cuts(action):
        world.run(text)
        seen.append(look(world))
        assert seen[-1] in (before, after), text
    assert seen == sorted(seen, key=[before, after].index), "what was made is not unmade"
    if action is RELEASE:
        world.at(RELEASE.archive).write_bytes(ARCHIVE)  # It is sent anew by each run.
    assert world.run(apply_script([action])) == 0
    assert look(world) == after
    assert not [*world.at(ETC).glob("*.new"), *world.at(OPT).glob("*.new")]


def test_every_change_is_in_the_table() -> None:
    # Certificates take two scripts, with the authority between them: see the tests on real hosts.
    others = {"Certify", "RequestCertificate", "InstallCertificate", "RevokeIdentities"}
    kinds = {kind.__name__ for kind in Action.__args__}  # type: ignore[attr-defined]
    assert kinds - others == {type(action).__name__ for action, *_ in CHANGES.values()}
