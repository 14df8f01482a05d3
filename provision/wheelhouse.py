"""Gather our wheel and all it needs for one kind of host into one archive, and keep it.

Hosts then need no package registry, nor pip: the wheels are unpacked here, once for all hosts of a
kind, and the archive holds what a host unpacks over an empty Python environment. It is named after
what is in it, so that an unchanged checkout always gives the same release.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from maelstrom.errors import InfrastructureError, UserError
from provision.environment import pack, precompile, tidy
from provision.wanted import Release

PROJECT = Path(__file__).parents[1]
# Debian 12, Ubuntu 22.04 and what is newer have glibc 2.28 and more.
# Old ones are of no use: what hosts run is on them.
ARCHIVES_KEPT = 8
_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux1")


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """What wheels depend on."""

    python: tuple[int, int]
    machine: str

    @property
    def name(self) -> str:
        """Return it as people say it."""
        return f"{self.python[0]}.{self.python[1]} on {self.machine}"

    def __str__(self) -> str:
        return f"cp{self.python[0]}{self.python[1]}-{self.machine}"


@dataclass(frozen=True, slots=True)
class Archive:
    """Our release for one target, as a compressed tar."""

    path: Path
    release: Release
    version: str


def gather(
    target: Target,
    wheel: str = "",
    cache: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Archive:
    """Return the archive for a target, made if it is not kept; `wheel` is instead of ours."""
    root = cache or platformdirs.user_cache_path("maelstrom") / "wheelhouse"
    source = Path(wheel) if wheel else PROJECT
    key = hashlib.sha256(f"{_digest_of(source)} {target} {_RECIPE}".encode()).hexdigest()[:16]
    made, described = root / f"{key}.tar.gz", root / f"{key}.json"
    if not described.exists():
        say(f"gathering what hosts with Python {target.name} need (kept for later)")
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as work:
            version = _fill(Path(work, "packages"), Path(work, "wheel"), source, target)
            packages = Path(work, "packages")
            # Named after what is the same wherever it was compiled, or not.
            name = hashlib.sha256(pack(packages, target.python)).hexdigest()[:12]
            precompile(packages, target.python)
            content = pack(packages, target.python)
        _put(made, content)
        release = {
            "name": f"{version}-{name}",
            "version": version,
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        _put(described, json.dumps(release).encode())
        _forget(root)
    told = json.loads(described.read_text())
    return Archive(made, Release(told["name"], told["sha256"]), told["version"])


_RECIPE = "4"


def _forget(root: Path) -> None:
    """Remove all but the newest archives."""
    by_age = sorted(root.glob("*.json"), key=lambda path: path.stat().st_mtime)
    kept = {path.stem for path in by_age[-ARCHIVES_KEPT:]}
    for path in [*root.glob("*.json"), *root.glob("*.tar*")]:
        if path.name.partition(".")[0] not in kept:
            path.unlink(missing_ok=True)


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


def _fill(packages: Path, built: Path, source: Path, target: Target) -> str:
    """Unpack ours and all that it needs into a directory; return the version of ours."""
    ours = source
    if not source.is_file():
        _pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), str(source))
        ours = next(built.glob("*.whl"))
    python = ".".join(map(str, target.python))
    tag = f"cp{target.python[0]}{target.python[1]}"
    _pip(
        *("install", "--quiet", "--target", str(packages), "--no-compile"),
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", python),
        *(word for abi in (tag, "abi3", "none") for word in ("--abi", abi)),
        *(word for name in _PLATFORMS for word in ("--platform", f"{name}_{target.machine}")),
        str(ours),
    )
    tidy(packages)
    return ours.name.split("-")[1]


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
        errors = re.findall(r"^\s*ERROR: (.*)$", done.stderr, re.MULTILINE) or [done.stderr[-500:]]
        raise InfrastructureError(
            f"cannot gather what hosts need: {errors[0].strip()}",
            hint="wheels are built and fetched on this machine; does `pip download pip` work here?",
        )
