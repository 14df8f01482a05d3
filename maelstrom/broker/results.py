"""Remember how jobs ended, so that an equal job need not run again, whoever submits it.

Rules of this file:
1. What is kept is what a worker reported, under the digest of the job's whole spec: the same digest
   means the same world. A client cannot put anything in; it only says that a job of its own may be
   kept, which it does not when it tries a case once more.
2. The worker says whether an outcome is worth keeping: the program exited with 0, and the spec sees
   nothing of the host.
3. What was used longest ago goes when there is more than RESULTS_BYTES_MAX.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable

from maelstrom.broker.ledger import Ledger
from maelstrom.broker.misses import Misses

RESULTS_BYTES_MAX = 128 << 20
RESULT_BYTES_MAX = 1 << 20
_OVERHEAD_BYTES = 200


def key_of(spec: bytes) -> bytes:
    """Return what an encoded spec is known by."""
    return hashlib.sha256(spec).digest()


class Results:
    """The outcomes, by the digests of their specs; changes go into the ledger."""

    def __init__(self, ledger: Ledger, kept: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._ledger = ledger
        self._outcomes: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        self.hits = 0
        self.misses = 0
        self._reasons = Misses()
        for key, outcome in kept:
            self._add(key, outcome)

    def __len__(self) -> int:
        return len(self._outcomes)

    def find(self, spec: bytes, owner: str = "") -> bytes | str:
        """Return the outcome of an equal job, or else say for a client why there is none."""
        key = key_of(spec)
        outcome = self._outcomes.get(key)
        if outcome is None:
            self.misses += 1
            return self._reasons.why(owner, spec, key)
        self.hits += 1
        self._outcomes.move_to_end(key)
        return outcome

    def keep(self, spec: bytes, outcome: bytes) -> None:
        """Remember the outcome of a job."""
        if len(outcome) > RESULT_BYTES_MAX:
            return
        key = key_of(spec)
        self._ledger.keep(key, outcome)
        self._add(key, outcome)

    def _add(self, key: bytes, outcome: bytes) -> None:
        old = self._outcomes.pop(key, None)
        if old is not None:
            self._bytes -= _size(old)
        self._outcomes[key] = outcome
        self._bytes += _size(outcome)
        while self._bytes > RESULTS_BYTES_MAX:
            oldest, gone = self._outcomes.popitem(last=False)
            self._bytes -= _size(gone)
            self._ledger.keep(oldest, None)
            self._reasons.evict(oldest)


def _size(outcome: bytes) -> int:
    return len(outcome) + _OVERHEAD_BYTES
