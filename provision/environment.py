"""Make a directory of unpacked packages what a host unpacks over an empty Python environment.

The same packages give the same bytes: nothing of the machine where they were unpacked is left.
"""

import compileall
import configparser
import csv
import gzip
import io
import os
import py_compile
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

# Where a program's first line has this, the host puts its own Python.
PYTHON = "@python@"
_PROGRAM = """\
#!{python}
import sys
from {module} import {name}
sys.exit({call}())
"""
# What pip notes about how it was called, and programs for the machine where it was.
_OF_THIS_MACHINE = ("direct_url.json", "INSTALLER", "REQUESTED")
# Only clients load these, and they are most of all files: daemons do without.
_OF_CLIENTS = {"SCons", "cffi", "elftools", "markdown_it", "mdurl", "pycparser", "pygments", "rich"}
_PROGRAMS_OF_CLIENTS = {"maelstrom-run"}
# Of what is there, this is not worth compiling; zstd's modules for archives are among it.
NOT_COMPILED = "/maelstrom/(client|frameworks|layers|report|scons|web)/|/zstd/(tarfile|zipfile)"


def tidy(packages: Path) -> None:
    """Remove what pip wrote about this machine, and what no daemon loads."""
    for path in packages.glob("bin/*"):
        path.unlink()
    for path in (*packages.glob("*.dist-info"), *map(packages.joinpath, _OF_CLIENTS)):
        if path.name in _OF_CLIENTS or _contents(path) <= _OF_CLIENTS:
            shutil.rmtree(path, ignore_errors=True)
    for path in packages.rglob("*.pyi"):
        path.unlink()
    for name in _OF_THIS_MACHINE:
        for path in packages.glob(f"*.dist-info/{name}"):
            path.unlink()
    for record in packages.glob("*.dist-info/RECORD"):
        with record.open(newline="") as file:
            rows = [row for row in csv.reader(file) if row and (packages / row[0]).is_file()]
        with record.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(sorted(rows))


def precompile(packages: Path, python: tuple[int, int]) -> None:
    """Compile what daemons load, if this is the Python of the hosts: else each does it itself.

    In archives every file is as old as the epoch, and so it is compiled as one of that age.
    """
    if sys.version_info[:2] != python:
        return
    for path in packages.rglob("*.py"):
        os.utime(path, (0, 0))
    compileall.compile_dir(
        packages,
        quiet=2,
        rx=re.compile(NOT_COMPILED),
        stripdir=str(packages),
        invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP,
    )


def _contents(info: Path) -> set[str]:
    """Return what a distribution has beside a description of itself and programs."""
    with (info / "RECORD").open(newline="") as file:
        names = {row[0].partition("/")[0] for row in csv.reader(file) if row}
    return names - {info.name, "bin", "..", ""}


def pack(packages: Path, python: tuple[int, int]) -> bytes:
    """Return a compressed tar of the packages and their programs, as they lie in an environment."""
    place = f"lib/python{python[0]}.{python[1]}/site-packages"
    files = {f"bin/{name}": (text.encode(), 0o755) for name, text in programs(packages)}
    for path in sorted(packages.rglob("*")):
        if path.is_file():
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            files[f"{place}/{path.relative_to(packages)}"] = path.read_bytes(), mode
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), compresslevel=6, mtime=0)


def programs(packages: Path) -> Iterator[tuple[str, str]]:
    """Yield the programs that packages want to have, with their texts; those that can run."""
    for path in sorted(packages.glob("*.dist-info/entry_points.txt")):
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # As its documentation says.
        parser.read(path)
        for name, target in (
            parser["console_scripts"].items() if "console_scripts" in parser else ()
        ):
            if name in _PROGRAMS_OF_CLIENTS:
                continue
            module, _, call = target.partition("[")[0].strip().partition(":")
            if module.partition(".")[0] in _OF_CLIENTS:
                continue
            first = call.partition(".")[0]
            yield name, _PROGRAM.format(python=PYTHON, module=module, name=first, call=call)
