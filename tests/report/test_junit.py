"""The JUnit file, read back with two readers of others."""

import io
import stat
import xml.etree.ElementTree as ET
from pathlib import Path

import junitparser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maelstrom.errors import InfrastructureError, UserError
from maelstrom.model.case import Status
from maelstrom.report import reporter
from maelstrom.report.events import Event
from tests.support.events import Story, everything


def written(events: list[Event], path: Path) -> junitparser.JUnitXml:
    report = reporter("quiet", io.StringIO(), junit=str(path))
    for event in events:
        report.handle(event)
    report.close()
    report.close()
    ET.parse(path)
    read = junitparser.JUnitXml.fromfile(str(path))
    assert isinstance(read, junitparser.JUnitXml)
    return read


def test_each_target_is_a_suite_and_each_case_a_testcase(tmp_path: Path) -> None:
    read = written(everything(), tmp_path / "report.xml")
    suites = {suite.name: [case.name for case in suite] for suite in read}
    assert suites == {
        "build/clamp": ["low", "high", "slow", "off", "crash", "hang"],
        "words": ["old", "new", "windows", "lost", "gone"],
        "parser": ["parser"],
    }
    assert (read.tests, read.failures, read.errors, read.skipped) == (12, 3, 3, 3)
    assert read.time == pytest.approx(3.21)


def test_the_statuses_are_told_apart(tmp_path: Path) -> None:
    read = written(everything(), tmp_path / "report.xml")
    results = {
        case.name: [(type(r).__name__, r.type, r.message) for r in case.result]
        for suite in read
        for case in suite
    }
    missing = "library `libfoo.so.1` of `build/parser` was not found"
    assert results == {
        "low": [],
        "high": [("Failure", "failed", "clamp.c:7: expected 9, got 10")],
        "slow": [],
        "off": [("Skipped", "disabled", "disabled in the source")],
        "crash": [("Failure", "crashed", "crashed with SIGSEGV")],
        "hang": [("Failure", "timed out", "timed out after 2.0 s")],
        "old": [],
        "new": [("Error", "execution error", "no program `word` in the container")],
        "windows": [("Skipped", "skipped", "only on Windows")],
        "lost": [("Error", "infrastructure error", "the worker went away")],
        "gone": [("Skipped", "cancelled", "cancelled")],
        "parser": [("Error", "execution error", missing)],
    }


def test_output_costs_and_place_are_in_the_file(tmp_path: Path) -> None:
    written(everything(), tmp_path / "report.xml")
    root = ET.parse(tmp_path / "report.xml").getroot()
    high = root.find(".//testcase[@name='high']")
    assert high is not None
    assert (high.get("classname"), high.get("time")) == ("build/clamp", "0.012000")
    assert "clamp.c:7: Failure\n  expected: 9" in (high.findtext("system-out") or "")
    assert high.findtext("system-err") == "warning: off by one?\n"
    properties = {p.get("name"): p.get("value") for p in high.iter("property")}
    assert properties == {
        "worker": "ann's laptop",
        "cached": "false",
        "memory_peak_bytes": str(4 << 20),
        "cpu_s": "0.006",
    }
    old = root.find(".//testcase[@name='old']/properties/property[@name='cached']")
    assert old is not None
    assert old.get("value") == "true"


def test_cases_that_were_never_run_are_skipped(tmp_path: Path) -> None:
    story = Story()
    story.target("words", "one", "two")
    story.verdict("words", "two")
    [suite] = written(story.end(interrupted=True), tmp_path / "report.xml")
    assert [(case.name, case.is_skipped) for case in suite] == [("one", True), ("two", False)]


ANY = st.text(st.characters(categories=None), max_size=40)


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(target=ANY, case=ANY, reason=ANY, output=ANY, status=st.sampled_from(Status))
def test_no_text_breaks_the_file(
    tmp_path: Path, target: str, case: str, reason: str, output: str, status: Status
) -> None:
    story = Story(where=reason)
    story.target(target, case)
    story.verdict(target, case, status, reason, stdout=output, stderr=output)
    story.broken(target, output, reason)
    [suite] = written(story.end(), tmp_path / "report.xml")
    assert len(list(suite)) == 2


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("missing/report.xml", "for the JUnit file does not exist"),
        (".", "is a directory"),
    ],
)
def test_a_file_that_could_never_be_written_is_told_at_once(
    tmp_path: Path, path: str, told: str
) -> None:
    with pytest.raises(UserError, match=told):
        reporter("simple", io.StringIO(), junit=str(tmp_path / path))


def test_a_directory_that_vanishes_is_told_at_the_end(tmp_path: Path) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()
    report = reporter("quiet", io.StringIO(), junit=str(directory / "report.xml"))
    directory.rmdir()
    with pytest.raises(InfrastructureError, match=r"cannot write the JUnit file .* No such file"):
        report.close()


def test_the_file_is_whole_and_readable_by_all(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text("old")
    written(everything(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["report.xml"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o044 == 0o044


def test_an_unknown_user_interface_is_told_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"unknown user interface `loud`\nhint: .*simple"):
        reporter("loud", io.StringIO())
