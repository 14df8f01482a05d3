"""The projects: how each is had, built and tested, in its own way and in ours.

A project's tests are run with everything built, and with nothing remembered of an earlier run.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.data.gtest_many.generate import source
from tests.data.pytest_many.generate import write
from tests.real.ways import Verdicts, run, scons, told

HERE = Path(__file__).parent
OURS, PLAIN = "scons test --maelstrom", "scons test"
JUNIT = "junit.xml"


class Way(NamedTuple):
    """One way to run the tests, in the directory of the SConstruct."""

    name: str
    command: str
    verdicts: Callable[[str, Path], Verdicts] | None
    """Reads them from the output; None where a way tells none of its own."""
    clean: str = "true"


class Project(NamedTuple):
    """What is done with one project."""

    name: str
    get: Callable[[Path], None]
    """Makes the directory `name` below that it is given."""
    directory: str
    build: str
    ways: tuple[Way, ...]


def ours(options: str, *, plain: str = "", contained: str = "") -> tuple[Way, Way]:
    """Return our two ways."""
    clean = f"rm -rf .maelstrom {JUNIT}"
    junit = f"--maelstrom-junit={JUNIT}"
    return (
        Way(PLAIN, scons(options, plain, "-k test", junit), _told, clean),
        Way(OURS, scons(options, contained, "-k test --maelstrom", junit), _told, clean),
    )


def _told(_: str, directory: Path) -> Verdicts:
    return told(directory / JUNIT)


def _debian(name: str, shim: str) -> Callable[[Path], None]:
    def get(work: Path) -> None:
        fetched = run(f"apt-get source -q --only-source {name}", work)
        trees = [path for path in work.glob(f"{name}-*") if path.is_dir()]
        if not trees:
            raise SystemExit(
                f"{name}: no source:\n{fetched.out}\nhint: `deb-src` must be among the apt "
                "sources (Types: deb deb-src), and `apt-get update` must have seen it"
            )
        trees[0].rename(work / name)
        run(f"patch -p1 < {HERE / name}.patch", work / name)
        tool = work / name / shim / "site_scons/site_tools/maelstrom"
        tool.mkdir(parents=True)
        shutil.copy(HERE.parents[1] / "maelstrom/scons/shim.py", tool / "__init__.py")

    return get


# serf: its script runs each response, and then all suites in one program.

SERF = "APR=/usr/bin/apr-1-config APU=/usr/bin/apu-1-config GSSAPI=/usr PREFIX=/usr CFLAGS='-O1 -g'"
SUITES = ("context", "buckets", "ssl", "auth")


def _serf(out: str, directory: Path) -> Verdicts:
    found: Verdicts = {}
    name = ""
    for line in out.splitlines():
        if match := re.match(r"== Testing (\S+) ==", line):
            name = f"responses {match[1]}"
            found[name] = "passed"
        elif line.startswith("== Running"):
            name = ""
        elif "ERROR" in line and name:
            found[name] = "failed"
    # The program stops at no suite, and says of each case which one has failed.
    for suite in SUITES:
        source_file = (directory / f"test/test_{suite}.c").read_text(errors="replace")
        failures = re.findall(r"^\d+\) (test_\w+):", out, flags=re.MULTILINE)
        is_bad = any(f"{failure}(CuTest" in source_file for failure in failures)
        found[f"all {suite}"] = "failed" if is_bad else "passed"
    return found


# nanopb: its builder runs a program, and keeps what it prints as a target.

NANOPB_OUTPUTS = ".outputs"


def _nanopb(out: str, directory: Path) -> Verdicts:
    names = (directory / NANOPB_OUTPUTS).read_text().split()
    failed = set(re.findall(r"scons: \*\*\* \[(\S+)\] Error", out))
    return {
        name: "passed" if name not in failed and (directory / name).exists() else "failed"
        for name in names
    }


# gpsd: a target for each recorded log.


def _gpsd(out: str, _: Path) -> Verdicts:
    target = "gpsd-3.22/gps-regress"
    good = re.findall(r"Regression test (test/daemon/\S+\.log) successful", out)
    bad = re.findall(rf"scons: \*\*\* \[{target}-(test/daemon/\S+)\] Error", out)
    found = {f"{target} {name}": "passed" for name in good}
    return found | {f"{target} {name}.log": "failed" for name in bad}


# Our own.

GTEST = """\
import maelstrom.scons
env = Environment(tools=["default", maelstrom.scons.generate], LIBS=["gtest_main", "gtest"])
for name in ("one", "two", "three", "four"):
    env.MaelstromTest(name, env.Program(name, f"{name}.cc"))
