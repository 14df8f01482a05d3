"""Give the worker's user identities for its containers, where the inventory wants them. Pure.

The ranges are in /etc/subuid and /etc/subgid, which belong to all users of a host: what others have
is never touched, and ours begins behind all of theirs.
"""

from collections.abc import Iterable, Iterator

from provision import layout
from provision.actions import GrantIdentities, RevokeIdentities
from provision.facts import Facts, Range
from provision.inventory import Host
from provision.plan import Change

COUNT = 65536
FIRST_MIN = 100_000
LAST_MAX = (1 << 32) - 2
_USER = layout.user("worker")


def plan_identities(host: Host, facts: Facts) -> Iterator[Change]:
    """Yield what grants the ranges, or takes them away."""
    if host.worker is None:
        return  # They go with the user.
    has = any(_is_enough(range_) for range_ in _ours(facts.subuids)) and any(
        _is_enough(range_) for range_ in _ours(facts.subgids)
    )
    if host.worker.has_identities and not has:
        first = _free((*facts.subuids, *facts.subgids))
        yield Change(
            GrantIdentities(_USER, first, first + COUNT - 1),
            "its jobs may have several users (`identities = true`), and it has no range for them",
        )


def plan_revocation(host: Host, facts: Facts) -> Iterator[Change]:
    """Yield what takes the ranges away from a worker that is to have none any more."""
    ours = (*_ours(facts.subuids), *_ours(facts.subgids))
    if host.worker is not None and not host.worker.has_identities and ours:
        uids = tuple((range_.first, range_.last) for range_ in _ours(facts.subuids))
        gids = tuple((range_.first, range_.last) for range_ in _ours(facts.subgids))
        yield Change(
            RevokeIdentities(_USER, uids, gids), "the inventory wants its jobs to have one user"
        )


def _ours(ranges: Iterable[Range]) -> list[Range]:
    return [range_ for range_ in ranges if range_.user == _USER]


def _is_enough(range_: Range) -> bool:
    return range_.count >= COUNT - 1


def _free(ranges: Iterable[Range]) -> int:
    """Return where a range can begin that nobody has a part of."""
    first = max([FIRST_MIN, *(range_.last + 1 for range_ in ranges)])
    assert first + COUNT - 1 <= LAST_MAX, "a host with all identities given away"
    return first
