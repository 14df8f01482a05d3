"""Remember, from run to run, what the tests are, which have passed and how long they took.

Rules of this file:
1. The record only helps: without it, or with a damaged one, everything is run and nothing else
   changes. So no error leaves this file.
2. A pass is remembered by the digest of its job's spec: it counts in an equal world only.
3. Safe for threads; two builds at once may lose what one of them has learnt, never more.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from maelstrom.client.events import EndTarget, KeepListing, KeepResult
from maelstrom.client.history import History
from maelstrom.model.case import Case, CaseResult

FORMAT_VERSION = 1
LISTINGS_MAX = 16
"""Remembered of one target: more than it has programs, or variants of its environment."""
BUSY_S = 2.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS listing (
    world TEXT, target TEXT, digest TEXT, cases BLOB, PRIMARY KEY (world, target, digest));
CREATE TABLE IF NOT EXISTS result (
    world TEXT, target TEXT, name TEXT, digest TEXT, is_good INTEGER, duration_s REAL,
    PRIMARY KEY (world, target, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pass (
    world TEXT, target TEXT, results BLOB, PRIMARY KEY (world, target));
"""

_decode = msgspec.msgpack.Decoder(tuple[Case, ...]).decode
_decode_results = msgspec.msgpack.Decoder(tuple[CaseResult, ...]).decode


class Record:
    """The record of one project; `world` keeps plain runs and those in containers apart."""

    def __init__(self, path: Path, *, world: str) -> None:
        self._world = world
        self._lock = threading.Lock()
        try:
            self._database = _open(path)
        except (sqlite3.Error, OSError):
            self._database = _open(None)

    def history(self, target: str) -> History:
        """Return what is known of a target."""
        key = (self._world, target)
        found: list[History] = []
        with self._quietly():
            rows = self._database.execute(
                "SELECT name, digest, is_good, duration_s FROM result "
                "WHERE world = ? AND target = ?",
                key,
            ).fetchall()
            listings = self._database.execute(
                "SELECT digest, cases FROM listing WHERE world = ? AND target = ?", key
            ).fetchall()
            found.append(
                History(
                    listings={digest: _decode(cases) for digest, cases in listings},
                    passes=frozenset(digest for _, digest, is_good, _ in rows if is_good),
                    durations={name: duration_s for name, _, _, duration_s in rows},
                    failed=frozenset(name for name, _, is_good, _ in rows if not is_good),
                )
            )
        return found[0] if found else History()

    def keep(self, news: KeepListing | KeepResult) -> None:
        """Remember it, on disk with the next `save`."""
        with self._quietly():
            if isinstance(news, KeepResult):
                row = (news.target, news.case, news.digest, news.is_good, news.duration_s)
                self._database.execute(
                    "INSERT OR REPLACE INTO result VALUES (?, ?, ?, ?, ?, ?)", (self._world, *row)
                )
                return
            key = (self._world, news.target)
            self._database.execute(
                "INSERT OR REPLACE INTO listing VALUES (?, ?, ?, ?)",
                (*key, news.digest, msgspec.msgpack.encode(news.cases)),
            )
            self._database.execute(
                "DELETE FROM listing WHERE world = ? AND target = ? AND rowid NOT IN (SELECT rowid "
                "FROM listing WHERE world = ? AND target = ? ORDER BY rowid DESC LIMIT ?)",
                (*key, *key, LISTINGS_MAX),
            )

    def end(self, target: EndTarget) -> None:
        """Remember what a target that has passed consists of, and put on disk what was learnt."""
        if not target.complaint:
            with self._quietly():
                self._database.execute(
                    "INSERT OR REPLACE INTO pass VALUES (?, ?, ?)",
                    (self._world, target.name, msgspec.msgpack.encode(target.results)),
                )
        self.save()

    def results(self, target: str) -> tuple[CaseResult, ...]:
        """Return the cases of a target's last pass; none if nothing is known of it."""
        found: list[tuple[CaseResult, ...]] = []
        with self._quietly():
            row = self._database.execute(
                "SELECT results FROM pass WHERE world = ? AND target = ?", (self._world, target)
            ).fetchone()
            found += [_decode_results(row[0])] if row else []
        return found[0] if found else ()

    def save(self) -> None:
        """Put on disk what was learnt."""
        with self._quietly():
            self._database.commit()

    def close(self) -> None:
        """Save and close."""
        self.save()
        with self._quietly():
            self._database.close()

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        # A name that is not UTF-8 cannot be stored: its case is then run every time.
        errors = (sqlite3.Error, msgspec.MsgspecError, UnicodeError)
        with self._lock, contextlib.suppress(*errors):
            yield


def _open(path: Path | None) -> sqlite3.Connection:
    if path is None:
        return _connect(":memory:")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connect(str(path))
    except sqlite3.OperationalError:
        raise  # In use, or not ours to write: not damaged.
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return _connect(str(path))


def _connect(name: str) -> sqlite3.Connection:
    database = sqlite3.connect(name, timeout=BUSY_S, check_same_thread=False)
    try:
        # Killed at any moment it stays whole; after a crash of the machine it may be lost.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT_VERSION):
            database.executescript("DROP TABLE IF EXISTS listing; DROP TABLE IF EXISTS result;")
        database.executescript(_SCHEMA)
        database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        database.commit()
    except BaseException:
        database.close()
        raise
    return database
