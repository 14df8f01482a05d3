"""How the book is built."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from maelstrom import __version__  # The path above comes first.

project = "Maelstrom for SCons"
author = "The Maelstrom for SCons developers"
copyright = "2026, the Maelstrom for SCons developers"  # noqa: A001  # Sphinx wants this name.
release = version = __version__
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Maelstrom for SCons"
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
