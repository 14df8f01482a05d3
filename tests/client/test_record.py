"""The record: what is learnt in one run is known in the next, and nothing can break it."""

from pathlib import Path

from maelstrom.client.events import EndTarget, KeepListing, KeepResult
from maelstrom.client.history import History
from maelstrom.client.record import LISTINGS_MAX, Record
from maelstrom.model.case import Case, CaseResult, Status, Verdict


def learn(path: Path, world: str = "plain") -> None:
    record = Record(path, world=world)
    record.keep(KeepListing("t", "d0", (Case("a"), Case("b", is_disabled=True))))
    record.keep(KeepResult("t", "a", "d1", is_good=True, duration_s=2.0))
    record.keep(KeepResult("t", "b", "d2", is_good=False, duration_s=3.0))
    record.close()


def test_what_was_learnt_is_known(tmp_path: Path) -> None:
    path = tmp_path / "state/record.sqlite"
    learn(path)
    record = Record(path, world="plain")
    assert record.history("t") == History(
        listings={"d0": (Case("a"), Case("b", is_disabled=True))},
        passes=frozenset({"d1"}),
        durations={"a": 2.0, "b": 3.0},
        failed=frozenset({"b"}),
    )
    assert record.history("u") == History()
    record.close()
    other = Record(path, world="container")
    assert other.history("t") == History()
    other.close()


def test_the_cases_of_a_target_are_known_once_it_has_passed(tmp_path: Path) -> None:
    record = Record(tmp_path / "r", world="plain")
    skip = CaseResult("t", "a", Verdict(Status.SKIPPED, "not now"), 2.0, is_cached=True)
    assert record.results("t") == ()
    record.end(EndTarget("t", results=(skip,)))
    record.end(EndTarget("t", "1 of 1 case failed"))
    record.close()
    record = Record(tmp_path / "r", world="plain")
    assert record.results("t") == (skip,)
    assert record.results("u") == ()
    record.close()


def test_a_later_result_replaces_an_earlier_one(tmp_path: Path) -> None:
    record = Record(tmp_path / "r", world="plain")
    record.keep(KeepResult("t", "a", "d1", is_good=True, duration_s=2.0))
    record.keep(KeepResult("t", "a", "d2", is_good=False, duration_s=1.0))
    assert record.history("t").passes == frozenset()
    assert record.history("t").failed == {"a"}
    record.close()


def test_old_listings_are_forgotten(tmp_path: Path) -> None:
    record = Record(tmp_path / "r", world="plain")
    for number in range(LISTINGS_MAX + 5):
        record.keep(KeepListing("t", f"d{number}", (Case("a"),)))
    kept = record.history("t").listings
    assert sorted(kept) == sorted(f"d{n}" for n in range(5, LISTINGS_MAX + 5))
    record.close()


def test_a_damaged_record_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(b"no database at all" * 100)
    learn(path)
    record = Record(path, world="plain")
    assert record.history("t").failed == {"b"}
    record.close()


def test_without_a_place_to_write_it_forgets(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    learn(tmp_path / "file/record")
    record = Record(tmp_path / "file/record", world="plain")
    assert record.history("t") == History()
    record.close()


def test_a_name_that_cannot_be_stored_harms_nobody(tmp_path: Path) -> None:
    record = Record(tmp_path / "r", world="plain")
    record.keep(KeepResult("t", "\udcff", "d", is_good=True, duration_s=1.0))
    record.keep(KeepListing("t", "d", (Case("\udcff"),)))
    record.keep(KeepResult("t", "a", "d1", is_good=True, duration_s=1.0))
    assert record.history("t").passes == {"d1"}
    record.close()
