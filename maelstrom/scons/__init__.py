"""The SCons tool: `Environment(tools=["default", maelstrom.scons.generate])`.

Importing this is free; what SCons needs of us is read when the tool is used.
"""

import sys
from typing import Any

__all__ = ["PACKAGE", "exists", "generate"]

PACKAGE = sys.modules["maelstrom"]
"""The package itself, whose name the shim for SCons shares."""


def generate(env: Any, **_: Any) -> None:
    """Add our builders and options to an environment."""
    from maelstrom.scons import tool

    tool.generate(env)


def exists(env: Any) -> bool:
    """Whether the tool can be used: always."""
    del env
    return True
