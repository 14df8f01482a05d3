"""A test as it was declared, in plain values: what the build tool tells the client.

Only the standard library is needed to make one, so that declaring tests costs nothing.
"""

from typing import Any, NamedTuple


class SourceFile(NamedTuple):
    """A file of the project: where it is found in the project, and where its bytes are."""

    relative: str
    path: str
    sha256: str = ""
    """If the build tool knows it already; it may be stale."""


class Description(NamedTuple):
    """One test target."""

    name: str
    framework: str
    """Empty if it is to be found out."""
    project: str
    """The root of the project on this host."""
    programs: tuple[SourceFile, ...]
    files: tuple[SourceFile, ...]
    """All declared data, and what a Python test needs beside it."""
    layers: tuple[tuple[Any, ...], ...]
    """Recipes, as lists of layer specs, in the order they were given."""
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_directory: str
    """Relative to the project; empty for its root."""
    network: str
    mounts: tuple[Any, ...]
    timeout_s: float
    user: int
    group: int
    limits: tuple[tuple[str, Any], ...]
    resources: tuple[tuple[str, int], ...]
    again: str
    """The command that runs just this test."""
    content: str = ""
    """Stands for the content of all it depends on, where no layers do that."""
    cases: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Declared cases: a name, and what is added to the arguments. Empty if the framework lists."""
    stdin: SourceFile | None = None
    """What each of its jobs reads from standard input."""
    extras: tuple[tuple[str, Any], ...] = ()
    """More fields of the spec; outputs may be relative to the project."""
