"""What SCons calls when an environment is made with our tool."""

from typing import Any

from maelstrom.scons import builders, options, runner
from maelstrom.scons.results import TESTS

_state = {"is_installed": False}


def generate(env: Any) -> None:
    """Add the builders to this environment, and once per process the options and the runner."""
    options.add()
    if not _state["is_installed"]:
        _state["is_installed"] = True
        runner.install(TESTS.interest())
    builders.add(env)
