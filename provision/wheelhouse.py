"""Gather our wheel and all it needs for one kind of host into one archive, and keep it.

Hosts then need no package registry. The archive is named after what is in it, so that an
unchanged checkout always gives the same release.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from maelstrom.errors import InfrastructureError, UserError
from provision.wanted import Release

PROJECT = Path(__file__).parents[1]
# Debian 12, Ubuntu 22.04 and what is newer have glibc 2.28 and more.
_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux1")


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What wheels depend on."""

    python: tuple[int, int]
    machine: str

    def __str__(self) -> str:
        return f"cp{self.python[0]}{self.python[1]}-{self.machine}"


@dataclass(frozen=True, slots=True)
class Archive:
    """The wheels for one target, as a tar."""

    path: Path
    release: Release
    version: str


def gather(target: Target, wheel: str = "", cache: Path | None = None) -> Archive:
    """Return the archive for a target, made if it is not kept; `wheel` is instead of ours."""
    root = cache or platformdirs.user_cache_path("maelstrom") / "wheelhouse"
    source = Path(wheel) if wheel else PROJECT
    key = hashlib.sha256(f"{_digest_of(source)} {target} {_RECIPE}".encode()).hexdigest()[:16]
    made, described = root / f"{key}.tar", root / f"{key}.json"
    if not described.exists():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as work:
            directory = Path(work)
            version = _fill(directory, source, target)
            content = _pack(directory)
        digest = hashlib.sha256(content).hexdigest()
        _put(made, content)
        release = {"name": f"{version}-{digest[:12]}", "version": version, "sha256": digest}
        _put(described, json.dumps(release).encode())
    told = json.loads(described.read_text())
    return Archive(made, Release(told["name"], told["sha256"]), told["version"])


_RECIPE = "1"


def _digest_of(source: Path) -> str:
    """Return the digest of a wheel, or of what our own is made of."""
    if source.is_file():
        return hashlib.sha256(source.read_bytes()).hexdigest()
    if not (source / "pyproject.toml").exists():
        raise UserError(f"there is no wheel `{source}`", hint="see `wheel` in the inventory")
    found = hashlib.sha256()
    files = [source / "pyproject.toml", *sorted((source / "maelstrom").rglob("*"))]
    for path in files:
        if path.is_file() and path.suffix != ".pyc":
            found.update(f"{path.relative_to(source)} {path.stat().st_mode & 0o111}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _fill(directory: Path, source: Path, target: Target) -> str:
    """Put all wheels into a directory; return the version of ours."""
    if source.is_file():
        ours = directory / source.name
        ours.write_bytes(source.read_bytes())
    else:
        _pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(directory), str(source))
        ours = next(directory.glob("*.whl"))
    python = ".".join(map(str, target.python))
    tag = f"cp{target.python[0]}{target.python[1]}"
    _pip(
        "download", "--quiet", "--dest", str(directory), "--only-binary=:all:",
        "--implementation", "cp", "--python-version", python,
        *(word for abi in (tag, "abi3", "none") for word in ("--abi", abi)),
        *(word for name in _PLATFORMS for word in ("--platform", f"{name}_{target.machine}")),
        str(ours), "pip",
    )  # fmt: skip
    lines = []
    for path in sorted(directory.glob("*.whl")):
        name, version = path.name.split("-")[:2]
        if name != "pip":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"{name}=={version} --hash=sha256:{digest}")
    # By path, because there is no index that could be asked by name.
    text = "\n".join(lines) + "\n"
    (directory / "requirements.txt").write_text(f"--find-links .\n{text}")
    return ours.name.split("-")[1]


def _pack(directory: Path) -> bytes:
    """Return the same tar for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(directory.iterdir()):
            content = path.read_bytes()
            entry = tarfile.TarInfo(path.name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _put(path: Path, content: bytes) -> None:
    part = path.with_suffix(f".{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries=2", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        errors = re.findall(r"^ERROR: (.*)$", done.stderr, re.MULTILINE) or [done.stderr[-500:]]
        raise InfrastructureError(
            f"cannot gather what hosts need: {errors[0].strip()}",
            hint="wheels are built and fetched on this machine; does `pip download pip` work here?",
        )
