"""Jobs in a line, however they come and go, are found in the order of their places."""

from hypothesis import given, settings
from hypothesis import strategies as st

from maelstrom.broker.books import PLAIN, Job
from maelstrom.broker.line import Line
from maelstrom.model.ids import ClientId, JobId

RANKS = st.sampled_from([-2.0, -1.0, 0.0])
CALLS = st.lists(st.one_of(RANKS, st.integers(0, 30)), max_size=40)
"""A rank lets a job in; a number takes out the one that is in that place then."""


@settings(database=None)
@given(CALLS)
def test_the_first_is_always_known(calls: list[float | int]) -> None:
    line = Line()
    model: list[tuple[float, int, int, Job]] = []
    for ticket, call in enumerate(calls, 1):
        if isinstance(call, float):
            job = Job(JobId(ClientId(1), ticket), PLAIN, 0, 0.0, number=ticket, ticket=ticket)
            model.append((call, ticket, ticket, job))
            line.add(model[-1])
        elif call < len(model):
            model.pop(call)[3].ticket = 0
        model.sort()
        assert line.first() == (model[0] if model else None)
        assert list(line) == model


def test_one_that_comes_back_stands_where_its_rank_says() -> None:
    line = Line()
    job = Job(JobId(ClientId(1), 1), PLAIN, 0, 0.0, number=1, ticket=1)
    other = Job(JobId(ClientId(1), 2), PLAIN, 0, 0.0, number=2, ticket=2)
    line.add((0.0, 1, 1, job))
    line.add((0.0, 2, 2, other))
    job.ticket = 3
    line.add((-1.0, 1, 3, job))
    assert list(line) == [(-1.0, 1, 3, job), (0.0, 2, 2, other)]
    assert sum(map(len, line.remains())) == 3
