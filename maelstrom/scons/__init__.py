"""The SCons tool: `Environment(tools=["default", maelstrom.scons.generate])`.

Importing this is free; what SCons needs of us is read when the tool is used.
"""

from typing import Any

__all__ = ["exists", "generate"]


def generate(env: Any, **_: Any) -> None:
    """Add our builders and options to an environment."""
    from maelstrom.scons import tool

    tool.generate(env)


def exists(env: Any) -> bool:
    """Whether the tool can be used: always."""
    del env
    return True
