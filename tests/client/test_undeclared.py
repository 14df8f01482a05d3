"""What the output of a failed case says was asked for in vain, and what to declare."""

from collections.abc import Callable
from pathlib import Path

import pytest

from maelstrom.client.undeclared import HINTS_MAX, NO_NETWORK, Undeclared

Ask = Callable[..., str]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Return what asks about a project with a few files, of which one is declared."""
    for name in ("testdata/in.txt", "testdata/two words.txt", "testdata/declared.txt",
                 "tests/golden.json", "tests/tool_test.py", "lib/codec.py", "lib/pack/__init__.py",
                 "a.txt", "b.txt", "c.txt", "d.txt"):  # fmt: skip
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.mkdir() if name.endswith("/") else file.touch()

    def ask(output: str, *, has_network: bool = False, working_directory: str = "") -> str:
        undeclared = Undeclared(
            str(tmp_path),
            (working_directory, "tests"),
            lambda: ("project/testdata/declared.txt", "usr/bin/env"),
            has_network=has_network,
        )
        return undeclared.hint(output.replace("HERE", str(tmp_path)))

    return ask


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ("FileNotFoundError: [Errno 2] No such file or directory: 'testdata/in.txt'",
         "testdata/in.txt"),
        ("cat: testdata/in.txt: No such file or directory", "testdata/in.txt"),
        ("io_test.cc:14: could not open testdata/in.txt", "testdata/in.txt"),
        ("/project/io_test.cc:14: cannot open /project/testdata/in.txt!\n", ""),
        ("cannot open (/project/testdata/in.txt)", "testdata/in.txt"),
        ('Error: "testdata/two words.txt" does not exist', "testdata/two words.txt"),
        ("cannot find \u2018golden.json\u2019", "tests/golden.json"),
        ("ENOENT: ./testdata/../testdata/in.txt", "testdata/in.txt"),
        ("failed to load: testdata/in.txt, sorry", "testdata/in.txt"),
        ("ModuleNotFoundError: No module named 'lib.codec'", "lib/codec.py"),
        ("ModuleNotFoundError: No module named 'lib.pack'", "lib/pack"),
        ("opendir: testdata: no such file", ""),
        ("no such file: testdata/declared.txt", ""),
        ("no such file: testdata/never.txt", ""),
        ("expected 'testdata/in.txt', got nothing", ""),
        ("tests/tool_test.py:3: No such file or directory", ""),
        ("no such file: ../outside.txt", ""),
        ("no such file: .", ""),
        ("no such file: ./../", ""),
        ("cannot find tests", ""),
        ("\0\x1b[31mno such file\0: \udce4/in.txt", ""),
    ],
)  # fmt: skip
def test_a_file_of_the_project_is_named(ask: Ask, output: str, path: str) -> None:
    assert ask(output) == (
        f"`{path}` is in the project, but not in the container of this test: "
        f'declare it with data=["#{path}"]'
        if path
        else ""
    )


def test_a_relative_path_starts_at_the_working_directory(ask: Ask) -> None:
    assert "`testdata/in.txt`" in ask("cannot read in.txt", working_directory="testdata")


def test_a_path_of_the_host_is_told_from_one_of_the_container(ask: Ask) -> None:
    assert "the project is at /project" in ask("cannot open HERE/testdata/declared.txt")
    hint = ask("cannot open /etc/passwd")
    assert hint.startswith("`/etc/passwd` is on this host")
    assert 'paths=["/etc/passwd"]' in hint
    assert ask("cannot open /usr/bin/env") == ""
    assert ask("cannot open /etc/no-such-file-at-all") == ""


def test_a_program_of_the_host_is_named(ask: Ask) -> None:
    assert 'programs=["sh"]' in ask("run.sh: 3: sh: not found")
    assert 'programs=["sh"]' in ask("run.sh: line 3: sh: command not found")
    assert 'programs=["sh"]' in ask("FileNotFoundError: No such file or directory: 'sh'")
    assert ask("run.sh: 3: no-such-program-at-all: not found") == ""
    assert ask("run.sh: 3: env: not found") == ""


def test_no_network_is_told_where_there_is_none(ask: Ask) -> None:
    output = "connect: Network is unreachable"
    assert ask(output) == NO_NETWORK
    assert ask(output, has_network=True) == ""


def test_hints_are_few_and_each_is_given_once(ask: Ask) -> None:
    output = "\n".join(f"cannot open {name}.txt" for name in "aabbccdd")
    assert len(ask(output).splitlines()) == HINTS_MAX


def test_much_output_is_no_burden(ask: Ask) -> None:
    assert ask("cannot open " + "a/" * 500_000) == ""
    assert ask("cannot open 'a\n" * 100_000) == ""
