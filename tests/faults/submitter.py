"""A client that keeps a cluster busy, and at the end says what it was told: a program of its own.

Arguments: the broker's address, the directory of our certificate, the program jobs run, how many
jobs, how many at a time, and for how many milliseconds each.
"""

import json
import sys
import threading
from collections import Counter
from pathlib import Path

from maelstrom.client.engine import Submission
from maelstrom.client.session import Session
from maelstrom.model.outcome import Exited, Outcome
from maelstrom.model.spec import JobSpec
from tests.support.cluster import layer

STEP = 100


def main() -> None:
    """Submit, count, tell."""
    address, identity, program, *numbers = sys.argv[1:]
    count, window, wait_ms = map(int, numbers)
    session = Session(broker=address, identity=Path(identity), store_root=Path("/nonexistent"))
    session.start()
    manifest, sources = layer({"bin/say": Path(program)})
    session.offer(sources)
    told: Counter[int] = Counter()
    wrong: dict[int, str] = {}
    room = threading.Semaphore(window)
    is_done = threading.Event()

    def take(number: int, outcome: Outcome) -> None:
        told[number] += 1
        said = outcome.effects.stdout.content if isinstance(outcome, Exited) else b""
        if said != b"%d\n" % number:
            wrong[number] = repr(outcome)[:500]
        total = sum(told.values())
        if total % STEP == 0:
            print(total, flush=True)
        if total >= count:
            is_done.set()
        room.release()

    for number in range(count):
        room.acquire()
        spec = JobSpec(
            program="/bin/say", arguments=(str(number), str(wait_ms)), layers=(manifest,)
        )
        session.submit(Submission(spec, on_outcome=lambda outcome, n=number: take(n, outcome)))  # type: ignore[misc]  # Its own number.
    is_done.wait()
    session.close()
    twice = [number for number, times in told.items() if times != 1]
    print(json.dumps({"told": len(told), "twice": twice, "wrong": wrong}), flush=True)


if __name__ == "__main__":
    main()
