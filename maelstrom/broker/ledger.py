"""What must be written down of the jobs at hand, and what need not be any more.

Rules of this file:
1. Changes wait here until they are taken, and those of one job become one. A job that comes, runs
   and is heard of between two takes is never written.
2. Nothing waits for the disk. What a crash makes us forget is healed when the others come back: a
   client says which jobs have no outcome, a worker which attempts it holds. So nothing is
   told twice or never, whatever is missing here; it only makes less be done again.
3. All that is taken is written at once or not at all.
"""

from itertools import chain
from typing import NamedTuple, TypeAlias

import msgspec

from maelstrom.model.ids import ClientId, JobId
from maelstrom.wire.messages import Submit

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS clients (id INTEGER PRIMARY KEY, token TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS jobs (client INTEGER NOT NULL, number INTEGER NOT NULL,
    submit BLOB NOT NULL, attempt INTEGER NOT NULL, outcome BLOB, PRIMARY KEY (client, number))""",
    "CREATE TABLE IF NOT EXISTS results (key BLOB PRIMARY KEY, outcome BLOB NOT NULL)",
    # Tables that came later: a broker of before leaves them alone, and is left alone by them.
    "CREATE TABLE IF NOT EXISTS owners (client INTEGER PRIMARY KEY, owner TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS settings (kind TEXT NOT NULL, name TEXT NOT NULL,
    value BLOB NOT NULL, PRIMARY KEY (kind, name))""",
)
_JOIN = "INSERT OR REPLACE INTO clients VALUES (?, ?)"
_LEAVE = "DELETE FROM clients WHERE id = ?"
_LEAVE_JOBS = "DELETE FROM jobs WHERE client = ?"
_SUBMIT = "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?)"
_ASSIGN = "UPDATE jobs SET attempt = ? WHERE client = ? AND number = ?"
_END = "UPDATE jobs SET submit = x'', outcome = ? WHERE client = ? AND number = ?"
_FORGET = "DELETE FROM jobs WHERE client = ? AND number BETWEEN ? AND ?"

_KEEP = "INSERT OR REPLACE INTO results VALUES (?, ?)"
_DROP = "DELETE FROM results WHERE key = ?"
_OWN = "INSERT OR REPLACE INTO owners VALUES (?, ?)"
_DISOWN = "DELETE FROM owners WHERE client = ?"
_SET = "INSERT OR REPLACE INTO settings VALUES (?, ?, ?)"
_UNSET = "DELETE FROM settings WHERE kind = ? AND name = ?"

Value: TypeAlias = int | str | bytes | None
Batch: TypeAlias = list[tuple[str, list[tuple[Value, ...]]]]
"""Statements with the rows to carry them out for, in this order."""

