"""Events of daemons, with fields; how and whether they are written is the command line's matter.

Rules of this file:
1. An event has a name of a few words that never changes with what it tells; what it tells is in
   its fields. docs/logs.md lists them all.
2. What is not written costs a comparison: whoever is in a hurry looks at `tells_all` first.
"""

import logging

# Without it Python itself would print warnings of programs that write no log.
logging.getLogger("maelstrom").addHandler(logging.NullHandler())


class Log:
    """The log of one part of a program."""

    def __init__(self, part: str) -> None:
        self._logger = logging.getLogger(f"maelstrom.{part}")

    @property
    def tells_all(self) -> bool:
        """Whether what happens to single jobs is written, too."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def debug(self, event: str, **fields: object) -> None:
        """Something usual happened to one job."""
        self._tell(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Something happened that an operator may want to know."""
        self._tell(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something went wrong, and it is mended or somebody else's fault."""
        self._tell(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Something went wrong, and an operator must mend it."""
        self._tell(logging.ERROR, event, fields)

    def _tell(self, level: int, event: str, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={"fields": fields})
