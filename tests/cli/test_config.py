"""Where the daemons' values come from, and what is said of wrong ones."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from maelstrom import places
from maelstrom.cli.commands import broker, worker


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MAELSTROM_BROKER", "MAELSTROM_IDENTITY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
    return tmp_path


def write(home: Path, place: str, text: str) -> Path:
    path = home / place / "maelstrom" / "worker.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def run(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(worker, [*words], env=env)


def shown(key: str, *words: str, env: dict[str, str] | None = None) -> str:
    lines = run("--print-config", *words, env=env).output.splitlines()
    return " ".join(next(line for line in lines if line.startswith((key, f"# {key}"))).split())


def test_the_nearest_source_holds_and_is_named(home: Path) -> None:
    assert shown("slots", env={"MAELSTROM_SLOTS": ""}).endswith("# default")
    system = write(home, "system", 'slots = 2\nbroker = "a:1"\n')
    assert shown("slots") == f"slots = 2 # {system}"
    own = write(home, "own", "slots = 3\n")
    assert shown("slots") == f"slots = 3 # {own}"
    assert shown("broker") == f'broker = "a:1" # {system}'
    every = {"MAELSTROM_SLOTS": "4"}
    assert shown("slots", env=every) == "slots = 4 # MAELSTROM_SLOTS"
    both = {**every, "MAELSTROM_WORKER_SLOTS": "5"}
    assert shown("slots", env=both) == "slots = 5 # MAELSTROM_WORKER_SLOTS"
    assert shown("slots", "--slots", "6", env=both) == "slots = 6 # command line"
    assert shown("name") == "# name is not set # default"
    assert shown("identity") == f'identity = "{home}/own/maelstrom/worker" # default'


def test_one_file_may_be_asked_for_or_none(home: Path, tmp_path: Path) -> None:
    write(home, "own", "slots = 3\n")
    other = tmp_path / "other.toml"
    other.write_text("slots = 7")
    assert shown("slots", "-c", str(other)) == f"slots = 7 # {other}"
    assert shown("slots", "-c", "-").endswith("# default")
    assert "no-such: No such file" in run("-c", "no-such", "-P").output


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("slots = 3\n\nsolts = 4\n", 3, "`solts` is no value of this program"),
        ("[slots]\nx = 1\n", 1, "`slots` cannot be a dict"),
        ("slots = true\n", 1, "`slots` cannot be a bool"),
        ("# x\nlog-format = ['json']\n", 2, "`log-format` cannot be a list"),
        ("print-config = true\n", 1, "`print-config` is no value"),
    ],
)
def test_a_wrong_key_names_file_and_line(home: Path, text: str, line: int, reason: str) -> None:
    path = write(home, "own", text)
    result = run("--print-config")
    assert result.exit_code == 2
    assert f"{path}:{line}: {reason}" in " ".join(result.output.split())


@pytest.mark.parametrize("text", ["slots = 'x'\n", "slots = 0\n", 'store-size = "many"\n'])
def test_a_wrong_value_is_refused(home: Path, text: str) -> None:
    write(home, "own", text)
    assert run("--print-config").exit_code == 2


def test_what_is_no_toml_is_named(home: Path) -> None:
    path = write(home, "own", "slots = \n")
    assert str(path) in run().output


def test_a_worker_must_know_its_broker() -> None:
    result = run()
    assert result.exit_code == 2
    assert "--broker HOST:PORT" in result.output


@pytest.mark.parametrize("program", [broker, worker])
def test_help_teaches_the_other_ways(program: object) -> None:
    text = CliRunner().invoke(program, ["--help"]).output  # type: ignore[arg-type]
    assert "--print-config" in text
    assert "in the environment" in text


def test_without_a_home_things_are_kept_where_one_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("STATE", "CACHE"):
        monkeypatch.delenv(f"XDG_{name}_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.store("worker") == tmp_path / ".cache/maelstrom/worker-store"
    assert places.journal() == tmp_path / ".local/state/maelstrom/broker-journal.sqlite"
    monkeypatch.setenv("HOME", "/nonexistent")
    assert places.store("broker") == tmp_path / ".cache/maelstrom-broker"
    assert places.journal() == tmp_path / ".cache/maelstrom-broker-journal.sqlite"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "state/maelstrom/broker-journal.sqlite"),
        (["--store", "mine/store"], "mine/store-journal.sqlite"),
        (["--store", "mine/store", "--journal", "j"], "j"),
    ],
)
def test_the_journal_is_no_cache(
    words: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Path] = []

    async def serve(*arguments: object) -> None:
        found.extend(each for each in arguments if isinstance(each, Path))

    monkeypatch.setattr("maelstrom.cli.broker.serve_address", serve)
    monkeypatch.setattr("maelstrom.cli.logs.start", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    for name in ("STATE", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    line = ["--listen", "unix:socket", "-c", "-", *words]
    result = CliRunner().invoke(broker, line)
    assert result.exit_code == 0, result.output
    assert [tmp_path / each for each in found] == [tmp_path / expected]
