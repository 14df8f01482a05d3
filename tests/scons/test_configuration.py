"""Where the settings of a test run come from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import PASSES, Project


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def places(home: Path, user: str = "", host: str = "") -> dict[str, str]:
    """Write the user's file and the host's, and return the variables that lead to them."""
    for directory, text in (("user", user), ("host", host)):
        path = home / directory / "maelstrom"
        path.mkdir(parents=True, exist_ok=True)
        (path / "scons.toml").write_text(text)
    return {"XDG_CONFIG_HOME": str(home / "user"), "XDG_CONFIG_DIRS": str(home / "host")}


def declare(project: Project, before: str = "") -> Project:
    project.write(p_dot_c=PASSES)
    body = f"{before}\nenv.MaelstromTest('t', env.Program('p', 'p.c'))\n"
    return project.sconstruct(body, is_fake=True)


# The host has slots 2. What is said on the line, in the environment, in the SConstruct, in the
# user's file -> slots, and where they are from.
CHAIN = {
    "the command line first": (
        ["--maelstrom-slots=7"],
        {"MAELSTROM_SCONS_SLOTS": "6", "MAELSTROM_SLOTS": "5"},
        "env['MAELSTROM_SLOTS'] = 4",
        "slots = 3",
        7,
        "--maelstrom-slots",
    ),
    "then the environment of this program": (
        [],
        {"MAELSTROM_SCONS_SLOTS": "6", "MAELSTROM_SLOTS": "5"},
        "env['MAELSTROM_SLOTS'] = 4",
        "slots = 3",
        6,
        "the environment variable MAELSTROM_SCONS_SLOTS",
    ),
    "then that of all programs": (
        [],
        {"MAELSTROM_SLOTS": "5"},
        "env['MAELSTROM_SLOTS'] = 4",
        "slots = 3",
        5,
        "the environment variable MAELSTROM_SLOTS",
    ),
    "then the project": (
        [],
        {},
        "env['MAELSTROM_SLOTS'] = 4",
        "slots = 3",
        4,
        "the construction variable MAELSTROM_SLOTS",
    ),
    "then the user": ([], {}, "", "# mine\nslots = 3", 3, "user/maelstrom/scons.toml:2"),
    "then the host": ([], {}, "", "", 2, "host/maelstrom/scons.toml:1"),
    "a file that is named stands for both": (
        ["--maelstrom-config-file=own.toml"],
        {},
        "",
        "slots = 3",
        9,
        "`slots` in own.toml:1",
    ),
    "and none for none": (["--maelstrom-config-file=-"], {}, "", "slots = 3", None, "default"),
}


@pytest.mark.parametrize("name", CHAIN)
def test_the_first_that_says_something_holds(name: str, project: Project, home: Path) -> None:
    line, environment, sconstruct, user, slots, where = CHAIN[name]
    project.put("own.toml", "slots = 9\n")
    found = environment | places(home, user, "slots = 2")
    declare(project, sconstruct)
    shown = project.scons("test", "--maelstrom-print-config", *line, **found)
    assert shown.status == 0
    [told] = [each for each in shown.out.splitlines() if "slots" in each.partition("=")[0]]
    assert where in told
    assert (f"slots = {slots} " in told) or slots is None
    assert not project.events("open"), "nothing is run"


def test_all_that_is_in_a_file_gets_where_it_is_meant_for(project: Project, home: Path) -> None:
    user = (
        'maelstrom = true\nbroker = "unix:/run/b"\nslots = 3\nui = "quiet"\nstore-size = "5M"\n'
        'identity = "/etc/me"\ncache = false\ntimeout = 7.5\n'
        'resources = "gpu=2"\nlabels = "fast"\n'
    )
    declare(project)
    assert project.scons("test", **places(home, user)).status == 0
    [opened] = project.events("open")
    told = {key: opened[key] for key in ("broker", "slots", "has", "store", "identity")}
    assert told == {
        "broker": "unix:/run/b", "slots": 3, "has": [["gpu", 2], ["label:fast", 1]],
        "store": 5 << 20, "identity": "/etc/me",
    }  # fmt: skip
    [job] = project.events("submit")
    assert job["timeout_s"] == 7.5
    shown = project.scons("--maelstrom-print-config", **places(home, user))
    assert shown.has("maelstrom = true", "cache = false", "timeout = 7.5", "# junit is not set")


MISTAKES = {
    "a key that is none": (
        "slots = 1\nslotz = 2",
        ["scons.toml:2: `slotz` is no setting", "slots"],
    ),
    "a value that is none": (
        "slots = 0",
        ["`slots` in ", "scons.toml:1 is '0': it must be a numb"],
    ),
    "a table": ("[slots]\nx = 1", ["scons.toml:1: `slots` cannot be a dict"]),
    "no TOML": ("slots = = 1", ["user/maelstrom/scons.toml: "]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_names_file_and_line(name: str, project: Project, home: Path) -> None:
    text, expected = MISTAKES[name]
    ran = declare(project).scons("test", **places(home, text))
    assert ran.status == 2
    assert ran.has("scons: ***", *expected)


def test_a_file_that_was_named_must_be_there(project: Project) -> None:
    ran = declare(project).scons("test", "--maelstrom-config-file=nope.toml")
    assert ran.status == 2
    assert ran.has("scons: *** nope.toml: No such file or directory")


def test_who_has_no_file_loads_nothing_for_it(project: Project, home: Path) -> None:
    """SCons' start is visible to its users."""
    code = (
        "import json, sys\nsys.argv = ['scons', '-h']\nimport SCons.Script\n"
        "try: SCons.Script.main()\nexcept SystemExit: pass\n"
        "ours = [m for m in sys.modules if m.startswith('maelstrom.') or m == 'tomllib']\n"
        "print(json.dumps(ours))\n"
    )
    declare(project)
    project.sconstruct("env.MaelstromTest('t', env.Program('p', 'p.c'))\n")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        env=project.environment(XDG_CONFIG_HOME=str(home), XDG_CONFIG_DIRS=str(home)),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "maelstrom.scons.configuration" in loaded
    assert "tomllib" not in loaded
    parts = ("client", "errors", "layers", "places", "scons")
    allowed = tuple(f"maelstrom.{part}" for part in parts)
    light = {"maelstrom.model", "maelstrom.model.amounts", "maelstrom.model.label"}
    assert all(name.startswith(allowed) for name in loaded if name not in light), loaded
    assert "--maelstrom-print-config" in done.stdout
