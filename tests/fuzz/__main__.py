"""Fuzz all boundaries: `python -m tests.fuzz [--seconds N] [NAME ...]`.

Each test of this directory is a target, and runs in a process of its own. Atheris leads it by the
code that is reached; where it is not installed, Hypothesis tries what it likes for as long.
"""

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HAS_ATHERIS = importlib.util.find_spec("atheris") is not None
TAIL_LINES = 60


def targets() -> dict[str, Callable[..., Any]]:
    """Return the tests by their names."""
    found: dict[str, Callable[..., Any]] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.fuzz.{path.stem}")
        for name, value in vars(module).items():
            if name.startswith("test_") and hasattr(value, "hypothesis"):
                found[name.removeprefix("test_")] = value
        for name, value in getattr(module, "REFUSERS", {}).items():
            found[name.replace(" ", "_")] = value
    return found


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process; does not come back with Atheris."""
    if HAS_ATHERIS:
        import atheris

        with atheris.instrument_imports(include=["maelstrom"]):
            target = targets()[name]
        words = [f"-max_total_time={seconds}", "-rss_limit_mb=4096", "-max_len=4096", "-timeout=60"]
        atheris.Setup([sys.argv[0], *words], target.hypothesis.fuzz_one_input)  # type: ignore[attr-defined]
        atheris.Fuzz()
    target = targets()[name]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        target()


def run(name: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own; say how it went."""
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz", "--here", "--seconds", str(seconds), name],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": place, "PYTHONPATH": os.getcwd()},
            cwd=place,
        )
    lines = done.stdout.splitlines()
    about = next((line.strip() for line in reversed(lines) if "Done " in line), "")
    print(f"{'good' if not done.returncode else 'BAD '}  {name}  {about}", flush=True)
    if done.returncode:
        print("\n".join(lines[-TAIL_LINES:]), flush=True)
    return not done.returncode


def run_all(names: Iterable[str], seconds: int) -> bool:
    """Fuzz these, as many at a time as there are processors."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return all(list(pool.map(lambda name: run(name, seconds), names)))


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--here", action="store_true", help="in this process, one target")
    given = parser.parse_args()
    if given.here:
        fuzz(given.names[0], given.seconds)
        return 0
    if not HAS_ATHERIS:
        print("atheris is not installed here: what is tried is not led by coverage", flush=True)
    return 0 if run_all(given.names or targets(), given.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
