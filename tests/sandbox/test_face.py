"""The command line of the sandbox: from options to containers and back."""

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from maelstrom.errors import SpecError
from maelstrom.model.environment import CONTAINER_ENVIRONMENT
from maelstrom.model.spec import (
    Bind,
    DevPts,
    JobSpec,
    Limits,
    Network,
    RootFileSystem,
    Sys,
    Tmp,
)
from maelstrom.sandbox.console import Action, Escapes
from maelstrom.sandbox.options import parser, spec_of
from maelstrom.sandbox.unpack import Unpacker
from tests.sandbox.conftest import Sandbox


def _spec(*options: str) -> JobSpec:
    return spec_of(parser().parse_args([*options, "--", "x"]), stdin=b"", terminal=None, term="")


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ((), {}),
        (("--network", "loopback"), {"network": Network.LOOPBACK}),
        (("--read-only",), {"root": RootFileSystem.READ_ONLY}),
        (("--capture", "d"), {"root": RootFileSystem.CAPTURED}),
        (("--output", "/a", "--into", "d"), {"outputs": ("/a",)}),
        (
            ("--bind", "/a:/b", "--bind-writable", "/c"),
            {"mounts": (Bind("/b", "/a"), Bind("/c", "/c", is_read_only=False))},
        ),
        (
            ("--tmp", "/t:1M", "--mount", "sys", "--mount", "devpts:/p"),
            {"mounts": (Tmp("/t", 1 << 20), Sys(), DevPts("/p"))},
        ),
        (("--device", "null", "--device", "fuse"), {"devices": ("null", "fuse")}),
        (("--device", "none"), {"devices": ()}),
        (("--user", "0", "--group", "7"), {"user": 0, "group": 7}),
        (("--powers",), {"user": 0, "group": 0, "has_powers": True}),
        (("--identities", "--groups", "1,2"), {"has_identities": True, "groups": (1, 2)}),
        (("--uptime", "0"), {"uptime_s": 0}),
        (("--stdin-file", "/f"), {"stdin_file": "/f"}),
        (
            ("--memory", "1G", "--processors", "1.5", "--limit", "stack=64k"),
            {
                "limits": Limits(
                    memory_bytes_max=1 << 30, processors=1.5, kernel=(("stack", 65536),)
                )
            },
        ),
    ],
)
def test_options_make_a_spec(options: tuple[str, ...], fields: dict[str, object]) -> None:
    usual = {"program": "x", "environment": tuple(CONTAINER_ENVIRONMENT.items())}
    # The spec's default is what the worker says; ours says nothing.
    limits = {"limits": Limits()}
    assert _spec(*options) == JobSpec(**{**usual, **limits, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--output", "/a"), "--output and --into belong together"),
        (("--capture", "d", "--read-only"), "nothing can be captured"),
        (("--mount", "floppy"), "the type is one of sys, devpts, mqueue"),
        (("--tmp", "/t:much"), "'much' is not a size"),
        (("--limit", "stack"), "NAME=VALUE is wanted"),
        (("--limit", "stack=x"), "'x' is not a number"),
        (("--limit", "height=1"), "unknown limit `height`"),
        (("--device", "floppy"), "unknown device `floppy`"),
        (("--groups", "1"), "supplementary groups need"),
        (("--powers", "--user", "7"), "capabilities are root's"),
        (("--output", "/proc/1/environ", "--into", "d"), "is of the kernel's making"),
    ],
)
def test_what_makes_no_sense_is_told(options: tuple[str, ...], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        _spec(*options)


@pytest.mark.parametrize(
    ("typed", "actions"),
    [
        ([b"abc"], [b"abc"]),
        ([b"a\x1d\x03"], [b"a", "kill"]),
        ([b"\x1d", b"\x1ab"], ["suspend", b"b"]),
        ([b"\x1d\x1d"], [b"\x1d"]),
        ([b"\x1dx\x03"], [b"\x1dx\x03"]),
    ],
)
def test_an_escape_is_for_us(typed: list[bytes], actions: list[Action]) -> None:
    escapes = Escapes()
    assert [action for one in typed for action in escapes.feed(one)] == actions


@pytest.mark.parametrize("name", [b"../x", b"a/../../x", b"/x", b"", b"a//b"])
def test_nothing_is_unpacked_elsewhere(tmp_path: Path, name: bytes) -> None:
    unpacker = Unpacker(tmp_path / "into")
    with pytest.raises(SpecError, match="cannot be the name"):
        unpacker.found(name, "file", b"")


def test_no_path_leads_through_a_link_that_came_back(tmp_path: Path) -> None:
    unpacker = Unpacker(tmp_path / "into")
    unpacker.found(b"a", "link", str(tmp_path).encode())
    unpacker.found(b"a/b", "file", b"")
    with pytest.raises(FileExistsError):
        unpacker.close()
    assert not (tmp_path / "b").exists()


def _command(layers_root: Path, *arguments: str) -> list[str]:
    layer = ["--layer", str(layers_root / "shell")]
    return [sys.executable, "-m", "maelstrom.sandbox", *layer, *arguments]


def test_a_captured_root_serves_as_a_layer(
    sandbox: Sandbox, layers_root: Path, tmp_path: Path
) -> None:
    del sandbox  # A host that has none skips this.
    layer = str(tmp_path / "layer")
    script = "rm /etc/passwd; mkdir -p /a/b; echo deep > /a/b/c"
    made = subprocess.run(
        _command(layers_root, "--capture", layer, "--", "sh", "-c", script), check=False
    )
    assert made.returncode == 0
    script = "ls /etc; cat /a/b/c; exit 7"
    used = subprocess.run(
        _command(layers_root, "--layer", layer, "--", "sh", "-c", script),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (used.returncode, used.stdout) == (7, "deep\n")


def test_a_shell_on_our_terminal(sandbox: Sandbox, layers_root: Path) -> None:
    del sandbox
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    with subprocess.Popen(
        _command(layers_root, "--tty", "--", "sh"), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        shown = b""
        while b"$ " not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, b"ls -l /proc/self/fd/0; exit 9\n")
        assert process.wait(20) == 9
    while b"/dev/pts/0" not in shown:
        shown += os.read(ours, 4096)
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
