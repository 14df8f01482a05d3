"""What SCons calls when an environment is made with our tool."""

import sys
from pathlib import Path
from typing import Any

import SCons.Script.Main

from maelstrom.scons import builders, options, runner
from maelstrom.scons.results import TESTS

_PACKAGE = str(Path(__file__).parents[1])
_SHIM = "/site_tools/maelstrom/__init__.py"
_state = {"is_installed": False}


def generate(env: Any) -> None:
    """Add the builders to this environment, and once per process the options and the runner."""
    if not _state["is_installed"]:
        _state["is_installed"] = True
        _hide_our_frames()
        options.add()
        runner.install(TESTS.interest())
    builders.add(env)


def _hide_our_frames() -> None:
    """Have errors name the line of the SConstruct, as if we were a part of SCons."""
    main: Any = SCons.Script.Main
    original = main.find_deepest_user_frame

    def find(trace: list[Any]) -> Any:
        # What could be said only when all was read knows the line it is about.
        trace = getattr(sys.exc_info()[1], "place", trace)
        theirs = [f for f in trace if not f[0].startswith(_PACKAGE) and not f[0].endswith(_SHIM)]
        return original(theirs or trace)

    main.find_deepest_user_frame = find
