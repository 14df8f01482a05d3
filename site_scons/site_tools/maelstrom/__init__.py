"""Lets SCons find the tool by name: `Environment(tools=["default", "maelstrom"])`.

SCons looks for tools in directories only; the tool itself is the installed package.
"""

import importlib
import sys
from pathlib import Path

import SCons.Errors


def _tool():
    # This file has the package's name: while it is in the way, the package must be looked up anew.
    here = str(Path(__file__).resolve().parents[3])
    try:
        return importlib.import_module("maelstrom.scons")
    except ModuleNotFoundError as error:
        if error.name and not error.name.startswith("maelstrom"):
            raise
    # In a checkout of Maelstrom itself the package lies beside site_scons.
    if (Path(here) / "maelstrom" / "scons").is_dir():
        sys.path.insert(0, here)
        return importlib.import_module("maelstrom.scons")
    message = f"maelstrom-scons is not installed for {sys.executable}; pip install maelstrom-scons"
    raise SCons.Errors.UserError(message)


def generate(env, **keywords):
    """Add our builders and options to an environment."""
    _tool().generate(env, **keywords)


def exists(env):
    """Whether the tool can be used."""
    return True
