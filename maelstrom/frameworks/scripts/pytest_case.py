"""Collect the cases of a pytest target, or run one of them.

    list|run SEPARATOR '["path", "node id"]' [ARGUMENT...]

Rules of this script:
1. pytest's own report goes nowhere unless pytest itself fails: only what a case did is printed.
2. The finding is one line behind the separator, written to the stdout we were started with,
   whatever the case did to it.
3. The exit status is 0 only for a case that passed or was skipped, or a listing that is whole.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

REASON_LENGTH_MAX = 1000


def known(text: str) -> str:
    """Return text with U+FFFD for what is no UTF-8; case names are compared in this form."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def tell(stdout: int, separator: str, finding: dict[str, Any]) -> None:
    """Write the finding behind the separator."""
    line = f"\n{separator} {known(json.dumps(finding, ensure_ascii=False))}\n".encode()
    while line:
        line = line[os.write(stdout, line) :]


def show(stdout: int, text: str) -> None:
    """Write text of pytest's, whatever characters are in it."""
    content = text.encode("utf-8", "backslashreplace")
    while content:
        content = content[os.write(stdout, content) :]


try:
    import pytest
except ModuleNotFoundError as missing:
    if missing.name != "pytest":
        raise
    ERROR = f"pytest is not installed for {sys.executable}"
    HINT = "install it in the environment of the Python that runs the tests"
    FINDING = {"status": "error", "reason": ERROR, "cases": [], "error": ERROR, "hint": HINT}
    if len(sys.argv) > 2:  # A template tells nothing.
        tell(1, sys.argv[2], FINDING)
    sys.exit(3)


class Quiet:
    """Keep pytest's own report, and what only makes sense for whole runs, out of the way."""

    def __init__(self) -> None:
        self.report = io.StringIO()
        self.writer: Any = None
        self.is_started = False

    def pytest_sessionstart(self) -> None:
        self.is_started = True

    @pytest.hookimpl(hookwrapper=True)
    def pytest_cmdline_main(self, config: Any) -> Any:
        if hasattr(config.option, "numprocesses"):  # pytest-xdist: we are the ones who spread.
            config.option.numprocesses = 0
            config.option.dist = "no"
            config.option.tx = []
        yield

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: Any) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        self.writer = getattr(reporter, "_tw", None)
        if self.writer is not None:
            self.writer._file = self.report
        # What failed last time is not known to one case alone; do not write it down.
        for name in ("lfplugin", "nfplugin", "stepwiseplugin"):
            if config.pluginmanager.has_plugin(name):
                config.pluginmanager.unregister(name=name)
        # Summaries of a whole run; that of hypothesis imports all of it, to say nothing.
        others = [plugin for plugin in config.pluginmanager.get_plugins() if plugin != reporter]
        config.hook.pytest_terminal_summary = config.pluginmanager.subset_hook_caller(
            "pytest_terminal_summary", others
        )


class Listing(Quiet):
    """Gather what pytest collects; what cannot be collected is a case that will say so."""

    def __init__(self) -> None:
        super().__init__()
        self.cases: list[dict[str, Any]] = []

    def pytest_collectreport(self, report: Any) -> None:
        if not report.passed and report.nodeid:
            self.cases.append({"name": report.nodeid, "file": report.nodeid.split("::")[0]})

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        for item in items:
            path, line, _ = item.location
            markers = {mark.name for mark in item.iter_markers()}
            self.cases.append(
                {
                    "name": item.nodeid,
                    "markers": sorted(markers),
                    "file": path,
                    "line": (line or 0) + 1,
                }
            )


