"""Run the tests of the sandbox under other kernels than this host's: those of Debian releases.

Arguments: releases (`bookworm` and `trixie`; or `bullseye`, which is too old and must say so; or
`trixie-arm64`, the slowest), as whom (`tester`, `root`, or `demo`: this repository's own job), and
what pytest gets, which is all tests of the sandbox but those in `SLOW`, or with `--all` those, too.
A machine of one processor is emulated in software, so that any host can do it; 10 to 20 times
slower than a real one.
"""

import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.kernels.image import RELEASES, Image, image
from tests.kernels.machine import MACHINES, Machine

ROOT = Path(__file__).parents[2]
RUN = Path(__file__).with_name("run.sh")
DEFAULT = ("bookworm", "trixie")
PARTS = ("tester", "root", "demo")
# It has each call of our own fail in turn, whatever the kernel, and takes as long as all others.
SLOW = "tests/sandbox/test_injection.py"
TREE = ("maelstrom", "tests", "site_scons", "SConstruct", "pyproject.toml", "README.md")
# Where others use the host, too.
RUN_S_MAX = 4 * 3600.0
ENDED = re.compile(r"^tests ended with status (\d+)", re.MULTILINE)
MACHINE = (
    *("-accel", "tcg", "-smp", "1", "-m", "2048"),
    *("-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"),
)
KERNEL_OPTIONS = (
    "root=/dev/vda rw quiet panic=-1 random.trust_cpu=on mitigations=off init=/tests-init"
)


def main(arguments: list[str]) -> int:
    """Test each release; returns 0 if all tests passed under all kernels."""
    suites = [word for word in arguments if word in RELEASES] or DEFAULT
    parts = [word for word in arguments if word in PARTS]
    rest = [word for word in arguments if word not in RELEASES and word not in PARTS]
    return max(_test(suite, parts, rest) for suite in suites)


def _test(suite: str, parts: Sequence[str], rest: Sequence[str]) -> int:
    release, made = RELEASES[suite], image(suite)
    machine = MACHINES[release.processor]
    wanted = {(): [release.tests, f"--ignore={SLOW}"], ("--all",): [release.tests]}
    # On the disk of the image: an overlay of it would not fit into a small /tmp.
    with tempfile.TemporaryDirectory(dir=made.disk.parent.parent) as directory:
        work = Path(directory)
        (work / "parts").write_text(" ".join(parts or release.parts))
        arguments = wanted.get(tuple(rest), rest)
        (work / "arguments").write_text("".join(f"{argument}\n" for argument in arguments))
        _pack(work, release.python, machine.name)
        told = _boot(machine, made, work)
    ended = ENDED.search(told)
    if ended is None:
        sys.stderr.write(f"{suite}: the machine ended before its tests did\n")
        return 1
    return int(ended[1])


def _pack(work: Path, python: str, machine: str) -> None:
    """Write the second disk: the tree, what it depends on, and what is to be run."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["test"][1:]]
    platforms = (f"--platform=manylinux{name}_{machine}" for name in ("_2_28", "_2_17", "2014"))
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--target", work / "packages"),
            *("--only-binary=:all:", f"--python-version={python}", *platforms, *needed),
        ],
        check=True,
    )
    with tarfile.open(work / "disk.tar", "w") as disk:
        disk.add(RUN, "run.sh", filter=_plain)
        for name in ("parts", "arguments", "packages"):
            disk.add(work / name, name, filter=_plain)
        for name in TREE:
            disk.add(ROOT / name, f"tree/{name}", filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what Python has compiled, and make the rest everybody's to read."""
    if "__pycache__" in entry.name:
        return None
    entry.uid = entry.gid = 0
    entry.mode |= 0o755 if entry.isdir() else 0o644
    return entry


def _boot(machine: Machine, made: Image, work: Path) -> str:
    """Run a machine until it ends, showing what it says; returns that."""
    overlay = work / "overlay.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", made.disk, "-F", "raw", overlay]
    subprocess.run(create, check=True)
    command = [
        *("timeout", "--kill-after=5", f"{RUN_S_MAX:.0f}", *machine.emulator, *MACHINE),
        *("-kernel", made.kernel, "-initrd", made.initrd),
        *("-append", f"console={machine.console} {KERNEL_OPTIONS}"),
        *("-drive", f"file={overlay},if=virtio,cache=unsafe"),
        *("-drive", f"file={work / 'disk.tar'},format=raw,if=virtio,readonly=on"),
    ]
    told = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        while piece := process.stdout.read(1):
            sys.stdout.write(piece)
            sys.stdout.flush()
            told.append(piece)
    return "".join(told).replace("\r", "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
