"""Do the same for many hosts at the same time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from maelstrom.errors import MaelstromError

PARALLEL_MAX = 32
_Result = TypeVar("_Result")


def in_parallel(
    work: Callable[[str], _Result],
    names: Iterable[str],
    interrupt: Callable[[], None] = lambda: None,
) -> tuple[dict[str, _Result], dict[str, MaelstromError]]:
    """Do something for each host; return results and errors by host.

    An interruption here calls `interrupt`, which has to end what is being done.
    """
    results: dict[str, _Result] = {}
    errors: dict[str, MaelstromError] = {}
    with ThreadPoolExecutor(PARALLEL_MAX) as pool:
        futures = {name: pool.submit(work, name) for name in names}
        try:
            wait(futures.values())
        except BaseException:
            interrupt()
            raise
    for name, future in futures.items():
        try:
            results[name] = future.result()
        except MaelstromError as error:
            errors[name] = error
    return results, errors
