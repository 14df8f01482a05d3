"""What a test or a layer depends on that is no source of its node: a part of its signature."""

import json
import os
from typing import Any, NamedTuple

import SCons.Node.FS

from maelstrom.layers import python_state
from maelstrom.scons import files
from maelstrom.scons.pythons import PYTHONS


class Surroundings(NamedTuple):
    """Tells all that SCons does not see by itself."""

    is_contained: bool
    pythons: tuple[str, ...] = ()
    """Interpreters whose environments are used."""
    directories: tuple[str, ...] = ()
    """Of this host, outside the project."""

    def state(self, node: Any) -> str:
        """Return what changes with files and environments as they are now; cheap to ask again."""
        told: list[Any] = [_modes(node)]
        told += [PYTHONS.state(p, is_contained=self.is_contained) for p in self.pythons]
        if self.directories:
            told.append(python_state.fingerprint(self.directories))
        return json.dumps(told)


def _modes(node: Any) -> list[str]:
    """What a job can see of its files and no content signature tells: x bits and link targets."""
    told = []
    for child in node.children():
        path = files.real(child).get_abspath() if isinstance(child, SCons.Node.FS.Base) else ""
        try:
            if os.path.islink(path):
                told.append(f"{path}>{os.readlink(path)}")
            elif os.stat(path).st_mode & 0o111:
                told.append(path)
        except OSError:
            continue
    return sorted(told)
