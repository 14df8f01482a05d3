"""Programs and daemons that tests from end to end share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.sandbox.check import check
from tests.support.cluster import Crew, static_program

WAITS = """
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) { usleep(1000 * atoi(argv[1])); return 0; }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a program that waits for so many milliseconds, if there can be containers here."""
    findings = [found for found in check() if found.is_needed and not found.is_ok]
    if findings and not os.environ.get("MAELSTROM_MUST_SANDBOX"):
        pytest.skip(findings[0].message)
    return static_program(tmp_path_factory.mktemp("program"), WAITS)


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    """Give a broker and workers that are ended after the test."""
    crew = Crew(tmp_path)
    yield crew
    crew.close()
