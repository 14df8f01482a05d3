"""Real daemons in a storm from a seed: first nothing bad happens, then everything good does."""

import asyncio
import os
import subprocess
import sys

import pytest

from maelstrom.model.outcome import InfrastructureFault
from tests.sim.loop import outside_of_time
from tests.sim.universe import ClientMember, Universe, WorkerMember
from tests.support.cluster import ROOT

# A life of daemons costs several times one of the cores alone.
SEEDS = range(20)
STEPS = 120
CALM_S_MAX = 400.0


async def storm(universe: Universe) -> None:
    """Let many things happen, good and bad."""
    dice = universe.dice
    for _ in range(STEPS):
        await asyncio.sleep(dice.expovariate(3.0))
        clients = [client for client in universe.clients if not client.is_gone]
        workers = [worker for worker in universe.workers if not worker.is_gone]
        luck = dice.random()
        if luck < 0.35:
            universe.submit(dice.choice(clients))
        elif luck < 0.39:
            universe.cancel(dice.choice(clients))
        elif luck < 0.43:
            universe.add_worker()
        elif luck < 0.46 and len(workers) > 1:
            universe.kill_worker(dice.choice(workers))
        elif luck < 0.48 and len(workers) > 1:
            universe.drain_worker(dice.choice(workers))
        elif luck < 0.49:
            universe.add_client()
        elif luck < 0.50 and len(clients) > 1:
            universe.kill_client(dice.choice(clients))
        elif luck < 0.58:
            break_link(universe, dice.choice([*workers, *clients]))
        elif luck < 0.63:
            if luck < 0.61:
                universe.kill_broker()
            else:
                await universe.drain_broker()
            await asyncio.sleep(dice.expovariate(0.5))
            await universe.start_broker()
        universe.check()


def break_link(universe: Universe, member: WorkerMember | ClientMember) -> None:
    """Cut a link, or hold it up, for a while."""
    link, dice = member.link, universe.dice
    seconds = dice.choice([0.0, 0.2, 1.0, 5.0, 15.0, 60.0]) * (0.5 + dice.random())
    if dice.random() < 0.4:
        universe.note("link held", seconds)
        link.is_held = True
    else:
        universe.note("link cut", seconds)
        link.is_cut = True
        link.break_all()
    if not member.is_gone:
        universe.loop.call_later(seconds, lambda: None if member.is_gone else link.mend())


async def calm(universe: Universe) -> None:
    """Mend everything, and let all that was begun end."""
    universe.note("calm")
    universe.fault_share = 0.0
    members = [*universe.workers, *universe.clients]
    for member in members:
        if not member.is_gone:
            member.link.mend()
    universe.add_worker()
    end = universe.loop.time() + CALM_S_MAX
    clients = [client for client in universe.clients if not client.is_gone]
    while any(len(client.told) < len(client.numbers) for client in clients):
        assert universe.loop.time() < end, "every job of a living client is told in time"
        await asyncio.sleep(1.0)
        universe.check()
    # Long enough for the broker to forget those who are gone, and for what it said to be heard.
    await asyncio.sleep(130.0)
    universe.check()
    assert universe.broker is not None
    assert not universe.broker.jobs, "the broker keeps nothing that is over"
    assert not any(worker.pool.running for worker in universe.workers if not worker.is_gone)
    rows = universe._database.execute("SELECT client, number FROM jobs").fetchall()
    assert not rows, "the journal keeps nothing that is over"
    assert not universe.broker.outputs._kept, "no outputs are kept for what is over"


async def live(seed: int) -> Universe:
    """Play a whole life."""
    universe = Universe(seed)
    await universe.start_broker()
    universe.add_client()
    universe.add_worker()
    await asyncio.sleep(5.0)
    await storm(universe)
    await calm(universe)
    return universe


def play(seed: int) -> Universe:
    """Play it outside of time."""
    return outside_of_time(lambda: live(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_job_of_a_living_client_is_told_once(seed: int) -> None:
    try:
        play(seed)
    except AssertionError as error:
        again = f"to see it again: python -m tests.sim --seed {seed}"
        raise AssertionError(f"{error}; {again}") from error


def test_the_same_seed_has_the_same_history() -> None:
    assert play(3).trace == play(3).trace
    assert play(3).trace != play(4).trace


def test_another_process_sees_the_same_history() -> None:
    """Nothing hangs on the order of a set, on addresses or on what was played before."""

    def traced(hash_seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "tests.sim", "--trace", "5"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    first = traced("1")
    assert first.splitlines()[-1] == play(5).trace[-1]
    assert first == traced("2")


def test_the_storm_reaches_what_it_is_for() -> None:
    universes = [play(seed) for seed in range(6)]
    lines = [line for universe in universes for line in universe.trace]
    for word in (
        "broker killed",
        "broker drains",
        "worker killed",
        "worker drains",
        "client killed",
        "link cut",
        "link held",
    ):
        assert any(word in line for line in lines), word
    disks = [disk for u in universes for disk in u.disks]
    assert sum(disk.resumed for disk in disks), "contents were cut, and went on"
    told = [o for u in universes for c in u.clients for o in c.told.values()]
    assert sum(isinstance(outcome, InfrastructureFault) for outcome in told) < len(told) / 4
