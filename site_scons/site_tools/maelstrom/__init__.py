"""Lets SCons find the tool by name: `Environment(tools=["default", "maelstrom"])`.

SCons looks for tools in directories only, and registers what it finds there as the module
`maelstrom`: the installed package, which has the real tool, must get its name back.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import SCons.Errors


def _tool() -> ModuleType:
    loaded = sys.modules.get("maelstrom.scons")
    if loaded is not None:
        sys.modules["maelstrom"] = loaded.PACKAGE
        return loaded
    sys.modules.pop("maelstrom", None)
    before, tools = sys.path, Path(__file__).resolve().parents[1]
    # In a checkout of Maelstrom the package lies beside site_scons.
    sys.path = [*(p for p in before if Path(p).resolve() != tools), str(tools.parents[1])]
    try:
        return importlib.import_module("maelstrom.scons")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("maelstrom"):
            raise
        message = f"maelstrom-scons is not installed for {sys.executable}: pip install it there"
        raise SCons.Errors.UserError(message) from None
    finally:
        sys.path = before


generate = _tool().generate
exists = _tool().exists
