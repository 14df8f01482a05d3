"""Run the benchmarks and print a table: `python -m tests.bench [NAME ...]`.

`--json FILE` writes the rows there too, `--picture FILE` draws those of the sandbox. `--from FILE`
measures nothing, and takes the rows from there.
"""

import argparse
import importlib
import json
import operator
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench._picture import draw

HERE = Path(__file__).parent
# Boots hosts, as root, for minutes.
ON_DEMAND = {"provision"}
COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}


def names() -> list[str]:
    """Return the benchmarks there are."""
    return sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith(("_", "test_")))


def is_met(row: dict[str, Any]) -> bool | None:
    """Tell whether the row keeps what was promised; None where nothing was."""
    target = row.get("target")
    if not target:
        return None
    sign, bound = target.split()
    return bool(COMPARE[sign](row["ratio"], float(bound)))


def line(row: dict[str, Any]) -> str:
    """Return the row for a person."""
    met = {None: "", True: "kept", False: "NOT KEPT"}[is_met(row)]
    median = f"{row['median']:.3g} {row['unit']}"
    against = f"{row['ratio']:.2f} x {row['peer']}" if row.get("ratio") is not None else ""
    return f"{row['what']:<52} {median:>14}  {against:<38} {row.get('target', ''):>8} {met}"


def main() -> int:
    """Run what is asked for; the exit status is 1 if a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*names(), []], help="which; by default all but `provision`"
    )
    parser.add_argument("--json", type=Path, help="write the rows there too")
    parser.add_argument("--picture", type=Path, help="draw the rows of `sandbox` there, as SVG")
    parser.add_argument("--from", type=Path, dest="old", help="draw an earlier run's rows")
    options = parser.parse_args()
    measured = json.loads(options.old.read_text()) if options.old else measure(options.names)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1) + "\n")
    if options.picture:
        options.picture.write_text(draw(measured))
    return int(not options.old and any(is_met(row) is False for row in measured["rows"]))


def measure(wanted: list[str]) -> dict[str, Any]:
    """Run the benchmarks, and return their rows and on what they ran."""
    who = "root" if os.getuid() == 0 else "an ordinary user"
    who += ", real-time priority" * (os.sched_getscheduler(0) == os.SCHED_FIFO)
    conditions = (
        f"{platform.machine()}, {os.cpu_count()} cores, "
        f"Linux {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}, {who}, load {os.getloadavg()[1]:.1f} before, "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}"
    )
    print(conditions)
    rows: list[dict[str, Any]] = []
    for name in wanted or [name for name in names() if name not in ON_DEMAND]:
        print(f"\n{name}", flush=True)
        for row in importlib.import_module(f"tests.bench.{name}").run():
            print("  " + line(row), flush=True)
            rows.append({"bench": name, **row})
    return {"conditions": conditions, "rows": rows}


if __name__ == "__main__":
    sys.exit(main())
