"""Build a Debian with a stock kernel once a week, as a disk to boot from; needs root."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.kernels import foreign
from tests.provision.lab.image import mirror

INIT = Path(__file__).with_name("init.sh")
# What the tests of the sandbox need, and what brings up a disk.
PACKAGES = "python3,python3-venv,gcc,libc6-dev,iproute2,procps,uidmap"
KERNEL = "linux-image-cloud"
UNWANTED = ("man", "doc", "locale")
DISK_SIZE = "2G"


class Release(NamedTuple):
    """A release of Debian: its kernel, and what is to be run under it."""

    python: str
    """The version that `userland` has."""
    userland: str
    """The release that all but the kernel is of."""
    processor: str = "amd64"
    tests: str = "tests/sandbox"
    parts: tuple[str, ...] = ("tester", "root", "demo")


RELEASES = {
    # Linux 5.10, older than we can work with; and its Python is older than we can run on.
    "bullseye": Release(
        "3.11", "bookworm", "amd64", "tests/kernels/test_too_old.py", ("tester", "root")
    ),
    "bookworm": Release("3.11", "bookworm"),
    "trixie": Release("3.13", "trixie"),
    "trixie-arm64": Release("3.13", "trixie", "arm64"),
}


class Image(NamedTuple):
    """What a machine boots from."""

    disk: Path
    kernel: Path
    initrd: Path


def image(name: str) -> Image:
    """Return the image of a Debian release, built if this week's is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "maelstrom-kernels")
    recipe = INIT.read_bytes() + Path(__file__).read_bytes() + name.encode()
    digest = hashlib.sha256(recipe + time.strftime("%G-%V").encode()).hexdigest()[:16]
    made = cache / f"{name}-{digest}"
    if not made.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for old in cache.glob(f"{name}-{'?' * len(digest)}"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            _build(name, Path(work))
            Path(work, "image").rename(made)
    return Image(*(made / name for name in Image._fields))


def _build(name: str, work: Path) -> None:
    root, made = work / "root", work / "image"
    made.mkdir()
    suite, (_, userland, processor, *_) = name.partition("-")[0], RELEASES[name]
    sources = [f"deb {mirror()} {release} main" for release in dict.fromkeys((userland, suite))]
    (_run if processor == "amd64" else foreign.run)(
        "mmdebstrap", "--quiet", "--mode=root", "--skip=check/qemu", "--variant=minbase",
        f"--architectures={processor}", f"--include={PACKAGES},{KERNEL}-{processor}/{suite}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNWANTED),
        '--customize-hook=chroot "$1" useradd --create-home tester',
        f'--customize-hook=install -m 755 {INIT} "$1/tests-init"',
        userland, str(root), *sources,
    )  # fmt: skip
    for name, pattern in (("kernel", "vmlinuz-*"), ("initrd", "initrd.img-*")):
        shutil.copyfile(next((root / "boot").glob(pattern)), made / name)
    _run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(made / "disk"), DISK_SIZE)


def _run(*command: str) -> None:
    # mmdebstrap sends SIGHUP to its whole process group when it fails.
    subprocess.run(command, check=True, start_new_session=True)
