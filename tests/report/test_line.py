"""The report of one line per case: events in, exact text out."""

import io
import os

import pytest

from maelstrom.model.case import Status
from maelstrom.report import reporter
from maelstrom.report.events import Event
from tests.support.events import Story, everything

SUMMARY_OF_EVERYTHING = """\
------------------------------------------------------------
     Summary 11 cases of 3 targets in 3.210 s, stand-alone, 2 slots
             3 passed (1 from the record), 1 failed, 1 timed out, 1 crashed, 1 skipped, \
1 disabled, 1 execution error, 1 infrastructure error, 1 cancelled, 1 target could not be tested
     Slowest  2.000 s  build/clamp  hang
              1.500 s  build/clamp  slow
    Failures
       ERROR parser: library `libfoo.so.1` of `build/parser` was not found
        FAIL build/clamp  high: clamp.c:7: expected 9, got 10
       CRASH build/clamp  crash: crashed with SIGSEGV
     TIMEOUT build/clamp  hang: timed out after 2.0 s
       ERROR words  new: no program `word` in the container
 INFRA ERROR words  lost: the worker went away
   Run again scons parser
             scons clamp
             scons words
"""
EVERYTHING = (
    """\
        PASS [  0.012s] build/clamp  low
        FAIL [  0.012s] build/clamp  high
    clamp.c:7: expected 9, got 10
    --- stdout ---
    checking 10
    clamp.c:7: Failure
      expected: 9
      got: 10
    --- stderr ---
    warning: off by one?

        PASS [  1.500s] build/clamp  slow
    DISABLED [        ] build/clamp  off  (disabled in the source)
       CRASH [  0.012s] build/clamp  crash
    crashed with SIGSEGV

     TIMEOUT [  2.000s] build/clamp  hang
    timed out after 2.0 s

        PASS [  record] words  old
        SKIP [  0.012s] words  windows  (only on Windows)
       ERROR [  0.012s] words  new
    no program `word` in the container

 INFRA ERROR [  0.012s] words  lost
    the worker went away

       ERROR parser: library `libfoo.so.1` of `build/parser` was not found
    hint: build it, or name its directory with LIBPATH
maelstrom: the record of `.maelstrom` was made anew
"""
    + SUMMARY_OF_EVERYTHING
)


def told(events: list[Event], ui: str = "simple", **options: object) -> str:
    stream = io.StringIO()
    report = reporter(ui, stream, **options)  # type: ignore[arg-type]
    for event in events:
        report.handle(event)
    report.close()
    return stream.getvalue()


def failure(stdout: str, case: str = "case") -> str:
    story = Story()
    story.target("target", case)
    story.verdict("target", case, Status.FAILED, stdout=stdout)
    return told(story.events)


def test_each_kind_of_verdict_has_its_line() -> None:
    assert told(everything()) == EVERYTHING


def test_the_quiet_report_has_only_failures_and_the_summary() -> None:
    quiet = told(everything(), "quiet")
    assert quiet.endswith(SUMMARY_OF_EVERYTHING)
    for word in (" PASS ", " SKIP ", " DISABLED ", "maelstrom: "):
        assert word not in quiet
    assert quiet.count("clamp.c:7: Failure") == 1


def test_a_green_run_ends_without_a_list_of_failures() -> None:
    story = Story("")
    story.target("words", "one")
    story.verdict("words", "one")
    assert told(story.end(61.0)) == (
        "        PASS [  0.012s] words  one\n"
        + "-" * 60
        + "\n     Summary 1 case of 1 target in 1 min 01 s\n             1 passed\n"
    )


def test_an_interrupted_run_tells_how_much_was_not_run() -> None:
    story = Story("")
    story.target("words", "one", "two", "three")
    story.verdict("words", "one")
    story.verdict("words", "two", Status.CANCELLED, "cancelled")
    report = told(story.end(1.0, interrupted=True))
    assert "2 cases of 1 target in 1.000 s; interrupted, 1 not run\n" in report
    assert "1 passed, 1 cancelled" in report
    assert "two" not in report
    assert "Failures" not in report


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[2J\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link", "link"),
        ("bell\x07", "bell\\x07"),
        ("10%\r50%\r\n.", "10%\n    50%\n    ."),
        ("tab\there", "tab     here"),
        ("open \x1b", "open \\x1b"),
        ("\x9b2Jx", "x"),
        ("right\u202eleft", "right\\u202eleft"),
        ("byte \udcff", "byte \\xff"),
    ],
)
def test_an_output_does_nothing_to_the_terminal(raw: str, shown: str) -> None:
    assert failure(f"{raw}\nend").endswith(f"    --- stdout ---\n    {shown}\n    end\n\n")


def test_a_name_stays_on_its_line() -> None:
    report = failure("", "a\nb\x1b[2J\t\udc80")
    assert report == "        FAIL [  0.012s] target  a\\nb\\x1b[2J\\t\\x80\n"


def test_a_huge_output_is_cut_in_its_middle() -> None:
    report = failure("".join(f"row {i}\n" for i in range(5_000)))
    assert "row 49\n    [... 4800 lines not shown ...]\n    row 4850\n" in report
    assert report.count("\n") < 210
    report = failure("x" * 1_000_000)
    assert "[... 940000 characters not shown ...]" in report
    assert len(report) < 10_000


@pytest.mark.parametrize(
    ("terminal", "environment", "is_coloured"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    terminal: bool, environment: dict[str, str], is_coloured: bool
) -> None:
    report = told(everything(), is_terminal=terminal, environment=environment)
    assert ("\x1b[" in report) is is_coloured
    if not is_coloured:
        assert report == EVERYTHING


def test_a_stream_of_a_narrow_encoding_gets_escapes() -> None:
    raw = io.BytesIO()
    report = reporter("simple", io.TextIOWrapper(raw, encoding="ascii"))
    story = Story()
    story.verdict("target", "größe")
    for event in story.events:
        report.handle(event)
    assert b"gr\\xf6\\xdfe" in raw.getvalue()


def test_a_reader_that_goes_away_does_not_end_the_tests() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    report = reporter("simple", stream)
    for event in everything():
        report.handle(event)
    assert report.summary.exit_status == 3
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_the_list_of_failures_has_an_end() -> None:
    story = Story()
    names = [f"case {i}" for i in range(250)]
    story.target("target", *names)
    for name in names:
        story.verdict("target", name, Status.FAILED)
    summary = told(story.end()).split("Summary")[1]
    assert summary.count("FAIL ") == 200
    assert "... and 50 more" in summary


def test_a_program_that_is_one_case_has_its_name_once() -> None:
    story = Story()
    story.verdict("codec", "codec", Status.FAILED, "exited with status 1")
    assert told(story.end(), "simple").count("codec") == 2
