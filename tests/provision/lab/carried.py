"""Our tests and what they need, on a host that has neither pip nor a compiler."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.provision.lab.host import Host
from tests.sandbox.conftest import PROGRAMS, compile_program

PROJECT = Path(__file__).parents[3]
PLACE = "/srv/tests"
TREE = ("maelstrom", "tests", "pyproject.toml")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
# Gives programs that were compiled here, for the last word but the sources, by its name.
_COMPILER = """\
#!/bin/sh
while [ "$1" != -o ]; do shift; done
cp /srv/tests/compiled/"${2##*/}" "$2"
"""


def gather_packages(directory: Path, python: tuple[int, int]) -> Path:
    """Unpack what the tests need for a host's Python; while there is a network."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["test"][1:]]
    version = ".".join(map(str, python))
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "-q", "--target", directory, "--no-compile"),
            *("--only-binary=:all:", f"--python-version={version}"),
            *(f"--platform={platform}" for platform in PLATFORMS),
            *needed,
        ],
        check=True,
    )
    return directory


def carry_tests(host: Host, packages: Path) -> None:
    """Put tests, packages, and programs compiled here onto a host."""
    place = Path(f"{host.root}{PLACE}")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(packages, place / "packages")
    for name in TREE:
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        (place / "tree").mkdir(exist_ok=True)
        copy(source, place / "tree" / name)
    (place / "compiled").mkdir()
    for name in PROGRAMS:
        compile_program(place / "compiled" / Path(name).name, name)
    compiler = Path(f"{host.root}/usr/local/bin/gcc")
    compiler.write_text(_COMPILER)
    compiler.chmod(0o755)
    host.run(f"chmod -R a+rX {PLACE}")


def remove_tests(host: Host) -> None:
    """Leave the host as it was."""
    host.run(f"rm -rf {PLACE} /usr/local/bin/gcc")
