"""Build the file system of a test host once a week, as one squashfs file, and keep it.

`python -m tests.provision.lab.image bookworm` prints where it is.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CUSTOMIZE = Path(__file__).with_name("customize.sh")
PACKAGES = (
    "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,python3,sudo,iproute2,procps,"
    "ca-certificates,nftables,iputils-ping,apparmor"
)
UNWANTED = ("man", "doc", "locale")
# In memory where there is some: on a busy disk the build takes three times as long.
_WORK = Path("/dev/shm")
WORK_BYTES_MIN = 1 << 30


def image(suite: str) -> Path:
    """Return the image of a Debian release, built if this week's is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "maelstrom-test-hosts")
    # The week is part of the name, so that security updates come in.
    recipe = CUSTOMIZE.read_bytes() + Path(__file__).read_bytes() + suite.encode()
    name = hashlib.sha256(recipe + time.strftime("%G-%V").encode()).hexdigest()[:16]
    made = cache / f"{suite}-{name}.squashfs"
    if not made.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for old in cache.glob(f"{suite}-*"):
            old.unlink()
        _build(suite, made)
    return made


def _build(suite: str, made: Path) -> None:
    in_memory = _WORK.is_dir() and shutil.disk_usage(_WORK).free > WORK_BYTES_MIN
    with tempfile.TemporaryDirectory(dir=_WORK if in_memory else made.parent) as work:
        root, packed = Path(work, "root"), Path(work, "packed")
        _run(
            "mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}",
            *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNWANTED),
            f'--customize-hook=sh {CUSTOMIZE} "$1"', suite, str(root), mirror(),
        )  # fmt: skip
        _run("mksquashfs", str(root), str(packed), "-comp", "zstd", "-Xcompression-level", "3",
             "-quiet", "-no-progress")  # fmt: skip
        part = made.with_suffix(f".{os.getpid()}")
        shutil.copyfile(packed, part)
        part.replace(made)


def mirror() -> str:
    """Return the first Debian mirror that apt is configured with."""
    lines = _run("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)").splitlines()
    mirrors = [
        uri for origin, _, uri in (line.partition(" ") for line in lines) if origin == "Debian"
    ]
    if not mirrors:
        raise RuntimeError("apt knows no Debian mirror; run `apt-get update`")
    return mirrors[0]


def _run(*command: str) -> str:
    # mmdebstrap sends SIGHUP to its whole process group when it fails.
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"`{command[0]}` ended with status {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    print(image(*sys.argv[1:]))