"""
GTEST_CASES = 264
PYTEST = """\
import maelstrom.scons
env = Environment(tools=["default", maelstrom.scons.generate])
env.MaelstromTest("numerals", "tests", data=["numerals.py"])
"""
PYTEST_CASES = 330
PROGRAMS = ("one", "two", "three", "four")
_WORDS = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}


def _get_gtest(work: Path) -> None:
    (work / "gtest").mkdir()
    (work / "gtest/SConstruct").write_text(GTEST)
    for name in PROGRAMS:
        (work / f"gtest/{name}.cc").write_text(source(GTEST_CASES, failing=name == "two"))


def _gtest(out: str, _: Path) -> Verdicts:
    found: Verdicts = {}
    name = ""
    for line in out.splitlines():
        if line.startswith("program "):
            name = line.split()[1]
        elif match := re.match(
            r"\[ +(OK|FAILED|SKIPPED) +\] (\S+?)(?:, where .*)? \(\d+ ms\)$", line
        ):
            found[f"{name} {match[2]}"] = _WORDS[match[1]]
        elif match := re.match(r"listed +(\S+)", line):
            found[f"{name} {match[1]}"] = "skipped"
    return found


def _get_pytest(work: Path) -> None:
    write(PYTEST_CASES, work / "pytest", failing=True)
    (work / "pytest/SConstruct").write_text(PYTEST)


def _pytest(out: str, _: Path) -> Verdicts:
    words = {"PASSED": "passed", "FAILED": "failed", "SKIPPED": "skipped", "XFAIL": "passed"}
    pattern = r"^(tests/\S+?\.py::.*?) (PASSED|FAILED|SKIPPED|XFAIL)\b"
    found = re.findall(pattern, out, flags=re.MULTILINE)
    return {f"numerals {name}": words[word] for name, word in found}


_EACH_PROGRAM = " ".join(PROGRAMS)
_EACH_CASE = (
    f"for p in {_EACH_PROGRAM}; do ./$p --gtest_list_tests"
    " | awk '!/^ / {s=$1} /^ / {print s $1}' | grep -v DISABLED"
    " | xargs -P$(nproc) -I{} ./$p --gtest_filter={}; done"
)
_DISABLED = (
    "./$p --gtest_list_tests | awk '!/^ / {s=$1} /^ / && /DISABLED/ {print \"listed\", s $1}'"
)

PROJECTS: Mapping[str, Project] = {
    project.name: project
    for project in (
        Project(
            "serf",
            _debian("serf", "."),
            ".",
            scons(SERF, "-s -j2 . test/serf_response test/test_all"),
            (Way("scons check", scons(SERF, "check"), _serf), *ours(SERF)),
        ),
        Project(
            "nanopb",
            _debian("nanopb", "tests"),
            "tests",
            "make -s -C ../generator/proto && " + scons("NOVALGRIND=1 -s -k && ")
            + scons(f"NOVALGRIND=1 -n test | sed -n 's/^test //p' > {NANOPB_OUTPUTS}"),
            (
                Way("scons", scons("NOVALGRIND=1 -k"), _nanopb, f"xargs rm -f < {NANOPB_OUTPUTS}"),
                *ours("NOVALGRIND=1"),
            ),
        ),
        Project(
            "gpsd",
            _debian("gpsd", "."),
            ".",
            scons("target_python=python3 -s -j2 build-all"),
            (
                Way("scons -j8 gps-regress",
                    scons("target_python=python3 -j8 -k gps-regress"), _gpsd),
                *ours("target_python=python3", plain="-j8", contained="--maelstrom-slots=8"),
            ),
        ),
        Project(
            "gtest",
            _get_gtest,
            ".",
            scons("-s -j2", *PROGRAMS),
            (
                Way("each program once",
                    f"for p in {_EACH_PROGRAM}; do echo program $p; ./$p; {_DISABLED}; done",
                    _gtest),
                Way("xargs, each case once", _EACH_CASE, None),
                *ours("", plain="-j2"),
            ),
        ),
        Project(
            "pytest",
            _get_pytest,
            ".",
            "true",
            (
                Way("pytest", "$PYTHON -m pytest -v -p no:cacheprovider", _pytest),
                Way("pytest -n 2", "$PYTHON -m pytest -q -p no:cacheprovider -n 2", None),
                *ours("", plain="-j2"),
            ),
        ),
    )
}  # fmt: skip
