"""Whatever a broker says, its clients tell each job's end once, and its workers have no bugs."""

import asyncio
from collections import Counter
from typing import Any

from hypothesis import given

from maelstrom.client.engine import Submission
from maelstrom.errors import InfrastructureError, MaelstromError
from maelstrom.model.outcome import Outcome
from maelstrom.model.spec import JobSpec
from maelstrom.wire import messages
from maelstrom.wire.connection import encode
from maelstrom.wire.framing import frame
from maelstrom.wire.greeting import Role
from tests.fuzz.budget import within_budget
from tests.fuzz.hostile import Hostile, harangue
from tests.fuzz.said import Said, said
from tests.sim.disk import LAYERS
from tests.sim.loop import outside_of_time
from tests.sim.universe import Universe

WELCOME = frame(encode(messages.Welcome("token", is_local=False)))
TO_CLIENT = (messages.Ended, messages.Want, messages.Status, messages.Unknown, messages.Welcome)
TO_WORKER = (messages.Assign, messages.Recall, messages.Kill, messages.Welcome)
ABOUT_CONTENTS = (
    messages.Took,
    messages.Refused,
    messages.Parcel,
    messages.Absent,
    messages.Lacking,
)
PATIENCE_S = 150.0


class Scene:
    """A broker that is none, and who believes in it."""

    def __init__(self) -> None:
        self.universe = Universe(1)
        self.universe.fault_share = 0.0
        self.universe._accept = self._accept  # type: ignore[method-assign, assignment]  # As good.
        self.ends: list[Hostile] = []

    def _accept(self) -> Hostile:
        self.ends.append(Hostile(Role.BROKER))
        return self.ends[-1]

    async def welcome(self) -> None:
        """Welcome whoever comes first."""
        while not self.ends:
            await asyncio.sleep(0.1)
        self.ends[0].say(WELCOME)
        await asyncio.sleep(0.2)

    async def attack(self, speech: list[Said]) -> None:
        """Speak to him, and be gone."""

        async def open_way(way: str) -> Hostile:
            if way == "again" and self.ends[0].transport is not None:
                self.ends[0].transport.abort()
            await asyncio.sleep(0.2)
            self.ends[-1].say(WELCOME)
            return self.ends[-1]

        await harangue(speech, self.ends[0], open_way)
        for member in (*self.universe.clients, *self.universe.workers):
            member.link.is_cut = True
            member.link.break_all()


async def _client(speech: list[Said]) -> None:
    scene = Scene()
    scene.universe.add_client()
    member = scene.universe.clients[0]
    session, told = member.session, Counter[int]()

    def submit(job: int) -> None:
        def take(outcome: Outcome) -> None:
            told[job] += 1

        spec = JobSpec(program=f"/{job}", layers=(LAYERS[0],))
        session.submit(Submission(spec, take, lambda worker: None))

    for job in range(3):
        submit(job)
    await scene.welcome()
    session.cancel(1)
    await scene.attack(speech)
    submit(3)
    await asyncio.sleep(PATIENCE_S)
    assert told == dict.fromkeys(range(4), 1)
    # What is not our doing has a name; a bug of ours would be told as `the session failed`.
    assert isinstance(session.failure, MaelstromError)
    assert "failed" not in session.failure.message
    assert session._stop is not None
    session._stop.set()
    assert member.task is not None
    await member.task


@within_budget
@given(said([*TO_CLIENT, *ABOUT_CONTENTS]))
def test_a_client_tells_each_end_once(speech: list[Said]) -> None:
    outside_of_time(lambda: _client(speech))


async def _worker(speech: list[Said]) -> None:
    scene = Scene()
    scene.universe.add_worker()
    member = scene.universe.workers[0]
    await scene.welcome()
    await scene.attack(speech)
    await asyncio.sleep(30.0)
    member.worker._dispatcher.check()
    assert not member.pool.running
    member.worker.stop()
    member.worker.stop()
    assert member.task is not None
    await member.task
    why: Any = getattr(member, "why", None)
    assert not isinstance(why, InfrastructureError) or "failed" not in why.message, why
    assert why is None or isinstance(why, MaelstromError), repr(why)


@within_budget
@given(said([*TO_WORKER, *ABOUT_CONTENTS]))
def test_a_worker_has_no_bugs(speech: list[Said]) -> None:
    outside_of_time(lambda: _worker(speech))
