"""A pool of slots, and layers made of a static program and of this host's shell."""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maelstrom.errors import SandboxUnavailable
from maelstrom.frameworks.told import script
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import Cancelled, Outcome, Ran
from maelstrom.model.spec import LAYERS_MAX, Bind, JobSpec, Limits
from maelstrom.sandbox.check import lacks_identities
from maelstrom.sandbox.pool import Defaults, SlotPool, service_user

SHELL_PROGRAMS = (
    *("sh", "cat", "chmod", "env", "hostname", "id", "ls", "mkdir", "mount", "rm", "sleep", "stat"),
    *("touch", "ln", "mkfifo", "truncate", "chown", "stty", "wc"),
)
# Static programs, by where they are in the layers.
PROGRAMS = {
    "tool/t": "hostile.c",
    "fork/fork": "fork.c",
    "pair/pair": "pairs/*.c",
    "escape/escape": "escapes/*.c",
}
MIB = 1 << 20
# Not every kind of machine has a /lib64.
PYTHON = tuple(path for path in ("/usr", "/lib", "/lib64") if Path(path).exists())
# With one more as many as a job may have, and with names as long as digests.
MANY_LAYERS = tuple(f"many{number:060}" for number in range(LAYERS_MAX - 1))
DEFAULTS = Defaults(memory_bytes_max=512 * MIB, write_bytes_max=16 * MIB, processes_max=200)


LOADED = "import os, sys\ndef prepare(): pass\ndef main(): os.execv(sys.argv[1], sys.argv[1:])"
# How a job comes to run: started by the slot, as a fork of an interpreter that was started ahead,
# or where there are several identities, by a fork of the slot.
WAYS = ("spawned", "from a template", "with identities")


def needs_identities(must_sandbox: bool) -> None:
    """Skip a test where there are no identities; or fail it, where nothing may be skipped."""
    lack = lacks_identities()
    assert not (lack and must_sandbox), lack
    if lack:
        pytest.skip(f"no identities here: {lack}")


class Sandbox:
    """A pool with its event loop, for tests that are not coroutines themselves."""

    def __init__(
        self, layers_root: Path, *, slots: int = 1, linux: tuple[int, int] | None = None
    ) -> None:
        self.layers_root = layers_root
        self.linux = linux
        self.runner = asyncio.Runner()
        self.pool = SlotPool(
            slots=slots,
            layers_root=str(layers_root),
            service_user=service_user(),
            defaults=DEFAULTS,
            linux=linux,
        )
        self.numbers = iter(range(1_000_000))

    def start(self) -> None:
        """Start the pool."""
        self.runner.run(self.pool.start())

    def run(
        self, *command: str, layers: tuple[str, ...] = ("tool", "shell"), **fields: Any
    ) -> Outcome:
        """Run one job."""
        fields.setdefault("timeout_s", 20.0)
        digests = tuple(Digest.of(layer.encode()) for layer in layers)
        spec = JobSpec(program=command[0], arguments=command[1:], layers=digests, **fields)
        return self.runner.run(self.pool.run(spec, layers, f"job {next(self.numbers)}"))

    def run_so(self, way: str, *command: str, **fields: Any) -> Outcome:
        """Run one job in one of the ways."""
        if way == "with identities":
            return self.run(*command, has_identities=True, **fields)
        if way == "spawned":
            return self.run(*command, **fields)
        template = ("-c", script("start.py"), LOADED)
        # At its own paths, so that what the layers have below /lib can be seen.
        fields["mounts"] = (*(Bind(path, path) for path in PYTHON), *fields.get("mounts", ()))
        fields["template_arguments"] = len(template)
        return self.run("/usr/bin/python3", *template, *command, **fields)

    def close(self) -> None:
        """Close the pool."""
        self.runner.run(self.pool.close())
        self.runner.close()


@contextlib.contextmanager
def files_on_their_way(sandbox: Sandbox, shared: str, open_files_max: int) -> Iterator[None]:
    """Have a job hold descriptors in messages: more than there may be of one user for others."""
    told = Path(shared, "sent")
    greedy = JobSpec(
        program="/t",
        arguments=("send-files", "/shared/sent"),
        user=7,
        mounts=(Bind("/shared", shared, is_read_only=False),),
        limits=Limits(open_files_max=open_files_max),
    )

    async def begin() -> "asyncio.Task[Outcome]":
        running = asyncio.create_task(sandbox.pool.run(greedy, ("tool",), "greedy"))
        while not told.exists():
            assert not running.done(), running.result()
            await asyncio.sleep(0.01)
        return running

    async def end(running: "asyncio.Task[Outcome]") -> Outcome:
        sandbox.pool.kill("greedy")
        return await running

    running = sandbox.runner.run(begin())
    yield
    assert isinstance(sandbox.runner.run(end(running)), Cancelled)


def text(outcome: Outcome) -> str:
    """Return what a job wrote to stdout."""
    assert isinstance(outcome, Ran), outcome
    return outcome.effects.stdout.text()


def answers(outcome: Outcome) -> dict[str, str]:
    """Return lines like `bind=ok` as a dict."""
    return dict(line.split("=", 1) for line in text(outcome).split())


def descendants(pid: int) -> dict[int, str]:
    """Return the living processes below one, with their names."""
    parents: dict[int, tuple[int, str]] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, rest = (directory / "stat").read_text().split("(", 1)[1].rsplit(") ", 1)
            if rest[0] != "Z":
                parents[int(directory.name)] = (int(rest.split()[1]), name)
    found: dict[int, str] = {}
    grew = True
    while grew:
        grew = False
        for child, (parent, name) in parents.items():
            if child not in found and (parent == pid or parent in found):
                found[child] = name
                grew = True
    return found


