"""See which shared libraries a test program depends on, and which interpreters a script.

They become its test's implicit dependencies: those of the project as the very nodes that build
them, those of the system as plain files. Before the program is built there is nothing to read;
SCons asks again when it is.
"""

import os
from typing import Any

import SCons.Scanner

from maelstrom.scons.closures import CLOSURES


def make() -> Any:
    """Return the scanner for the sources of tests."""
    return SCons.Scanner.Scanner(function=_scan, name="MaelstromLibraries", recursive=False)


def _scan(node: Any, env: Any, path: Any) -> list[Any]:
    del path
    program = node.rfile().get_abspath() if hasattr(node, "rfile") else node.get_abspath()
    if not os.path.isfile(program):
        return []
    # What is missing is told when the test runs: here it would break `scons -q`, too.
    return [env.fs.File(library) for library in CLOSURES.of(program) if os.path.isfile(library)]
