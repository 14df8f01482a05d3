"""Test programs of real frameworks: compiled here, or replayed from what they once printed.

    python -m tests.support.programs FRAMEWORK PROGRAM FILE.json    records a compiled program

The programs are tests/data/frameworks/*_cases.cc. The recordings let the tests run where no
framework is installed; where one is, the tests compile the program and run it as well.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from maelstrom.frameworks import framework
from maelstrom.frameworks.base import Framework, Invocation, Target
from maelstrom.model.case import Case, Verdict
from maelstrom.model.outcome import Exited, Ran
from tests.support.outcomes import exited, run_on_host, signaled

DATA = Path(__file__).parents[1] / "data" / "frameworks"
PROGRAM = "./cases"
MISSING = "no such case"

Runner = Callable[[Invocation], Ran]

COMPILED = {
    "gtest": ("gtest/gtest.h", ["-lgtest", "-lgtest_main", "-lpthread"]),
    "doctest": ("doctest/doctest.h", []),
    "boost": ("boost/test/unit_test.hpp", ["-DDYN", "-lboost_unit_test_framework"]),
}


def ways(name: str) -> list[str]:
    """Return how the program of a framework can be had here."""
    header = Path("/usr/include") / COMPILED[name][0]
    can_compile = shutil.which("g++") is not None and header.exists()
    must_compile = os.environ.get("MAELSTROM_MUST_COMPILE") == "1"
    return ["recorded", "compiled"] if can_compile or must_compile else ["recorded"]


def compiled(name: str, directory: Path) -> Runner:
    """Compile the program of a framework and return what runs it."""
    source = f"{name}_cases.cc"
    shutil.copy(DATA / source, directory)
    flags = COMPILED[name][1]
    subprocess.run(["g++", "-O0", source, "-o", PROGRAM, *flags], cwd=directory, check=True)
    return lambda call: run_on_host(
        call.program, call.arguments, directory=directory, environment=call.environment
    )


def recorded(name: str) -> Runner:
    """Return what replays a recording; it knows exactly the calls that were recorded."""
    outcomes = {}
    for call in json.loads((DATA / f"{name}.json").read_text()):
        stdout, stderr = call["stdout"].encode("latin-1"), call["stderr"].encode("latin-1")
        build = exited if call["status"] >= 0 else signaled
        outcomes[tuple(call["arguments"])] = build(abs(call["status"]), stdout, stderr)
    return lambda call: outcomes[call.arguments]


def cases_of(known: Framework, run: Runner, target: Target | None = None) -> list[Case]:
    """List the cases of a program."""
    listing = known.listing(target or Target(PROGRAM))
    assert listing is not None
    return known.cases(run(listing))


def verdict_on(known: Framework, run: Runner, case: Case, target: Target | None = None) -> Verdict:
    """Run one case and read its verdict."""
    return known.verdict(case, run(known.invocation(target or Target(PROGRAM), case)))


def record(name: str, program: Path) -> str:
    """Run everything in a program and return it as JSON; bytes are written as Latin-1."""
    known = framework(name)
    calls = []

    def run(call: Invocation) -> Ran:
        outcome = run_on_host(f"./{program.name}", call.arguments, directory=program.parent)
        assert not hasattr(outcome, "limit")
        status = outcome.status if isinstance(outcome, Exited) else -outcome.signal
        calls.append(
            {
                "arguments": list(call.arguments),
                "status": status,
                "stdout": outcome.effects.stdout.content.decode("latin-1"),
                "stderr": outcome.effects.stderr.content.decode("latin-1"),
            }
        )
        return outcome

    cases = cases_of(known, run)
    for case in [*cases, Case(MISSING, edition=cases[0].edition)]:
        verdict_on(known, run, case)
    return json.dumps(calls, indent=1) + "\n"


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(record(sys.argv[1], Path(sys.argv[2]).absolute()))
