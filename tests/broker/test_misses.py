"""Why the broker had no equal job's outcome."""

import pytest

from maelstrom.broker import misses, results
from maelstrom.broker.ledger import Ledger
from maelstrom.broker.results import Results
from maelstrom.model.digest import Digest
from maelstrom.model.spec import JobSpec, Limits

L1, L2, L3 = (Digest.of(name) for name in (b"1", b"2", b"3"))
USUAL: dict[str, object] = {
    "program": "p",
    "arguments": ("case",),
    "environment": (("HOME", "/"),),
    "layers": (L1, L2, L3),
}
BEFORE: dict[str, tuple[dict[str, object], str]] = {
    "nothing": ({"program": "q"}, misses.FIRST),
    "the same for another case": ({"arguments": ("other",)}, misses.FIRST),
    "an equal one": ({}, misses.UNKEPT),
    "another environment": ({"environment": ()}, misses.ENVIRONMENT),
    "another limit": ({"limits": Limits(open_files_max=64)}, misses.ELSE),
    "another timeout": ({"timeout_s": 3.0}, misses.ELSE),
    "more layers": (
        {"layers": (L1, L2, L3, L1)},
        "it has more or fewer layers than when the broker had it last",
    ),
    "another layer": (
        {"layers": (L1, L1, L3)},
        "layer 2 of 3, from the lowest, changed since the broker had it last",
    ),
    "other layers": (
        {"layers": (L3, L2, L1)},
        "layers 1, 3 of 3, from the lowest, changed since the broker had it last",
    ),
}


def spec(**changes: object) -> bytes:
    return JobSpec(**{**USUAL, **changes}).encode()  # type: ignore[arg-type]  # A table of fields.


@pytest.mark.parametrize("name", BEFORE)
def test_a_job_is_held_against_the_last_of_its_name(name: str) -> None:
    changes, expected = BEFORE[name]
    kept = Results(Ledger())
    assert kept.find(spec(**changes), "ann") == misses.FIRST
    assert kept.find(spec(), "ann") == expected


def test_nobody_hears_of_the_jobs_of_others() -> None:
    kept = Results(Ledger())
    kept.find(spec(environment=()), "ann")
    assert kept.find(spec(), "bob") == misses.FIRST


def test_what_was_evicted_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Results(Ledger())
    kept.keep(spec(), b"passed")
    assert kept.find(spec(), "ann") == b"passed"
    monkeypatch.setattr(results, "RESULTS_BYTES_MAX", 1000)
    kept.keep(spec(program="large"), b"x" * 700)
    found = [kept.find(spec(), "bob") for _ in range(2)]
    assert found == [misses.EVICTED, misses.UNKEPT]


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misses, "NAMES_MAX", 2)
    monkeypatch.setattr(misses, "EVICTED_MAX", 1)
    known = misses.Misses()
    for name in "abc":
        known.evict(name.encode())
        assert known.why("ann", spec(program=name), b"1") == misses.FIRST
    told = [known.why("ann", spec(program=name), name.encode()) for name in "cba"]
    assert told == [misses.EVICTED, misses.ELSE, misses.FIRST]


def test_of_many_layers_the_rest_counts_as_one() -> None:
    kept = Results(Ledger())
    many = (L1,) * 200
    kept.find(spec(layers=many), "ann")
    told = kept.find(spec(layers=(*many[:-1], L2)), "ann")
    assert told == "layer 32 of 32, from the lowest, changed since the broker had it last"


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\xc1",
        b"\x80",
        b"\x91" * 100_000,
        b"\x81\xa7program" + b"\x91" * 100_000,
        spec()[:-5],
        spec(layers=()).replace(b"\xa6layers\x90", b"\xa6layers\x05"),
    ],
)
def test_what_is_no_spec_has_no_reason(junk: bytes) -> None:
    assert Results(Ledger()).find(junk, "ann") == ""


def test_a_spec_of_too_many_layers_costs_no_memory() -> None:
    encoded = spec(layers=())
    count = 1_000_000
    huge = encoded.replace(
        b"\xa6layers\x90", b"\xa6layers\xdd" + count.to_bytes(4, "big") + bytes(count)
    )
    assert huge != encoded
    kept = Results(Ledger())
    assert kept.find(huge, "ann") == misses.FIRST
    assert kept.find(encoded, "ann") == misses.ELSE
