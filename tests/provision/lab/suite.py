"""A project with tests, on a host that has nothing but our release: a place to run them from."""

import importlib.util
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.provision.lab.host import Host

SCONSTRUCT = """\
import maelstrom.scons
env = Environment(tools=[maelstrom.scons.generate])
env.MaelstromTest("many", "test_many.py", framework="unittest", labels={labels})
"""
TESTS = """\
import socket, time, unittest
class Many(unittest.TestCase):
    pass
def case(number):
    def test(self):
        time.sleep({seconds})
        self.assertEqual(number, number)
    return test
for number in range({count}):
    setattr(Many, f"test_{{number:04}}", case(number))
"""


# What clients load and daemons do not: releases are without it.
_OF_CLIENTS = ("SCons", "elftools", "markdown_it", "mdurl", "pygments", "rich")


def install_client(host: Host, release: Path, identity: Path) -> None:
    """Give the user `guest` a Python with ours in it, a project, and a certificate."""
    home = host.root / "home/guest"
    host.run("cd /home/guest && rm -rf identity project venv")
    shutil.copy(release, home / "release.tar.gz")
    shutil.copytree(identity, home / "identity")
    host.run(
        "cd /home/guest && mkdir -p project && python3 -m venv --without-pip venv"
        " && tar -xzf release.tar.gz -C venv && rm release.tar.gz"
    )
    (packages,) = home.glob("venv/lib/python3.*/site-packages")
    for name in _OF_CLIENTS:
        found = importlib.util.find_spec(name)
        assert found is not None, name
        assert found.origin is not None, name
        shutil.copytree(
            Path(found.origin).parent, packages / name, ignore=lambda *_: {"__pycache__"}
        )
    host.run("chown -R guest: /home/guest && chmod 700 /home/guest/identity")


def write_suite(
    host: Host, *, count: int, seconds: float = 0.0, labels: tuple[str, ...] = ()
) -> None:
    """Write a project of so many cases that take so long."""
    project = host.root / "home/guest/project"
    (project / "SConstruct").write_text(SCONSTRUCT.format(labels=labels))
    (project / "test_many.py").write_text(TESTS.format(count=count, seconds=seconds))


def suite_command(broker: str, *, log: str) -> str:
    """Return the shell command that runs the suite on a broker; a JUnit file is written."""
    return (
        "cd /home/guest/project && MAELSTROM_IDENTITY=/home/guest/identity"
        " /home/guest/venv/bin/python -m SCons"
        f" -Q test --maelstrom --maelstrom-broker={broker} --maelstrom-ui=simple"
        f" --maelstrom-junit=junit.xml > {log} 2>&1"
    )


def run_jobs(host: Host, broker: str, jobs: Iterable[object]) -> list[dict[str, Any]]:
    """Run jobs of no project on a broker; return how they ended."""
    (host.root / "home/guest/jobs.json").write_text("\n".join(map(json.dumps, jobs)))
    said = host.run(
        "~/venv/bin/python -m maelstrom.cli.run --identity ~/identity"
        f" --broker {broker} --json -f ~/jobs.json",
        user="guest",
        check=False,
    )
    return [json.loads(line) for line in said.splitlines()]
