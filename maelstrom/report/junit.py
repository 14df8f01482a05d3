"""Write what became of the tests as JUnit XML, for machines.

Rules of this file:
1. One testsuite per target, named after it, in the order of the names; one testcase per case, in
   the order of the listing, so that equal runs give equal files. A target that was up to date is
   told as it was when it ran, and marked; one that was not built or not reached is a testcase.
2. A verdict on the program under test is a failure; a case that could not be run is an error, and
   `type` names the status. What did not run on purpose, or was cancelled, is skipped.
3. The file appears whole or not at all; an older one is removed first, so that it stands for no
   run that broke off.
"""

import contextlib
import os
import tempfile
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

from maelstrom.errors import InfrastructureError, UserError
from maelstrom.model.case import CaseResult, Status
from maelstrom.report import text
from maelstrom.report.events import (
    CaseFinished,
    Event,
    TargetFailed,
    TargetListed,
    TargetUnreached,
    TargetUpToDate,
)
from maelstrom.report.summary import Summary

if TYPE_CHECKING:
    from maelstrom.report import Reporter

_ELEMENTS = {
    Status.FAILED: "failure",
    Status.TIMED_OUT: "failure",
    Status.CRASHED: "failure",
    Status.SKIPPED: "skipped",
    Status.DISABLED: "skipped",
    Status.CANCELLED: "skipped",
    Status.EXECUTION_ERROR: "error",
    Status.INFRASTRUCTURE_ERROR: "error",
}
_NAME_LENGTH_MAX = 10_000


class _Suite:
    def __init__(self) -> None:
        self.listed: tuple[str, ...] = ()
        self.results: dict[str, list[CaseResult]] = {}
        self.broken: list[TargetFailed] = []
        self.unreached: list[TargetUnreached] = []
        self.is_up_to_date = False


class JunitReporter:
    """Keeps what happens for a file that `close` writes, and passes it on to another report.

    Raises UserError at once if the file could never be written, and InfrastructureError from
    `close` if it then cannot.
    """

    def __init__(self, path: str, shown: "Reporter") -> None:
        self._path = Path(path).absolute()
        _check(self._path)
        _remove(self._path)
        self._shown = shown
        self._suites: dict[str, _Suite] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def summary(self) -> Summary:
        """What the shown report counted."""
        return self._shown.summary

    def handle(self, event: Event) -> None:
        """Take in what happened; called from any thread."""
        with self._lock:
            match event:
                case TargetListed(target, cases):
                    self._suite(target).listed = cases
                case CaseFinished(result):
                    suite = self._suite(result.target)
                    suite.results.setdefault(result.case, []).append(result)
                case TargetFailed(target):
                    self._suite(target).broken.append(event)
                case TargetUpToDate(target, results):
                    suite = self._suite(target)
                    suite.is_up_to_date = True
                    for result in results:
                        suite.results.setdefault(result.case, []).append(result)
                case TargetUnreached(target):
                    self._suite(target).unreached.append(event)
                case _:
                    pass
        self._shown.handle(event)

    def close(self) -> None:
        """Close the shown report, then write the file."""
        self._shown.close()
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            root = self._root()
        _write(self._path, ET.tostring(root, encoding="utf-8", xml_declaration=True))

    def _suite(self, target: str) -> _Suite:
        return self._suites.setdefault(target, _Suite())

    def _root(self) -> ET.Element:
        root = ET.Element("testsuites", {"name": "maelstrom"})
        for target, suite in sorted(self._suites.items()):
            root.append(_suite_element(target, suite))
        for what in ("tests", "failures", "errors", "skipped"):
            root.set(what, str(sum(int(suite.get(what, 0)) for suite in root)))
        root.set("time", f"{self.summary.elapsed_s:.3f}")
        return root


def _suite_element(target: str, suite: _Suite) -> ET.Element:
    element = ET.Element("testsuite", {"name": _name(target)})
    cases = [_broken_element(broken) for broken in suite.broken]
    cases += [_unreached_element(unreached) for unreached in suite.unreached]
    if suite.is_up_to_date:
        properties = ET.SubElement(element, "properties")
        ET.SubElement(properties, "property", {"name": "up_to_date", "value": "true"})
        if not suite.results:  # The record was removed: that it has passed is all we know.
            cases.append(_case(target, target, 0.0))
    for name in dict.fromkeys([*suite.listed, *suite.results]):
        results = suite.results.get(name)
        if results:
            cases += [_case_element(result) for result in results]
        else:
            case = _case(target, name, 0.0)
            ET.SubElement(case, "skipped", {"type": "cancelled", "message": "it was not run"})
            cases.append(case)
    element.set("tests", str(len(cases)))
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(kind) is not None for case in cases)))
    seconds = sum(result.duration_s for results in suite.results.values() for result in results)
    element.set("time", f"{seconds:.3f}")
    element.extend(cases)
    return element


