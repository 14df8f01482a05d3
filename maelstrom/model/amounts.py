"""What a worker has and a job takes, by name: slots, and whatever else a host was said to have."""

import re

Amounts = tuple[tuple[str, int], ...]

SLOTS = "slots"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def read_resources(text: str) -> Amounts:
    """Read `gpu=2,scope=1`; raises ValueError with the part that is none."""
    found: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, equals, amount = part.strip().partition("=")
        is_plain = bool(_NAME.fullmatch(name)) and name != SLOTS
        if not equals or not is_plain or not amount.isdecimal() or int(amount) < 1:
            raise ValueError(part)
        found[name] = int(amount)
    return tuple(sorted(found.items()))


def suffice(slots: int, has: Amounts, wanted: Amounts) -> bool:
    """Whether a worker could ever run a job that wants so much; a job takes a slot at least."""
    there = {SLOTS: slots, **dict(has)}
    return all(amount <= there.get(name, 0) for name, amount in wanted)
