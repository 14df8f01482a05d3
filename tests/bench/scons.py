"""The whole way, as a user goes it, against the plainest ways there are."""

import contextlib
import ctypes
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
CASES = 1430
"""The generator disables every tenth and skips every tenth: over a thousand really run."""
ROUNDS = 5

SCONSTRUCT = """\
import atexit, resource
tools = ["default"]
if not ARGUMENTS.get("bare"):
    import maelstrom.scons
    tools.append(maelstrom.scons.generate)
env = Environment(tools=tools, CXXFLAGS=["-O0"])
program = env.Program("many", "many.cc", LIBS=["gtest_main", "gtest", "pthread"])
if not ARGUMENTS.get("bare"):
    env.MaelstromTest("many", program)

def leave():
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("own_cpu", "w") as file:
        file.write(str(used.ru_utime + used.ru_stime))
atexit.register(leave)
"""


class Cost(NamedTuple):
    """What a command took."""

    wall_s: float
    cpu_s: float


def _adopt_orphans() -> None:
    """Become the parent of what our children leave, so that its CPU time is counted too."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _wait_for_orphans() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def measure(command: list[str], cwd: Path, *, stdin: str = "") -> Cost:
    """Run a command and everything it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=cwd, input=stdin, capture_output=True, text=True, check=False
    )
    wall_s = time.monotonic() - started
    if done.returncode not in (0, 1):  # 1: what `scons -q` says of a target out of date.
        raise RuntimeError(f"{command} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    _wait_for_orphans()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Cost(wall_s, cpu_s)


def _project(directory: Path) -> None:
    (directory / "SConstruct").write_text(SCONSTRUCT)
    generator = ROOT / "tests/data/gtest_many/generate.py"
    command = [sys.executable, str(generator), str(CASES), str(directory / "many.cc")]
    subprocess.run(command, check=True)
    measure(scons("many", "bare=1"), directory)


def scons(*arguments: str) -> list[str]:
    """Return a command of SCons."""
    return [sys.executable, "-m", "SCons", "-Q", *arguments]


def _filters(directory: Path) -> list[str]:
    listed = subprocess.run(
        ["./many", "--gtest_list_tests"], cwd=directory, capture_output=True, text=True, check=True
    )
    suite, found = "", []
    for line in listed.stdout.splitlines():
        name = line.split("#")[0].rstrip()
        if name.startswith("  "):
            found.append(suite + name.strip())
        else:
            suite = name
    return [name for name in found if "DISABLED_" not in name]


def forget(directory: Path) -> None:
    """Let everything run again, with the store and what was compiled kept warm."""
    shutil.rmtree(directory / ".maelstrom", ignore_errors=True)


def measure_in_turn(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[Any]]:
    """Go each way once a round."""
    found: dict[str, list[Any]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    return found


def _many(directory: Path) -> list[dict[str, Any]]:
    filters = "\n".join(_filters(directory))
    cores = str(os.cpu_count())
    own: list[float] = []

    def ours() -> Cost:
        forget(directory)
        cost = measure(scons("test", "--maelstrom", "--maelstrom-ui=quiet"), directory)
        own.append(float((directory / "own_cpu").read_text()) / cost.cpu_s)
        return cost

    def xargs() -> Cost:
        command = ["xargs", f"-P{cores}", "-I{}", "./many", "--gtest_filter={}"]
        return measure(command, directory, stdin=filters)

    ours()  # The first fills the store.
    own.clear()
    found = measure_in_turn({"ours": ours, "xargs": xargs}, ROUNDS)
    ratios = [a.wall_s / b.wall_s for a, b in zip(found["ours"], found["xargs"], strict=True)]
    wall_s = statistics.median(cost.wall_s for cost in found["ours"])
    count = len(_filters(directory))
    return [
        {
            "what": f"scons test --maelstrom, {count} GoogleTest cases",
            "unit": "s",
            "median": wall_s,
            "peer": f"xargs -P{cores}, one process a case",
            "ratio": statistics.median(ratios),
            "target": "<= 2.0",
        },
        {
            "what": "CPU time of the SCons process in it",
            "unit": "of 1",
            "median": statistics.median(own),
            "peer": "all CPU time",
            "ratio": statistics.median(own),
            "target": "< 0.25",
        },
    ]


def _null(directory: Path) -> dict[str, Any]:
    ways = {
        "ours": lambda: measure(scons("test", "--maelstrom"), directory).wall_s,
        "question": lambda: measure(scons("-q", "test"), directory).wall_s,
    }
    ways["ours"]()
    found = measure_in_turn(ways, ROUNDS)
    extra = [a - b for a, b in zip(found["ours"], found["question"], strict=True)]
    return {
        "what": "the same with nothing changed, beyond `scons -q`",
        "unit": "s",
        "median": statistics.median(extra),
        "peer": "second",
        "ratio": statistics.median(extra),
        "target": "<= 0.5",
    }


def _import(directory: Path) -> dict[str, Any]:
    ways = {
        "with": lambda: measure(scons("-h"), directory).wall_s,
        "without": lambda: measure(scons("-h", "bare=1"), directory).wall_s,
    }
    found = measure_in_turn(ways, 3 * ROUNDS)
    extra = statistics.median(a - b for a, b in zip(found["with"], found["without"], strict=True))
    return {
        "what": "what the tool adds to `scons -h`",
        "unit": "s",
        "median": extra,
        "peer": "30 ms",
        "ratio": extra / 0.03,
        "target": "< 1.0",
    }


def run() -> list[dict[str, Any]]:
    """Return the rows; needs g++ and libgtest-dev."""
    _adopt_orphans()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _project(directory)
        return [*_many(directory), _null(directory), _import(directory)]