def _case_element(result: CaseResult) -> ET.Element:
    verdict = result.verdict
    case = _case(result.target, result.case, result.duration_s)
    properties = ET.SubElement(case, "properties")
    for name, value in (
        ("worker", result.worker),
        ("cached", "true" if result.is_cached else "false"),
        *((("ran_because", result.ran_because),) if result.ran_because else ()),
        *((("not_at_the_broker_because", result.missed),) if result.missed else ()),
        ("memory_peak_bytes", str(result.memory_peak_bytes)),
        ("cpu_s", f"{result.cpu_s:.3f}"),
    ):
        ET.SubElement(properties, "property", {"name": name, "value": _name(value)})
    if kind := _ELEMENTS.get(verdict.status):
        message = _name(verdict.reason) or verdict.status.value
        told = ET.SubElement(case, kind, {"type": verdict.status.value, "message": message})
        if not verdict.status.is_good:
            # Many readers show nothing else of a failure than this text.
            shown = [*text.output(verdict.stdout), *text.output(verdict.stderr)]
            told.text = text.whole("\n".join([message, *shown]) + _hint(result.hint))
    for kind, content in (("system-out", verdict.stdout), ("system-err", verdict.stderr)):
        if content:
            ET.SubElement(case, kind).text = text.whole(content)
    return case


def _broken_element(broken: TargetFailed) -> ET.Element:
    status = Status.INFRASTRUCTURE_ERROR if broken.is_ours else Status.EXECUTION_ERROR
    case = _case(broken.target, broken.target, 0.0)
    told = ET.SubElement(case, "error", {"type": status.value, "message": _name(broken.message)})
    told.text = text.whole(broken.message + _hint(broken.hint))
    return case


def _hint(hint: str) -> str:
    return f"\nhint: {hint}" if hint else ""


def _unreached_element(unreached: TargetUnreached) -> ET.Element:
    case = _case(unreached.target, unreached.target, 0.0)
    kind, status = ("error", "not built") if unreached.is_broken else ("skipped", "not reached")
    ET.SubElement(case, kind, {"type": status, "message": unreached.message})
    return case


def _case(target: str, name: str, seconds: float) -> ET.Element:
    attributes = {"classname": _name(target), "name": _name(name), "time": f"{seconds:.6f}"}
    return ET.Element("testcase", attributes)


def _name(name: str) -> str:
    return text.whole(text.name(name, length_max=_NAME_LENGTH_MAX))


def _check(path: Path) -> None:
    if not path.parent.is_dir():
        raise UserError(
            f"the directory `{path.parent}` for the JUnit file does not exist",
            hint="make it, or name another file with --maelstrom-junit=",
        )
    if path.is_dir():
        raise UserError(
            f"the JUnit file `{path}` is a directory",
            hint="name a file, as in --maelstrom-junit=report.xml",
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(
            f"the directory `{path.parent}` for the JUnit file cannot be written",
            hint="name another file with --maelstrom-junit=",
        )


def _remove(path: Path) -> None:
    if path.is_file():  # And no device or pipe.
        with contextlib.suppress(OSError):
            path.unlink()


def _write(path: Path, content: bytes) -> None:
    temporary = None
    try:
        number, made = tempfile.mkstemp(prefix=".junit-", suffix=".xml", dir=path.parent)
        temporary = Path(made)
        with os.fdopen(number, "wb") as file:
            file.write(content)
            # A temporary file is private; a report has the rights of any new file.
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise InfrastructureError(
            f"cannot write the JUnit file `{path}`: {error.strerror}"
        ) from error


def _umask() -> int:
    # Asking with os.umask would set it, and another thread might make a file meanwhile.
    status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    rows = (row.split() for row in status.splitlines())
    return next((int(row[1], 8) for row in rows if row[:1] == ["Umask:"]), 0o022)
