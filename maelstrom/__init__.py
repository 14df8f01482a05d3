"""Maelstrom: a hermetic, clustered test runner for SCons.

Importing this package is free: it loads nothing. The tool for an SConstruct is `maelstrom.scons`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
