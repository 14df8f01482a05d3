"""A Python as a layer."""

from maelstrom.errors import LayerError
from maelstrom.layers.hasher import Hasher
from maelstrom.layers.host import HostPaths
from maelstrom.layers.tree import BuiltLayer


def build(interpreter: str, *, hosts: HostPaths, hasher: Hasher) -> BuiltLayer:
    """Build it."""
    raise LayerError("not yet")
