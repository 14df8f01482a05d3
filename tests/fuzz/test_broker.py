"""Whatever a client, a worker or an operator says to the broker, the others are served."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from maelstrom.client.engine import Submission
from maelstrom.model.outcome import Exited, Outcome
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
from tests.sim.network import Link
from tests.sim.universe import Universe

BLOBS = (messages.Parcel, messages.Get, messages.AskLacking)
SAID = {
    Role.CLIENT: (messages.Submit, messages.Cancel, messages.Withhold, messages.Resume, *BLOBS),
    Role.WORKER: (messages.Join, messages.Report, messages.Started, messages.Return, *BLOBS),
    Role.ADMIN: (messages.AskState, messages.Drain, messages.LimitClient),
    Role.JOIN: (messages.AskAuthority, messages.Enrol, messages.Renew),
}
JOIN = frame(encode(messages.Join("evil", 3)))
SERVED_S_MAX = 200.0


class Scene:
    """Two honest members, and somebody who is not."""

    def __init__(self) -> None:
        self.universe = Universe(1)
        self.universe.fault_share = 0.0
        self.told: Counter[str] = Counter()
        self.outcomes: list[Outcome] = []

    async def start(self) -> None:
        """Let the honest come."""
        await self.universe.start_broker()
        self.universe.add_client()
        self.universe.add_worker()
        await asyncio.sleep(2.0)

    def submit(self, count: int) -> None:
        """Have jobs run."""
        for _ in range(count):
            name = f"/job{len(self.told)}"
            self.told[name] = 0
            spec = JobSpec(program=name, layers=(LAYERS[0],))

            def take(outcome: Outcome, name: str = name) -> None:
                self.told[name] += 1
                self.outcomes.append(outcome)

            self.universe.clients[0].session.submit(Submission(spec, take))

    async def attack(self, role: Role, speech: list[Said]) -> None:
        """Let somebody come, speak and go."""
        link = Link(self.universe.dice, self.universe._accept)
        main = Hostile(role)
        await link.attach(main)  # type: ignore[arg-type]  # It is as good as a connection.
        if role is Role.WORKER:
            # It says so at once, so that it is given some of the jobs.
            await asyncio.sleep(0.1)
            main.say(JOIN)
            await asyncio.sleep(0.1)
        self.submit(3)
        await asyncio.sleep(1.0)

        async def open_way(way: str) -> Hostile:
            second = Hostile(Role.BLOBS if way == "blobs" else role, main.token)
            await link.attach(second)  # type: ignore[arg-type]
            await asyncio.sleep(0.1)
            return second

        await harangue(speech, main, open_way)

    async def served(self) -> None:
        """Wait until every honest job has been told, once."""
        self.submit(2)
        # An operator may have drained him; another one comes.
        self.universe.add_worker()
        end = self.universe.loop.time() + SERVED_S_MAX
        while not all(self.told.values()):
            assert self.universe.loop.time() < end, f"told {self.told}"
            await asyncio.sleep(1.0)
        self.universe.check()
        assert set(self.told.values()) == {1}
        assert self.universe.clients[0].session.failure is None


async def _live(role: Role, speech: list[Said]) -> Scene:
    scene = Scene()
    await scene.start()
    await scene.attack(role, speech)
    await scene.served()
    return scene


def _served_despite(role: Role, speech: list[Said]) -> Scene:
    return outside_of_time(lambda: _live(role, speech))


@within_budget
@given(said(SAID[Role.CLIENT]))
def test_a_client_harms_no_other(speech: list[Said]) -> None:
    scene = _served_despite(Role.CLIENT, speech)
    assert all(isinstance(outcome, Exited) for outcome in scene.outcomes), scene.outcomes


@within_budget
@given(said(SAID[Role.WORKER]))
def test_a_worker_harms_no_other(speech: list[Said]) -> None:
    _served_despite(Role.WORKER, speech)


@within_budget
@given(st.sampled_from([Role.ADMIN, Role.JOIN]), said([*SAID[Role.ADMIN], *SAID[Role.JOIN]]))
def test_an_operator_or_a_newcomer_harms_no_other(role: Role, speech: list[Said]) -> None:
    _served_despite(role, speech)
