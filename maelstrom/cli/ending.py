"""End a program as its users expect: a message, a hint, an exit status, no traceback."""

import sys
from collections.abc import Callable

from maelstrom.errors import MaelstromError

INTERRUPTED = 130


def end(program: str, work: Callable[[], None]) -> int:
    """Do the work; return the exit status."""
    try:
        work()
    except MaelstromError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0
