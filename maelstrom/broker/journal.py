"""Write down the jobs at hand, so that a broker that was killed goes on where it was."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from maelstrom.broker.database import Database
from maelstrom.broker.ledger import SCHEMA, Ledger, OldJob, Value, read_job
from maelstrom.errors import SpecError, StoreError
from maelstrom.model.ids import ClientId
from maelstrom.model.outcome import Outcome

FLUSH_S = 0.2
"""So much of what happened last a crash may make us forget. What lies together is written together,
and a job that comes and goes in less is never written."""
NUMBERS_PER_START = 1_000_000
"""Ids of clients and workers between two starts: none is ever given twice."""

T = TypeVar("T")
_read_outcome = msgspec.msgpack.Decoder(Outcome).decode


class Journal(Ledger):
    """A ledger whose changes find their way into a file; belongs to the running loop."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._database = Database(path, SCHEMA)
        self._loop = asyncio.get_running_loop()
        self._is_busy = False
        rows = self._read("SELECT value FROM meta WHERE name = 'starts'", tuple[int])
        self._starts = next(rows, (0,))[0]
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
        return list(self._read("SELECT id, token FROM clients ORDER BY id", tuple[ClientId, str]))

    def owners(self) -> dict[ClientId, str]:
        """Return whose the clients of before are, of those with certificates."""
        return dict(self._read("SELECT client, owner FROM owners", tuple[ClientId, str]))

    def settings(self, kind: str) -> dict[str, bytes]:
        """Return what operators said before."""
        query = "SELECT name, value FROM settings WHERE kind = ? ORDER BY rowid"
        return dict(self._read(query, tuple[str, bytes], kind))

    def jobs(self) -> Iterator[OldJob]:
        """Yield the jobs of before, in the order they came."""
        query = """SELECT client, number, submit, attempt, outcome FROM jobs
            WHERE client IN (SELECT id FROM clients) ORDER BY rowid"""
        for row in self._read(query, tuple[int, int, bytes, int, bytes | None]):
            with self.explained():
                yield read_job(row)

    def results(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the results of before, in the order they were kept."""
        query = "SELECT key, outcome FROM results ORDER BY rowid"
        for key, outcome in self._read(query, tuple[bytes, bytes]):
            with self.explained():
                _read_outcome(outcome)
            yield key, outcome

    def _read(self, query: str, kind: type[T], *values: Value) -> Iterator[T]:
        """Yield rows; SQLite holds whatever it was given, so they are looked at."""
        for row in self._database.run(query, *values):
            with self.explained():
                yield msgspec.convert(row, kind)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Say of what is not as it was written that the file is damaged."""
        try:
            yield
        except (msgspec.MsgspecError, UnicodeDecodeError, SpecError) as error:
            raise StoreError(
                f"cannot use `{self._path}`: it is damaged: {error}",
                hint="remove it: clients submit again what they wait for",
            ) from error

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
