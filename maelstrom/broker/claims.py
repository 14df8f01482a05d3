"""Refuse what a client or a worker says of itself and its jobs that cannot be true.

The cores, and SQLite, rely on these numbers; a client of ours never sends others, but a client may
be anything.
"""

import math

from maelstrom.errors import SpecError
from maelstrom.model.spec import LAYERS_MAX
from maelstrom.wire.messages import Join, Submit

NUMBER_MAX = (1 << 63) - 1
PRIORITY_MAX = 1_000_000
AMOUNT_MAX = 1 << 40
SLOTS_MAX = 4096
"""Of one worker: more than any host has processors."""


def check_job(submit: Submit) -> None:
    """Raise SpecError for a job that cannot be."""
    number = submit.number
    if not 1 <= number <= NUMBER_MAX:
        raise SpecError(f"a job cannot have the number {number}")
    if abs(submit.priority) > PRIORITY_MAX:
        raise SpecError(f"job {number} cannot have the priority {submit.priority}")
    if not 0 <= submit.estimate_s < math.inf:
        raise SpecError(f"job {number} cannot be thought to take {submit.estimate_s} s")
    if len(submit.layers) > LAYERS_MAX:
        raise SpecError(f"job {number} has {len(submit.layers)} layers; the limit is {LAYERS_MAX}")
    if submit.resources:
        _check_resources(f"job {number}", submit.resources)


def check_worker(join: Join) -> None:
    """Raise SpecError for a worker that cannot be."""
    if join.slots < 1:
        raise SpecError("a worker without slots")
    if join.slots > SLOTS_MAX:
        raise SpecError(f"a worker of {join.slots} slots; the limit is {SLOTS_MAX}")
    _check_resources("a worker", join.resources)


def _check_resources(whose: str, resources: tuple[tuple[str, int], ...]) -> None:
    if len(dict(resources)) != len(resources):
        raise SpecError(f"{whose} has a resource twice")
    for name, amount in resources:
        if not name or not 1 <= amount <= AMOUNT_MAX:
            raise SpecError(f"{whose} cannot have {amount} of `{name[:100]}`")