@pytest.fixture(scope="session")
def layers_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the layers: `tool`, `shell` and a dozen small ones."""
    root = tmp_path_factory.mktemp("layers")
    # As workers do, whatever mask they have: a job's user may be another than ours.
    before = os.umask(0o022)
    _make_layers(root)
    os.umask(before)
    root.chmod(0o755)
    return root


def _make_layers(root: Path) -> None:
    for name in PROGRAMS:
        (root / name).parent.mkdir()
        compile_program(root / name, name)
    _make_shell(root / "shell")
    _make_odd(root / "odd")
    for number in range(12):
        layer = root / f"small{number}"
        layer.mkdir()
        (layer / f"file{number}").write_text(f"{number}\n")
        (layer / "same").write_text(f"{number}\n")
    for number, name in enumerate(MANY_LAYERS):
        (root / name / "many").mkdir(parents=True)
        (root / name / "many" / f"{number}").touch()
        (root / name / "same").write_text(f"{number}\n")
    for name in ("proc", "dev", "tmp"):
        for kind in ("file", "loop", "link", "nothing"):
            _make_hiding(root / f"{name}-{kind}", name, kind)
    user = service_user()
    if user is not None:
        for directory, _, names in os.walk(root):
            for name in (".", *names):
                os.chown(Path(directory, name), user.user, user.group, follow_symlinks=False)


def compile_program(program: Path, name: str) -> None:
    """Compile one of our static programs."""
    sources = sorted(Path(__file__).parent.glob(PROGRAMS[name]))
    command = ["gcc", "-D_GNU_SOURCE", "-O1", "-static", "-w", "-o", program, *sources]
    subprocess.run(command, check=True)


def _make_shell(layer: Path) -> None:
    (layer / "bin").mkdir(parents=True)
    (layer / "etc").mkdir()
    (layer / "etc/passwd").write_text("tester:x:1000:1000::/:/bin/sh\n")
    for program in SHELL_PROGRAMS:
        path = shutil.which(program)
        assert path is not None
        shutil.copy(path, layer / "bin" / program)
        listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listing):
            target = layer / library[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(library, target)


def _make_odd(layer: Path) -> None:
    (layer / "directory").mkdir(parents=True)
    (layer / "etc").mkdir()
    (layer / "escape").symlink_to("/proc/1/root")
    (layer / "relative").symlink_to("../../../../etc")
    (layer / "dangling").symlink_to("/nowhere")
    (layer / "loop").symlink_to("loop")
    (layer / "there").symlink_to("/back")
    (layer / "back").symlink_to("there/again")
    (layer / "own-files").symlink_to("/proc/self/fd")
    (layer / "own-place").symlink_to("/proc/1/cwd/..")
    (layer / "to-come").symlink_to("/proc/2/exe")
    (layer / "interpreter").symlink_to("/proc/self/exe")
    (layer / "interpreter\vx").symlink_to("/proc/1/exe")
    files = {
        "plain": (b"text", 0o444),
        "nonsense": (b"\x01\x02", 0o555),
        "empty": (b"", 0o555),
        "script": (b"#!/bin/sh\necho from a script $1\n", 0o555),
        "orphan": (b"#!/opt/missing/python3 -u\n", 0o555),
        "dos": (b"#!/bin/sh\r\n", 0o555),
        "script-to-come": (b"#!/to-come\n", 0o555),
        "odd-script": (b"#! /proc/self/exe -x\n", 0o555),
        "odder-script": (b"#!/odd-script\n", 0o555),
        "oddest-script": (b"#!/interpreter\vx\n", 0o555),
        "noexec": (b"#!/bin/sh\n", 0o444),
    }
    for name, (content, mode) in files.items():
        (layer / name).write_bytes(content)
        (layer / name).chmod(mode)
    foreign = bytearray(b"\x7fELF\x02\x01\x01" + bytes(57))
    # RISC-V, on which we do not run.
    foreign[16:20] = b"\x02\x00\xf3\x00"
    (layer / "foreign").write_bytes(foreign)
    (layer / "foreign").chmod(0o555)


def _make_hiding(layer: Path, name: str, kind: str) -> None:
    """Make a layer in which something else is where every container has a mount."""
    layer.mkdir()
    targets = {"loop": name, "link": "/etc", "nothing": "/nowhere"}
    if kind == "file":
        (layer / name).touch()
    else:
        (layer / name).symlink_to(targets[kind])


@pytest.fixture(scope="session")
def must_sandbox() -> bool:
    """Tell whether a host that forbids containers fails the tests instead of passing them by."""
    return bool(os.environ.get("MAELSTROM_MUST_SANDBOX"))


@pytest.fixture(scope="module")
def sandbox(layers_root: Path, must_sandbox: bool) -> Iterator[Sandbox]:
    """Return a pool with one slot, so that one job follows the other in it."""
    made = Sandbox(layers_root)
    try:
        made.start()
    except SandboxUnavailable as error:
        made.runner.close()
        if must_sandbox:
            raise
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[int]:
    """Return a port of this host that someone listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def shared() -> Iterator[str]:
    """Return a directory of this host that the sandbox's user may write to."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        path = Path(directory)
        (path / "given").write_text("given\n")
        user = service_user()
        if user is not None:
            for one in (path, path / "given"):
                os.chown(one, user.user, user.group)
        yield directory
