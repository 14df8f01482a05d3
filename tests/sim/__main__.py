"""Play clusters from many seeds on all processors: `python -m tests.sim COUNT`, `--seed N` for one.

    cores     the cores alone, under a made-up network (tests/sim/world.py)
    daemons   the daemons, sessions, journal and wire (tests/sim/universe.py)

The first seed that fails ends it, with the command that plays that one again.
"""

import argparse
import itertools
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from tests.sim import test_cluster, test_universe

PLAYS: dict[str, Callable[[int], None]] = {
    "cores": test_cluster.test_every_job_hears_of_its_end_exactly_once,
    "daemons": test_universe.test_every_job_of_a_living_client_is_told_once,
}
SEEDS_AT_ONCE = 25
TELL_S = 10.0


def play(kind: str, seeds: range) -> str:
    """Play some; return what went wrong."""
    # Thousands of storms have much to tell.
    logging.getLogger("maelstrom").setLevel(logging.CRITICAL)
    for seed in seeds:
        try:
            PLAYS[kind](seed)
        except Exception as error:  # Whatever it is, its seed is what one wants to know.
            return f"{kind}, seed {seed}: {type(error).__name__}: {error}"
    return ""


def portions(count: int) -> Iterator[tuple[str, range]]:
    """Divide the work, so that both kinds begin at once."""
    for begin in range(0, count, SEEDS_AT_ONCE):
        for kind in PLAYS:
            yield kind, range(begin, min(begin + SEEDS_AT_ONCE, count))


def play_all(count: int) -> str:
    """Play all, and say how far it is; return what went wrong first."""
    processors = len(os.sched_getaffinity(0))
    work = portions(count)
    done = dict.fromkeys(PLAYS, 0)
    begun = told = time.monotonic()
    with ProcessPoolExecutor(processors) as pool:
        running: dict[Future[str], tuple[str, range]] = {}
        while True:
            for kind, seeds in itertools.islice(work, 2 * processors - len(running)):
                running[pool.submit(play, kind, seeds)] = (kind, seeds)
            if not running:
                return ""
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                kind, seeds = running.pop(future)
                done[kind] += len(seeds)
                if trouble := future.result():
                    pool.shutdown(cancel_futures=True)
                    return trouble
            if time.monotonic() - told > TELL_S or not running:
                told = time.monotonic()
                parts = ", ".join(f"{kind} {number}/{count}" for kind, number in done.items())
                print(f"{told - begun:5.0f} s  {parts}", flush=True)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, help="play only this one")
    parser.add_argument("--trace", type=int, metavar="SEED", help="print what happens in one")
    given = parser.parse_args()
    if given.trace is not None:
        logging.getLogger("maelstrom").setLevel(logging.CRITICAL)
        print("\n".join(test_cluster.live(given.trace).trace))
        print("\n".join(test_universe.play(given.trace).trace))
        return 0
    if given.seed is None:
        trouble = play_all(given.count)
    else:
        one = range(given.seed, given.seed + 1)
        trouble = next(filter(None, (play(kind, one) for kind in PLAYS)), "")
    print(trouble or "every job of a living client was told its end once")
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
