"""How long an operator waits, with hosts booted here and 50 ms added to round trips; needs root.

Only on demand: the hosts, the operator and all else share this machine's processors.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

ROUND_TRIP_S = 0.05
# What three hosts may take.
BOUNDS_S = {"up": 15.0, "unchanged": 2.0, "status": 2.0}
WHAT = {
    "up": "cluster_up from bare",
    "unchanged": "cluster_up with nothing to change",
    "status": "cluster_status",
    "down": "cluster_down",
}


def run() -> Iterator[dict[str, Any]]:
    """Yield the rows: three hosts against the bounds, ten against three."""
    if os.geteuid():
        sys.stderr.write("hosts can be booted by root only\n")
        return
    three, ten = _measure(3), _measure(10)
    for name, what in WHAT.items():
        row: dict[str, Any] = {"what": f"{what}, 3 hosts", "unit": "s", "median": three[name]}
        if name in BOUNDS_S:
            bound_s = BOUNDS_S[name]
            row |= {"ratio": three[name] / bound_s, "peer": f"{bound_s:g} s", "target": "<= 1"}
        yield row
    for name, what in WHAT.items():
        yield {
            "what": f"{what}, 10 hosts",
            "unit": "s",
            "median": ten[name],
            "ratio": ten[name] / three[name],
            "peer": "3 hosts",
            "target": "<= 2",
        }
    for name, what in WHAT.items():
        used_s = three[f"{name} hosts"] / 3
        yield {"what": f"{what}, processor time of a host", "unit": "s", "median": used_s}


def _measure(count: int) -> dict[str, float]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.provision.lab", "bookworm", "--"),
            *(sys.executable, "-m", "tests.provision.lab.measure", str(count)),
            str(ROUND_TRIP_S / 2),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    times = json.loads(done.stderr.strip().splitlines()[-1])
    return {name: statistics.median(values) for name, values in times.items()}
