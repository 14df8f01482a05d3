"""Small SCons projects for tests, built by the SCons that is installed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.cluster import WAIT_S

CHECKOUT = Path(__file__).parents[2]
HEAD = """\
import maelstrom.scons
env = Environment(tools=["default", maelstrom.scons.generate])
"""
FAKE_HEAD = """\
import sys
import tests.support.fake_session as fake
sys.modules["maelstrom.client.session"] = fake
"""
"""Before HEAD: `--maelstrom` then runs jobs on this host, without any container."""

PASSES = "int main(void) { return 0; }\n"
FAILS = '#include <stdio.h>\nint main(void) { puts("oh no"); return 1; }\n'
# For longer than anything here waits.
SLEEPS = "#include <unistd.h>\nint main(void) { sleep(3600); return 0; }\n"


class Ran(NamedTuple):
    """What SCons said."""

    status: int
    out: str

    def has(self, *texts: str) -> bool:
        """Whether all of these were said, without any traceback."""
        assert "Traceback" not in self.out, self.out
        for text in texts:
            assert text in self.out, f"{text!r} is not in:\n{self.out}"
        return True


class Project:
    """A project in a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root.parent / f"{root.name}.log"
        self.python = sys.executable
        root.mkdir(exist_ok=True)

    def write(self, **files: str) -> "Project":
        """Write files; `__` in a name is a slash, `_dot_` a dot."""
        for name, text in files.items():
            self.put(name.replace("__", "/").replace("_dot_", "."), text)
        return self

    def put(self, name: str, text: str) -> None:
        """Write one file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def sconstruct(self, body: str, *, is_fake: bool = False) -> "Project":
        """Write the SConstruct: `env` has our tool."""
        self.put("SConstruct", (FAKE_HEAD if is_fake else "") + HEAD + body)
        return self

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs SCons."""
        return [self.python, "-m", "SCons", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment SCons gets."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAELSTROM", "SCONS"))}
        ours = {
            "PYTHONPATH": str(CHECKOUT),
            "MAELSTROM_CACHE_DIR": str(self.root.parent / "cache"),
            "MAELSTROM_FAKE_LOG": str(self.log),
            "XDG_CONFIG_HOME": str(self.root.parent / "config"),
            "XDG_CONFIG_DIRS": str(self.root.parent / "config"),
        }
        return kept | ours | more

    def scons(self, *arguments: str, **environment: str) -> Ran:
        """Run SCons to its end."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=WAIT_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode())

    def interrupted(self, *arguments: str, when: str, **environment: str) -> Ran:
        """Run SCons, and interrupt it when its log has this text."""
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        deadline_s = time.monotonic() + WAIT_S
        while not (self.log.exists() and when in self.log.read_text()):
            assert time.monotonic() < deadline_s, "SCons never came so far"
            assert process.poll() is None, process.communicate()[0].decode()
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=WAIT_S)
        return Ran(process.returncode, out.decode())

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return what the fake session was asked for."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == kind]
