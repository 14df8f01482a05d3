"""Run the tests of the sandbox under the stock kernels of Debian releases: `bookworm trixie`.

A machine of one processor, emulated in software, so that any host can do it; 10 to 20 times slower
than a real one. What follows `--` goes to pytest.
"""

import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from tests.kernels.image import Image, image

ROOT = Path(__file__).parents[2]
RUN = Path(__file__).with_name("run.sh")
# Debian's release, and the Python it has.
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
TREE = ("maelstrom", "tests", "site_scons", "SConstruct", "pyproject.toml", "README.md")
RUN_S_MAX = 3600.0
ENDED = re.compile(r"^tests ended with status (\d+)", re.MULTILINE)
MACHINE = (
    *("-accel", "tcg", "-cpu", "max", "-smp", "1", "-M", "q35,hpet=off", "-m", "2048"),
    *("-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"),
)
KERNEL_OPTIONS = (
    "console=ttyS0 root=/dev/vda rw quiet panic=-1 random.trust_cpu=on mitigations=off "
    "init=/tests-init"
)


def main(arguments: list[str]) -> int:
    """Test each release; returns 0 if all tests passed under all kernels."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    suites, wanted = arguments[:end], arguments[end + 1 :] or ["tests/sandbox"]
    return max(_test(suite, wanted) for suite in suites)


def _test(suite: str, wanted: list[str]) -> int:
    made = image(suite)
    # On the disk of the image: an overlay of it would not fit into a small /tmp.
    with tempfile.TemporaryDirectory(dir=made.disk.parent.parent) as directory:
        work = Path(directory)
        _pack(work, suite, wanted)
        told = _boot(made, work)
    ended = ENDED.search(told)
    if ended is None:
        sys.stderr.write(f"{suite}: the machine ended before its tests did\n")
        return 1
    return int(ended[1])


def _pack(work: Path, suite: str, wanted: list[str]) -> None:
    """Write the second disk: the tree, what it depends on, and what is to be run."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["test"][1:]]
    platforms = (f"--platform=manylinux{name}_x86_64" for name in ("_2_28", "_2_17", "2014"))
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--target", work / "packages"),
            *("--only-binary=:all:", f"--python-version={PYTHONS[suite]}", *platforms, *needed),
        ],
        check=True,
    )
    (work / "arguments").write_text("".join(f"{argument}\n" for argument in wanted))
    with tarfile.open(work / "disk.tar", "w") as disk:
        disk.add(RUN, "run.sh", filter=_plain)
        disk.add(work / "arguments", "arguments", filter=_plain)
        disk.add(work / "packages", "packages", filter=_plain)
        for name in TREE:
            disk.add(ROOT / name, f"tree/{name}", filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what Python has compiled, and make the rest everybody's to read."""
    if "__pycache__" in entry.name:
        return None
    entry.uid = entry.gid = 0
    entry.mode |= 0o755 if entry.isdir() else 0o644
    return entry


def _boot(made: Image, work: Path) -> str:
    """Run a machine until it ends, showing what it says; returns that."""
    overlay = work / "overlay.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", made.disk, "-F", "raw", overlay]
    subprocess.run(create, check=True)
    command = [
        *("timeout", "--kill-after=5", f"{RUN_S_MAX:.0f}", "qemu-system-x86_64", *MACHINE),
        *("-kernel", made.kernel, "-initrd", made.initrd, "-append", KERNEL_OPTIONS),
        *("-drive", f"file={overlay},if=virtio,cache=unsafe"),
        *("-drive", f"file={work / 'disk.tar'},format=raw,if=virtio,readonly=on"),
    ]
    told = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as machine:
        assert machine.stdout is not None
        while piece := machine.stdout.read(1):
            sys.stdout.write(piece)
            sys.stdout.flush()
            told.append(piece)
    return "".join(told).replace("\r", "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
