"""Run a program of ours whose clock is wrong: `python -m tests.support.skewed FILE MODULE ...`.

FILE holds by how many seconds; it is read anew each time somebody asks for the time of day, so the
clock may be set while the program runs. Monotonic clocks and the kernel's own are as they were.
"""

import runpy
import sys
import time
from pathlib import Path

_true_time, _true_time_ns = time.time, time.time_ns


def main() -> None:
    """Become the program."""
    path, module, *words = sys.argv[1:]

    def offset_s() -> float:
        return float(Path(path).read_text() or 0)

    time.time = lambda: _true_time() + offset_s()
    time.time_ns = lambda: _true_time_ns() + int(offset_s() * 1e9)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
