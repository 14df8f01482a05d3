"""Real brokers and workers for tests, and the least that a job needs."""

import subprocess
import sys
from pathlib import Path

from maelstrom.client.session import Source
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import File, Manifest

ROOT = Path(__file__).parents[2]
WAIT_S = 300.0
"""How long is waited for what will surely come, however busy the machine is."""


def static_program(directory: Path, source: str) -> Path:
    """Compile a program that needs no library."""
    code = directory / "program.c"
    code.write_text(source)
    program = directory / "program"
    subprocess.run(["cc", "-O1", "-static", "-o", program, code], check=True)
    return program


def layer(files: dict[str, Path]) -> tuple[Digest, dict[Digest, Source]]:
    """Return a layer of programs, and where its content is."""
    sources: dict[Digest, Source] = {}
    entries = []
    for name, path in files.items():
        digest = Digest.of(path.read_bytes())
        sources[digest] = str(path)
        entries.append((name, File(digest, is_executable=True)))
    manifest = Manifest(entries)
    return manifest.digest, {**sources, manifest.digest: manifest.encoded}


class Crew:
    """A broker with workers, as processes of their own; `close` sees that they end well."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.address = ""
        self.broker: subprocess.Popen[str] | None = None
        self.workers: list[subprocess.Popen[str]] = []

    def start(self, way: str, *, workers: int = 1) -> str:
        """Start them; return the broker's address."""
        listen = "plain:127.0.0.1:0" if way == "tcp" else f"unix:{self._directory}/broker"
        self.broker = self._spawn(
            "broker", "--listen", listen, "--store", str(self._directory / "broker-store")
        )
        assert self.broker.stdout is not None
        self.address = self.broker.stdout.readline().split()[-1]
        for _ in range(workers):
            self.add_worker()
        return self.address

    def add_worker(self) -> None:
        """Start one more worker, of one slot."""
        store = self._directory / f"worker-store-{len(self.workers)}"
        self.workers.append(
            self._spawn("worker", "--broker", self.address, "--slots", "1", "--store", str(store))
        )

    def _spawn(self, name: str, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", f"maelstrom.cli.{name}", *arguments],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def close(self) -> None:
        """End them as an operator would."""
        for process in (*self.workers, self.broker):
            if process is None:
                continue
            process.terminate()
            _, told = process.communicate(timeout=WAIT_S)
            assert process.returncode in (0, -9), told
            assert "Traceback" not in told, told
