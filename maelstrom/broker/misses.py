"""Say for a person why no equal job's outcome was there.

Rules of this file:
1. A job is held against the last of its name that the same client asked for: nobody hears of
   another one's jobs. Its name is its program and its arguments.
2. Only what is looked up in vain costs anything, which is what is going to be run; and what is
   known of it is a few hashes.
3. What was asked for longest ago is forgotten beyond NAMES_MAX; a restart forgets all.
"""

from collections import OrderedDict
from functools import lru_cache
from typing import NamedTuple

import msgspec

NAMES_MAX = 20_000
EVICTED_MAX = 20_000
LAYERS_MAX = 32
"""Of so many it is told which have changed, of the rest whether any has."""
LAYERS_BYTES_MAX = 64 << 10
"""More than as many layers take as a job may have."""

FIRST = "the broker had no such job of this client since it started"
EVICTED = "the broker has evicted the outcome of an equal job"
UNKEPT = "an equal job was given to the broker, and it has not passed, or was too large to be kept"
ENVIRONMENT = "its environment is another than when the broker had it last"
ELSE = "its limits, or something else that it is given, are others than when the broker had it last"
NOT_TAKEN = "the broker has more outcomes for this client than it takes"
OUTPUTS = "the broker has evicted outputs of an equal job"


class _Spec(msgspec.Struct):
    """What is looked at of an encoded spec; the rest of it is passed over."""

    program: msgspec.Raw
    arguments: msgspec.Raw
    environment: msgspec.Raw
    layers: msgspec.Raw


class _Seen(NamedTuple):
    spec: bytes
    environment: int
    layers: tuple[int, ...]


_read = msgspec.msgpack.Decoder(_Spec).decode
_read_layers = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class Misses:
    """What was asked for, and what is not kept any more."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, _Seen] = OrderedDict()
        self._evicted: OrderedDict[bytes, None] = OrderedDict()

    def evict(self, key: bytes) -> None:
        """Note that an outcome is not kept any more."""
        self._evicted[key] = None
        if len(self._evicted) > EVICTED_MAX:
            self._evicted.popitem(last=False)

    def why(self, owner: str, spec: bytes, key: bytes) -> str:
        """Say why a spec, known by this key, was not found; from now on it has been asked for."""
        try:
            found = _read(spec)
            layers = _hashes(found.layers)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ""  # Its worker will say what is wrong with it.
        name = hash((owner, bytes(found.program), bytes(found.arguments)))
        now = _Seen(key, hash(bytes(found.environment)), layers)
        before = self._seen.pop(name, None)
        self._seen[name] = now
        if len(self._seen) > NAMES_MAX:
            self._seen.popitem(last=False)
        if key in self._evicted:
            del self._evicted[key]
            return EVICTED
        return FIRST if before is None else _difference(before, now)


def _hashes(encoded: msgspec.Raw) -> tuple[int, ...]:
    if len(encoded) > LAYERS_BYTES_MAX:
        return ()
    layers = [hash(bytes(layer)) for layer in _read_layers(encoded)]
    if len(layers) > LAYERS_MAX:
        layers[LAYERS_MAX - 1 :] = [hash(tuple(layers[LAYERS_MAX - 1 :]))]
    return tuple(layers)


def _difference(before: _Seen, now: _Seen) -> str:
    if before.spec == now.spec:
        return UNKEPT
    if before.environment != now.environment:
        return ENVIRONMENT
    if before.layers == now.layers:
        return ELSE
    if len(before.layers) != len(now.layers):
        return "it has more or fewer layers than when the broker had it last"
    pairs = enumerate(zip(before.layers, now.layers, strict=True), 1)
    return _changed(tuple(n for n, (old, new) in pairs if old != new), len(now.layers))


@lru_cache(maxsize=1000)
def _changed(others: tuple[int, ...], count: int) -> str:
    """Say which layers changed; for many jobs it is the same, and kept once."""
    which = f"layer {others[0]}" if len(others) == 1 else f"layers {', '.join(map(str, others))}"
    return f"{which} of {count}, from the lowest, changed since the broker had it last"
