"""What is written of jobs, and what need not be."""

import sqlite3

import pytest

from maelstrom.broker.ledger import SCHEMA, Ledger, read_job
from maelstrom.model.ids import ClientId, JobId
from maelstrom.wire.messages import Submit

ANN, BOB = ClientId(1), ClientId(2)
A1, A2, B1 = JobId(ANN, 1), JobId(ANN, 2), JobId(BOB, 1)
SUBMIT = Submit(1, b"spec", (), (("slots", 2),), 3, 0.5, wants_status=True)
TAKE = ("take",)

# Calls, with `take` between them, and then what is found: clients, and jobs as (id, spec is there,
# attempt, outcome).
STORIES = {
    "a job that came and went between two takes is never written": (
        [("submit", A1, SUBMIT), ("assign", A1, 1), ("end", A1, b"o"), ("forget", A1), TAKE],
        [(A1.client, "t")],
        [],
        1,
    ),
    "a job is written with all that is known of it": (
        [("submit", A1, SUBMIT), ("assign", A1, 1), ("assign", A1, 2), TAKE],
        [(ANN, "t")],
        [(A1, True, 2, None)],
        2,
    ),
    "what changes later is written later": (
        [("submit", A1, SUBMIT), TAKE, ("assign", A1, 4), TAKE, ("end", A1, b"o"), TAKE],
        [(ANN, "t")],
        [(A1, False, 4, b"o")],
        4,
    ),
    "what was heard of is forgotten": (
        [("submit", A1, SUBMIT), TAKE, ("end", A1, b"o"), ("forget", A1), TAKE],
        [(ANN, "t")],
        [],
        3,
    ),
    "an outcome needs no spec": (
        [("submit", A1, SUBMIT), ("end", A1, b"o"), TAKE],
        [(ANN, "t")],
        [(A1, False, 0, b"o")],
        2,
    ),
    "who leaves takes his jobs along, and nobody else's": (
        [
            ("submit", A1, SUBMIT),
            ("join", BOB, "u"),
            ("submit", B1, SUBMIT),
            TAKE,
            ("submit", A2, SUBMIT),
            ("leave", ANN),
            TAKE,
        ],
        [(BOB, "u")],
        [(B1, True, 0, None)],
        5,
    ),
    "whose a client is and what operators said is written, and taken back": (
        [
            ("join", BOB, "u", "client/bob"),
            ("set", "drained", "alpha", b""),
            ("set", "drained", "beta", b""),
            TAKE,
            ("set", "drained", "alpha", None),
            ("leave", ANN),
            TAKE,
        ],
        [(BOB, "u")],
        [],
        7,
    ),
    "who came and left between two takes is never written": (
        [("join", BOB, "u"), ("submit", B1, SUBMIT), ("leave", BOB), TAKE],
        [(ANN, "t")],
        [],
        1,
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str) -> None:
    calls, clients, jobs, statements = STORIES[name]
    ledger = Ledger()
    ledger.join(ANN, "t")
    database = sqlite3.connect(":memory:")
    for statement in SCHEMA:
        database.execute(statement)
    written = 0
    for call, *arguments in calls:
        if call != "take":
            getattr(ledger, call)(*arguments)
            continue
        assert ledger
        for statement, rows in ledger.take().batch():
            database.executemany(statement, rows)
            written += 1
        assert not ledger
    assert database.execute("SELECT * FROM clients").fetchall() == clients
    columns = "client, number, submit, attempt, outcome"
    found = [read_job(row) for row in database.execute(f"SELECT {columns} FROM jobs")]
    assert [(o.job, o.submit == SUBMIT, o.attempt, o.outcome) for o in found] == jobs
    assert written <= statements


def test_many_jobs_are_written_in_few_statements_and_forgotten_in_runs() -> None:
    ledger = Ledger()
    database = sqlite3.connect(":memory:")
    for statement in SCHEMA:
        database.execute(statement)
    for number in range(1, 131):
        ledger.submit(JobId(ANN, number), SUBMIT)
        ledger.keep(b"%d" % number, b"o")
    for number in (1, 2):
        ledger.submit(JobId(BOB, number), SUBMIT)
    _write(database, ledger, rows=2 + 32 + 2 + 30)
    for job in (*(JobId(ANN, number) for number in range(1, 131) if number != 60), JobId(BOB, 1)):
        ledger.forget(job)
    _write(database, ledger, rows=3)
    left = database.execute("SELECT client, number FROM jobs ORDER BY client").fetchall()
    assert left == [(ANN, 60), (BOB, 2)]
    assert database.execute("SELECT count(*), count(DISTINCT key) FROM results").fetchall() == [
        (130, 130)
    ]


def _write(database: sqlite3.Connection, ledger: Ledger, *, rows: int) -> None:
    """Write what waits; so many rows are sent."""
    batch = ledger.take().batch()
    assert sum(len(values) for _, values in batch) == rows
    for statement, values in batch:
        database.executemany(statement, values)
