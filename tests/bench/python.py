"""Cases of pytest, each in a container of its own, against pytest itself.

The first peer starts pytest once for each case, as whoever wants cases apart has to. The second is
one pytest for all of them: no isolation whatever, and the least there is to do.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.scons import ROOT, Cost, forget, measure, measure_in_turn, scons

CASES = 120
ROUNDS = 3

SCONSTRUCT = """\
import maelstrom.scons
env = Environment(tools=["default", maelstrom.scons.generate])
env.MaelstromTest("many", "tests", data=["pyproject.toml", "numerals.py"])
"""


def run() -> list[dict[str, Any]]:
    """Return the rows."""
    with tempfile.TemporaryDirectory() as name:
        return _rows(Path(name))


def _rows(directory: Path) -> list[dict[str, Any]]:
    generator = ROOT / "tests/data/pytest_many/generate.py"
    subprocess.run([sys.executable, str(generator), str(CASES), str(directory)], check=True)
    (directory / "SConstruct").write_text(SCONSTRUCT)
    nodes = _nodes(directory)
    cores = str(os.cpu_count())

    def ours() -> Cost:
        forget(directory)
        return measure(scons("test", "--maelstrom", "--maelstrom-ui=quiet"), directory)

    def one_by_one() -> Cost:
        pytest = (sys.executable, "-m", "pytest", "-q", "{}")
        command = ["xargs", "-d", "\\n", f"-P{cores}", "-I{}", *pytest]
        return measure(command, directory, stdin="\n".join(nodes))

    def all_in_one() -> Cost:
        return measure([sys.executable, "-m", "pytest", "-q"], directory)

    ours()  # The first fills the store.
    found = measure_in_turn({"ours": ours, "apart": one_by_one, "one": all_in_one}, ROUNDS)
    walls = {name: [cost.wall_s for cost in costs] for name, costs in found.items()}
    return [
        {
            "what": f"scons test --maelstrom, {len(nodes)} pytest cases",
            "unit": "s",
            "median": statistics.median(walls["ours"]),
            "peer": peer,
            "ratio": statistics.median(
                ours / other for ours, other in zip(walls["ours"], walls[name], strict=True)
            ),
            **target,
        }
        for name, peer, target in (
            ("apart", f"xargs -P{cores}, one pytest a case", {"target": "<= 0.5"}),
            ("one", "one pytest for all, not isolated", {}),
        )
    ]


def _nodes(directory: Path) -> list[str]:
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only"],
        cwd=directory, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [line for line in listed.stdout.splitlines() if "::" in line]
