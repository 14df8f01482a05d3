"""Whole clusters from seeds: first nothing bad ever happens, then everything good does."""

import pytest

from maelstrom.client import router
from maelstrom.model.outcome import InfrastructureFault
from tests.sim.world import Client, World

SEEDS = range(200)
TICKS = 250


def live(seed: int) -> World:
    """Play a stormy life, then a calm one in which all that was begun must end."""
    world = World(seed)
    dice = world.random
    world.add_client()
    world.add_worker()
    for _ in range(TICKS):
        clients = [client for client in world.clients.values() if not client.is_gone]
        workers = [worker for worker in world.workers.values() if not worker.is_gone]
        luck = dice.random()
        if luck < 0.2 and clients:
            world.submit(dice.choice(clients))
        elif luck < 0.22:
            world.add_worker()
        elif luck < 0.24 and workers:
            world.lose_worker(dice.choice(workers))
        elif luck < 0.25:
            world.add_client()
        elif luck < 0.26 and len(clients) > 1:
            world.lose_client(dice.choice(clients))
        elif luck < 0.29 and clients:
            take_back(world, dice.choice(clients))
        else:
            world.tick()
    world.note("calm")
    world.fault_share = 0.0
    world.add_worker()
    world.settle(ticks_max=20_000)
    return world


def take_back(world: World, client: Client) -> None:
    """Let a client take one of its jobs back."""
    if client.submitted:
        number = world.random.choice(list(client.submitted))
        event = router.TakenBack(number, even_running=world.random.random() < 0.5)
        world.route(client, event)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_job_hears_of_its_end_exactly_once(seed: int) -> None:
    again = f"to see it again: python -m tests.sim --seed {seed}"
    try:
        world = live(seed)
    except AssertionError as error:
        raise AssertionError(f"{error}; {again}") from error
    for client in world.clients.values():
        if not client.is_gone:
            assert list(client.told) or not client.submitted, again
            assert sorted(client.told) == sorted(client.submitted), again
    for worker in world.workers.values():
        assert not worker.running, again
    assert all(not jobs for jobs in world.broker_clients.values()), again
    assert all(times <= 1 + 6 + TICKS for times in world.runs.values()), again


def test_the_same_seed_has_the_same_history() -> None:
    assert live(7).trace == live(7).trace
    assert live(7).trace != live(8).trace


def test_the_storm_reaches_what_it_is_for() -> None:
    """A simulator that never loses a worker with jobs proves nothing."""
    worlds = [live(seed) for seed in range(20)]
    lines = [line for world in worlds for line in world.trace]
    for word in ("lost worker", "lost client", "Recall", "Kill", "TellCancelled"):
        assert any(word in line for line in lines), word
    attempts = [line for line in lines if "Assign(" in line and "attempt=1" not in line]
    assert attempts
    told = [outcome for w in worlds for c in w.clients.values() for outcome in c.told.values()]
    good = [outcome for outcome in told if not isinstance(outcome, InfrastructureFault)]
    assert len(good) > len(told) // 2
