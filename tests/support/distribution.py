"""Small Python distributions, and virtual environments to install them into."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

BASE = os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def environment(directory: Path, *, is_bare: bool = False) -> str:
    """Make a virtual environment that has all that ours has, or nothing; return its Python."""
    command = [BASE, "-m", "venv", "--without-pip", os.fspath(directory)]
    subprocess.run(command, check=True, timeout=60)
    ours = "" if is_bare else sysconfig.get_path("purelib")
    (site(directory) / "ours.pth").write_text(f"{ours}\n")
    return os.fspath(directory / "bin/python")


def site(directory: Path) -> Path:
    """Return where packages of an environment are."""
    (found,) = (directory / "lib").glob("python3.*/site-packages")
    return found


def install(python: str, directory: Path, version: str, word: str) -> None:
    """Install this version of the distribution `word`, instead of any other, as a user does."""
    wheel = directory / f"word-{version}-py3-none-any.whl"
    info = f"word-{version}.dist-info"
    files = {
        "word/__init__.py": f"WORD = {word!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: word\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps"]
    command = [*pip, "-qq", "--no-compile", "--disable-pip-version-check", "-U", os.fspath(wheel)]
    subprocess.run(command, check=True, timeout=60)
