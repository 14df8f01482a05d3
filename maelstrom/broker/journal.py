"""Write down the jobs at hand, so that a broker that was killed goes on where it was."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from maelstrom.broker.database import Database
from maelstrom.broker.ledger import SCHEMA, Ledger, OldJob, Value, read_job
from maelstrom.model.ids import ClientId

FLUSH_S = 0.1
NUMBERS_PER_START = 1_000_000
"""Ids of clients and workers between two starts: none is ever given twice."""


class Journal(Ledger):
    """A ledger whose changes find their way into a file; belongs to the running loop."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._database = Database(path, SCHEMA)
        self._loop = asyncio.get_running_loop()
        self._is_busy = False
        rows = self._database.run("SELECT value FROM meta WHERE name = 'starts'")
        self._starts = _number(rows[0][0]) if rows else 0
        # Before any id is given, and whatever happens to the power; all else may come later.
        self._database.run("PRAGMA synchronous = FULL")
        self._database.run("INSERT OR REPLACE INTO meta VALUES ('starts', ?)", self._starts + 1)
        self._database.run("PRAGMA synchronous = NORMAL")
        self._timer = self._loop.call_later(FLUSH_S, self._flush)

    @property
    def first_number(self) -> int:
        """Return the first id that was not given before this start."""
        return self._starts * NUMBERS_PER_START + 1

    def clients(self) -> list[tuple[ClientId, str]]:
        """Return the clients of before, with their tokens."""
        rows = self._database.run("SELECT id, token FROM clients ORDER BY id")
        return [(ClientId(_number(client)), str(token)) for client, token in rows]

    def owners(self) -> dict[ClientId, str]:
        """Return whose the clients of before are, of those with certificates."""
        rows = self._database.run("SELECT client, owner FROM owners")
        return {ClientId(_number(client)): str(owner) for client, owner in rows}

    def settings(self, kind: str) -> dict[str, bytes]:
        """Return what operators said before."""
        query = "SELECT name, value FROM settings WHERE kind = ? ORDER BY rowid"
        found = {}
        for name, value in self._database.run(query, kind):
            assert isinstance(value, bytes), "the schema says so"
            found[str(name)] = value
        return found

    def jobs(self) -> Iterator[OldJob]:
        """Yield the jobs of before, in the order they came."""
        query = "SELECT client, number, submit, attempt, outcome FROM jobs ORDER BY rowid"
        for row in self._database.run(query):
            yield read_job(row)  # type: ignore[arg-type]  # As the schema says.

    def results(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the results of before, in the order they were kept."""
        for key, outcome in self._database.run("SELECT key, outcome FROM results ORDER BY rowid"):
            assert isinstance(key, bytes), "the schema says so"
            assert isinstance(outcome, bytes), "the schema says so"
            yield key, outcome

    def _flush(self) -> None:
        self._timer = self._loop.call_later(FLUSH_S, self._flush)
        if self and not self._is_busy:
            self._is_busy = True
            taken = self.take()
            self._database.write(taken.batch, self._written)

    def _written(self) -> None:
        # On the writer's thread; a flag needs no lock.
        self._is_busy = False

    def close(self) -> None:
        """Write the rest."""
        self._timer.cancel()
        if self:
            self._database.write(self.take().batch, lambda: None)
        self._database.close()


def _number(value: Value) -> int:
    assert isinstance(value, int), "the schema says so"
    return value
