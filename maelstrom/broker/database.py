"""One SQLite file with one writer thread; everything taken together is committed together.

Rules of this file:
1. The file belongs to one program at a time.
2. A batch that cannot be written, as on a full disk, is tried again until it can. Batches that come
   meanwhile wait with their owner, who is told when there is room for the next.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import SimpleQueue

from maelstrom.broker.ledger import Batch, Value
from maelstrom.errors import StoreError
from maelstrom.log import Log

FORMAT = 1
RETRY_S = 1.0
CACHE_KIB = 16 << 10
CHECKPOINT_PAGES = 4096
"""Of 4 KiB: the log beside the file may become a little larger than that."""

_log = Log("journal")

Write = tuple[Callable[[], Batch], Callable[[], None]]


class Database:
    """The file, open; raises StoreError if it is not ours, damaged, or in use."""

    def __init__(self, path: Path, schema: Iterable[str]) -> None:
        self._path = path
        self._is_closing = threading.Event()
        self._writes: SimpleQueue[Write | None] = SimpleQueue()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=0.5, isolation_level=None, check_same_thread=False
            )
            self._set_up(schema)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"cannot use `{path}`: {error}",
                hint="is another broker using it? what is in it may be thrown away: clients "
                "submit again what they wait for",
            ) from error
        self._thread = threading.Thread(
            target=self._write_all, name="maelstrom-journal", daemon=True
        )
        self._thread.start()

    def _set_up(self, schema: Iterable[str]) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        # A crash of ours loses nothing that was committed; a loss of power perhaps the last of it.
        run("PRAGMA synchronous = NORMAL")
        # Most rows do not live long: what is copied into the file later is copied less often.
        run(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        run(f"PRAGMA cache_size = -{CACHE_KIB}")
        run("BEGIN IMMEDIATE")
        found = run("PRAGMA user_version").fetchone()[0]
        if found not in (0, FORMAT):
            raise sqlite3.DatabaseError(f"its format is {found}, ours is {FORMAT}")
        for statement in schema:
            run(statement)
        run(f"PRAGMA user_version = {FORMAT}")
        run("COMMIT")

    def run(self, statement: str, *values: Value) -> list[tuple[Value, ...]]:
        """Carry out one statement at once, before anything is written by batches."""
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"cannot use `{self._path}`: {error}") from error

    def write(self, make: Callable[[], Batch], on_done: Callable[[], None]) -> None:
        """Have a batch made and written; `on_done` is called on the writer's thread."""
        self._writes.put((make, on_done))

    def _write_all(self) -> None:
        while (write := self._writes.get()) is not None:
            make, on_done = write
            batch = make()
            complaint = ""
            while (trouble := self._write(batch)) and not self._is_closing.wait(RETRY_S):
                if trouble != complaint:
                    complaint = trouble
                    hint = "it is tried again, and jobs go on meanwhile"
                    _log.error("journal not written", path=self._path, reason=trouble, hint=hint)
            on_done()

    def _write(self, batch: Batch) -> str:
        try:
            self._connection.execute("BEGIN")
            for statement, rows in batch:
                self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            return str(error)
        return ""

    def close(self) -> None:
        """Write what waits, if it can be written, and let the file go."""
        self._is_closing.set()
        self._writes.put(None)
        self._thread.join()
        self._connection.close()