ROWS_AT_ONCE = 50
"""Of those that come with each job: SQLite is asked less often, and Python's lock changes hands
less often with a loop that has other things to do."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Submit).decode


class OldJob(NamedTuple):
    """A job that was written down before a restart."""

    job: JobId
    submit: Submit | None
    attempt: int
    outcome: bytes | None
    """If it ended, and its client did not hear so."""


class _Change(msgspec.Struct, gc=False):
    submit: Submit | None = None
    """If it has not been written yet."""
    attempt: int = 0
    outcome: bytes | None = None
    is_forgotten: bool = False


class Ledger:
    """The changes that wait to be written."""

    def __init__(self) -> None:
        self._joined: dict[ClientId, str] = {}
        self._left: dict[ClientId, None] = {}
        self._jobs: dict[JobId, _Change] = {}
        self._results: dict[bytes, bytes | None] = {}
        self._owners: dict[ClientId, str] = {}
        self._settings: dict[tuple[str, str], bytes | None] = {}

    def __bool__(self) -> bool:
        return bool(self._joined or self._left or self._jobs or self._results or self._settings)

    def join(self, client: ClientId, token: str, owner: str = "") -> None:
        """A client is here, and perhaps one with a certificate."""
        self._joined[client] = token
        if owner:
            self._owners[client] = owner

    def set(self, kind: str, name: str, value: bytes | None) -> None:
        """An operator said something that is to outlive us, or takes it back."""
        self._settings[kind, name] = value

    def leave(self, client: ClientId) -> None:
        """A client is gone for good, with all its jobs."""
        self._owners.pop(client, None)
        if self._joined.pop(client, None) is None:
            self._left[client] = None
        for job in [job for job in self._jobs if job.client == client]:
            del self._jobs[job]

    def submit(self, job: JobId, submit: Submit) -> None:
        """A job came."""
        self._jobs[job] = _Change(submit)

    def assign(self, job: JobId, attempt: int) -> None:
        """A worker gets it."""
        change = self._jobs.get(job)
        if change is None:
            self._jobs[job] = _Change(attempt=attempt)
        else:
            change.attempt = attempt

    def end(self, job: JobId, outcome: bytes) -> None:
        """It has an outcome, which its client is told now."""
        change = self._jobs.get(job)
        if change is None:
            self._jobs[job] = _Change(outcome=outcome)
        else:
            change.outcome = outcome

    def forget(self, job: JobId) -> None:
        """Its client has heard of its end."""
        change = self._jobs.get(job)
        if change is None:
            self._jobs[job] = _Change(is_forgotten=True)
        elif change.submit is not None:
            del self._jobs[job]
        else:
            change.is_forgotten = True

    def keep(self, key: bytes, outcome: bytes | None) -> None:
        """A result is to be remembered, or, if there is none, forgotten."""
        self._results[key] = outcome

    def take(self) -> "Taken":
        """Return all that waits; it waits no more."""
        taken = Taken(
            self._joined, self._left, self._jobs, self._results, self._owners, self._settings
        )
        self._joined, self._left, self._jobs, self._results = {}, {}, {}, {}
        self._owners, self._settings = {}, {}
        return taken


class Taken(NamedTuple):
    """Changes of a while."""

    joined: dict[ClientId, str]
    left: dict[ClientId, None]
    jobs: dict[JobId, _Change]
    results: dict[bytes, bytes | None]
    owners: dict[ClientId, str]
    settings: dict[tuple[str, str], bytes | None]

    def batch(self) -> Batch:
        """Return what the database must do; takes time when there is much."""
        submits: list[tuple[Value, ...]] = []
        assigns: list[tuple[Value, ...]] = []
        ends: list[tuple[Value, ...]] = []
        forgets: dict[int, list[int]] = {}
        for job, change in self.jobs.items():
            client, number = job.client, job.number
            if change.is_forgotten:
                forgets.setdefault(client, []).append(number)
            elif change.submit is not None:
                body = b"" if change.outcome is not None else _encode(change.submit)
                submits.append((client, number, body, change.attempt, change.outcome))
            elif change.outcome is not None:
                ends.append((change.outcome, client, number))
            else:
                assigns.append((change.attempt, client, number))
        left = [(client,) for client in self.left]
        everything: Batch = [
            (_JOIN, list(self.joined.items())),
            *_joined(_SUBMIT, submits),
            (_ASSIGN, assigns),
            (_END, ends),
            (_FORGET, _runs(forgets)),
            (_LEAVE_JOBS, [*left]),
            (_LEAVE, [*left]),
            (_OWN, list(self.owners.items())),
            (_DISOWN, [*left]),
            *_joined(_KEEP, [(key, o) for key, o in self.results.items() if o is not None]),
            (_DROP, [(key,) for key, o in self.results.items() if o is None]),
            (_SET, [(*key, v) for key, v in self.settings.items() if v is not None]),
            (_UNSET, [key for key, v in self.settings.items() if v is None]),
        ]
        return [(statement, rows) for statement, rows in everything if rows]


def _joined(insert: str, rows: list[tuple[Value, ...]]) -> Batch:
    """Insert many rows with each statement, and the rest one by one."""
    many = len(rows) - len(rows) % ROWS_AT_ONCE
    if not many:
        return [(insert, rows)]
    places = ", ".join("?" * len(rows[0]))
    wide = insert + f", ({places})" * (ROWS_AT_ONCE - 1)
    starts = range(0, many, ROWS_AT_ONCE)
    joined = [tuple(chain.from_iterable(rows[at : at + ROWS_AT_ONCE])) for at in starts]
    return [(wide, joined), (insert, rows[many:])]


def _runs(jobs: dict[int, list[int]]) -> list[tuple[Value, ...]]:
    """Return clients with the first and last numbers of jobs that follow each other."""
    runs: list[tuple[Value, ...]] = []
    for client, numbers in jobs.items():
        numbers.sort()
        first = last = numbers[0]
        for number in numbers:
            if number > last + 1:
                runs.append((client, first, last))
                first = number
            last = number
        runs.append((client, first, last))
    return runs


def read_job(row: tuple[int, int, bytes, int, bytes | None]) -> OldJob:
    """Read what was written of a job."""
    client, number, body, attempt, outcome = row
    submit = _decode(body) if body else None
    return OldJob(JobId(ClientId(client), number), submit, attempt, outcome)