class Running(Quiet):
    """Run exactly one node and keep what was said of it."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.wanted = wanted
        self.path = Path(known(str(Path.cwd()))) / wanted.split("::")[0]
        self.status = "missing"
        self.reason = ""
        self.shown: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        wanted = [item for item in items if known(item.nodeid) == self.wanted][:1]
        others = [item for item in items if item not in wanted]
        if others:
            config.hook.pytest_deselected(items=others)
        items[:] = wanted

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        # A neighbour that cannot be collected is a case of its own.
        path = Path(known(str(collection_path)))
        is_on_the_way = self.path.is_relative_to(path) or path.is_relative_to(self.path)
        return None if is_on_the_way else True

    def pytest_collectreport(self, report: Any) -> None:
        if report.passed or not (self.wanted + "::").startswith(known(report.nodeid)):
            return
        self._take(report, "skipped" if report.skipped else "failed")

    def pytest_runtest_logreport(self, report: Any) -> None:
        expected = getattr(report, "wasxfail", None)
        if report.failed:
            self._take(report, "failed")
        elif report.skipped and expected is not None:
            self._settle("passed", f"failed as expected: {expected}".rstrip(": "))
        elif report.skipped:
            self._take(report, "skipped")
        elif report.when == "call":
            told = "" if expected is None else f"passed unexpectedly: {expected}".rstrip(": ")
            self._settle("passed", told)

    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        # pytest.exit() comes here too, whatever status it asks for.
        self._settle("failed", f"stopped by {excinfo.typename}: {excinfo.value}".rstrip(": "))

    def _take(self, report: Any, status: str) -> None:
        if status == "failed":
            where = "" if report.when in ("call", "collect") else f" (in {report.when})"
            self.shown += [self._text(report), *_sections(report)]
            self._settle(status, failure_reason(report.longrepr) + where)
        else:
            self._settle(status, skip_reason(report.longrepr))

    def _text(self, report: Any) -> str:
        if self.writer is None:
            return str(report.longreprtext)
        start = self.report.tell()
        report.toterminal(self.writer)
        return self.report.getvalue()[start:].strip("\n")

    def _settle(self, status: str, reason: str) -> None:
        # The first failure is the one to tell, and nothing that comes later mends it.
        if self.status != "failed":
            self.status, self.reason = status, reason


def _sections(report: Any) -> list[str]:
    # A failing teardown repeats what setup and call had captured; tell a section once.
    return [f"--- {title} ---\n{text.rstrip()}" for title, text in report.sections if text.strip()]


def failure_reason(representation: Any) -> str:
    """Return the place and the message of a failure in one line."""
    crash = getattr(representation, "reprcrash", None)
    if crash is not None:
        path = Path(crash.path)
        if path.is_relative_to(Path.cwd()):
            path = path.relative_to(Path.cwd())
        lines = str(crash.message).splitlines() or ["failed"]
        return f"{path}:{crash.lineno}: {lines[0]}"
    lines = [line for line in str(representation).splitlines() if line.strip()]
    told = [line[1:].strip() for line in lines if line.startswith("E  ")]
    return told[-1] if told else lines[-1].strip() if lines else "failed"


def skip_reason(representation: Any) -> str:
    """Return why something was skipped."""
    if isinstance(representation, tuple) and len(representation) == 3:
        reason = str(representation[2])
        return reason[len("Skipped: ") :] if reason.startswith("Skipped: ") else reason
    return str(representation)


def path_argument(node: str) -> str:
    """Return the argument that makes pytest collect a node and as little else as it can."""
    path = node.split("::")[0]
    if odd := re.search("\\[|\ufffd", path):
        # pytest takes the first bracket for the start of a parameter, and what is no UTF-8 is
        # not known here: name what is above it.
        node = path[: odd.start()].rpartition("/")[0] or "."
    return "./" + node if node.startswith("-") else node


def prepare() -> None:
    """Load what pytest loads for any case: its own plugins, and those that are installed."""
    with contextlib.suppress(Exception, SystemExit):
        # Twice means with its plugins.
        pytest.main(["--version", "--version", "--rootdir=/", "-c/dev/null"])


def main() -> int:
    """Do what the arguments say and return the exit status."""
    mode, separator, (target, case) = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    extra = sys.argv[4:]
    stdout = os.dup(1)
    # As `python -m pytest` has it; `-c` leaves an empty string there.
    sys.path[0] = str(Path.cwd())
    sys.argv[:] = ["pytest"]
    # All ids then start at the working directory, wherever a configuration file is found.
    options = ["--rootdir=" + str(Path.cwd()), *extra]
    if mode == "list":
        return collect(stdout, separator, target, options)
    return run(stdout, separator, case, options)


def collect(stdout: int, separator: str, target: str, options: list[str]) -> int:
    """List all cases of the target."""
    listing = Listing()
    status = int(pytest.main([*options, "--collect-only", path_argument(target)], [listing]))
    # 2: some files cannot be collected, and are cases; 5: there are none.
    if status not in (0, 2, 5) or (status == 2 and not listing.cases):
        show(2, listing.report.getvalue())
        return status
    tell(stdout, separator, {"cases": listing.cases})
    return 0


def run(stdout: int, separator: str, case: str, options: list[str]) -> int:
    """Run one case."""
    running = Running(case)
    status = int(pytest.main([*options, path_argument(case)], [running]))
    show(stdout, "\n".join(running.shown) + "\n" if running.shown else "")
    is_good = running.status in ("passed", "skipped")
    # 5: pytest ran nothing, as is right where a whole module is skipped.
    if is_good and status == 5 and running.status == "skipped":
        status = 0
    if (is_good and status != 0) or running.status == "missing":
        show(2, running.report.getvalue())
    if running.status == "missing" and (status in (2, 3) or not running.is_started):
        # pytest itself, a plugin or a conftest.py failed, or something stopped the session.
        return status or 1
    tell(stdout, separator, {"status": running.status,
                             "reason": running.reason[:REASON_LENGTH_MAX]})  # fmt: skip
    return status or (0 if is_good else 1)
