"""The live display on a real pseudo-terminal: what stands there when all is over."""

import os
import re
import signal
import subprocess
import sys

from tests.support import terminal

PROLOGUE = """
import os, sys, time
from maelstrom.report import reporter
from maelstrom.report.events import *
from tests.support.events import everything, long_run
report = reporter("auto", sys.stdout)
events = list(long_run())
"""
FOREIGN = """
for i, event in enumerate(events):
    report.handle(event)
    if i % 20 == 0: print(f"cc -c file{i}.c")
    if i % 100 == 0: os.system("printf 'warning '; echo of the compiler >&2")
    time.sleep(0.002)
print("done building")
report.close()
"""


def test_failures_and_what_others_print_stay_and_the_picture_goes() -> None:
    written = terminal.run(PROLOGUE + FOREIGN)
    lines = terminal.screen(written)
    told = "\n".join(lines)
    for i in range(0, 400, 20):
        assert f"cc -c file{i}.c" in lines
    assert lines.count("warning of the compiler") == 5
    assert told.count("        FAIL [  0.010s]") == 11
    assert "189 passed, 11 failed" in told
    assert "Running" not in told
    assert "━" not in told
    assert "━" in written
    assert lines[-2:] == ["done building", ""]


def test_the_picture_has_a_bar_the_running_targets_and_a_long_case() -> None:
    written = terminal.run(
        PROLOGUE
        + """
for event in events[:40]: report.handle(event)
report.handle(CaseStarted("build/slow", "a\\x1b[2Jb"))
time.sleep(1.4)
os._exit(0)
"""
    )
    lines = terminal.screen(written)
    assert re.fullmatch(r" +1s build/slow  a\\x1b\[2Jb", lines[-3])
    assert lines[-2] == "     Running build/slow"
    assert re.fullmatch(r" +00:01 +\S ━+╸?╺?━+ 19/50 1 failed", lines[-1])


def test_a_narrow_terminal_gets_a_narrow_picture() -> None:
    written = terminal.run(
        PROLOGUE + "for event in events[:40]: report.handle(event)\ntime.sleep(0.3)\nos._exit(0)",
        columns=20,
    )
    picture = written.rpartition("\x1b[?25l")[2]
    assert max(len(line) for line in terminal.screen(picture)[-1:]) <= 19


def test_a_terminal_that_becomes_narrower_keeps_its_lines() -> None:
    written = terminal.run(
        PROLOGUE + "print('READY', flush=True)\n" + FOREIGN.replace("0.002", "0.005"),
        columns=120,
        meanwhile=lambda _, master: terminal.resize(master, 60),
    )
    told = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert "189 passed, 11 failed" in told
    assert told.count("        FAIL [  0.010s]") == 11


def test_an_exception_and_an_interrupt_give_the_terminal_back() -> None:
    for script, meanwhile in (
        ("raise ValueError('boom')", None),
        (
            "time.sleep(0.3)\nprint('READY')\ntime.sleep(10)",
            lambda process, _: os.kill(process, signal.SIGINT),
        ),
    ):
        written = terminal.run(
            PROLOGUE + "for event in events[:40]: report.handle(event)\n" + script,
            meanwhile=meanwhile,
        )
        told = "\n".join(terminal.screen(written))
        assert "Traceback" in told
        assert "━" not in told
        assert written.rfind("\x1b[?25h") >= written.rfind("\x1b[?25l")


def test_much_output_at_the_end_does_not_block_the_close() -> None:
    written = terminal.run(
        PROLOGUE
        + """
report.handle(events[0])
for i in range(5000): print("row", i)
for event in events[1:]: report.handle(event)
"""
    )
    assert "row 4999" in terminal.screen(written)


def test_what_comes_before_the_run_or_after_it_is_not_lost() -> None:
    written = terminal.run(
        PROLOGUE
        + """
report.handle(Note("early"))
for event in events: report.handle(event)
report.handle(Note("late"))
report.close()
"""
    )
    lines = terminal.screen(written)
    assert "maelstrom: early" in lines
    assert lines[-2:] == ["maelstrom: late", ""]
    written = terminal.run(PROLOGUE + "report.handle(Note('only'))\nreport.close()")
    assert terminal.screen(written) == ["maelstrom: only", ""]


def test_a_host_without_pseudo_terminals_still_gets_its_report() -> None:
    script = """
def refuse(): raise OSError("no pseudo-terminals")
os.openpty = refuse
"""
    assert "Summary" in terminal.run(PROLOGUE + script + FOREIGN)


def test_rich_is_loaded_only_for_the_live_display() -> None:
    script = (
        "import sys, io; from maelstrom.report import reporter; reporter('auto', io.StringIO());"
        "print([m for m in sys.modules if m == 'rich' or m.startswith(('rich.', 'xml.'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        cwd=terminal.ROOT,
    )  # fmt: skip
    assert done.stdout == "[]\n"
