"""Run the benchmarks and print a table: `python -m tests.bench [NAME ...] [--json FILE]`."""

import argparse
import importlib
import json
import operator
import os
import platform
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}


def names() -> list[str]:
    """Return the benchmarks there are."""
    return sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_"))


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
    parser.add_argument("names", nargs="*", choices=[*names(), []], help="which; all by default")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()},", end=" ")
    print(f"Python {platform.python_version()}, uid {os.getuid()}")
    rows: list[dict[str, Any]] = []
    for name in options.names or names():
        print(f"\n{name}", flush=True)
        for row in importlib.import_module(f"tests.bench.{name}").run():
            print("  " + line(row), flush=True)
            rows.append({"bench": name, **row})
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return int(any(is_met(row) is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
