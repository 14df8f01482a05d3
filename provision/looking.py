"""Look at the hosts without changing them: how they are, and what their daemons say."""

import threading
from collections.abc import Callable

from maelstrom.trust.authority import clock
from provision import layout
from provision.cluster import Run
from provision.parallel import in_parallel
from provision.status import Row, rows


def look(run: Run) -> tuple[list[Row], bool]:
    """Return how all daemons are, and whether all hosts answered."""
    found = []
    with run.connected(is_locked=False) as survey:
        for name, facts in survey.facts.items():
            host = run.inventory.host(name)
            found += rows(host, facts, survey.offsets_s[name], clock())
        return found, not survey.failures


def follow(run: Run, lines: int, *, is_followed: bool, say: Callable[[str], None]) -> bool:
    """Say what the daemons wrote to their journals; return whether all hosts answered."""
    lock = threading.Lock()
    with run.connected(is_locked=False) as survey:

        def tell(name: str) -> None:
            units = " ".join(f"-u {layout.unit(role)}" for role in run.inventory.host(name).roles)
            more = " -f" if is_followed else ""
            command = f"journalctl --no-pager -o short-iso -n {lines}{more} {units}"

            def hear(line: str) -> None:
                with lock:
                    say(f"{name}: {line}")

            survey.machines[name].follow(command, hear)

        _, errors = in_parallel(tell, survey.facts, survey.close)
        return not survey.failures and not errors
