"""Log lines of the daemons: one per event, as `key=value` for people or as JSON for programs."""

import json
import logging
import sys
from datetime import UTC, datetime

LEVELS = ("error", "warning", "info", "debug")
FORMATS = ("text", "json")


class _Form(logging.Formatter):
    def __init__(self, *, is_json: bool) -> None:
        super().__init__()
        self._is_json = is_json

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        fields = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        if self._is_json:
            return json.dumps({key: _plain(value) for key, value in fields.items()})
        first = f"{fields.pop('time')} {fields.pop('level'):7} {fields.pop('event')}"
        return " ".join(
            [first, *(f"{key}={_quote(value)}" for key, value in fields.items() if value != "")]
        )


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _quote(value: object) -> str:
    text = str(value)
    # One event is one line, whatever a peer calls itself.
    plain = text.isprintable() and not any(c in text for c in ' "=')
    return text if plain else json.dumps(text)


def start(level: str, log_format: str) -> None:
    """Begin to log on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Form(is_json=log_format == "json"))
    ours = logging.getLogger("maelstrom")
    ours.handlers = [handler]
    ours.setLevel(level.upper())
    ours.propagate = False
    # What the loop itself has to complain about.
    logging.getLogger("asyncio").handlers = [handler]
    logging.getLogger("asyncio").propagate = False
