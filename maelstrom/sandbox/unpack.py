"""Lay out what comes back from a job as a directory of this host.

The names are a job's: nothing is followed, and all lands in a directory that nobody else knows of
before it is complete. What was deleted is marked as an overlay of an ordinary user does, so that
the directory can serve as a layer.
"""

import os
import stat
from pathlib import Path

from maelstrom.errors import SpecError

_OPAQUE = "user.overlay.opaque"


class Unpacker:
    """A directory that is made of what is found; `close` it when all is there."""

    def __init__(self, directory: Path) -> None:
        """Make it; raises SpecError if it is there already."""
        try:
            directory.mkdir()
        except OSError as error:
            raise SpecError(f"cannot make `{directory}`: {error.strerror}") from error
        self._directory = directory
        self._file = -1
        self._links: list[tuple[Path, bytes]] = []

    def found(self, path: bytes, kind: str, target: bytes) -> None:
        """Take the next entry."""
        self._end_file()
        parts = os.fsdecode(path).split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise SpecError(f"{path!r} cannot be the name of what a job has made")
        place = self._directory.joinpath(*parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        match kind:
            case "directory" | "opaque":
                place.mkdir(exist_ok=True)
                if kind == "opaque":
                    os.setxattr(place, _OPAQUE, b"y")
            case "link":
                # Made at the end, so that no path leads through them.
                self._links.append((place, target))
            case "whiteout":
                os.mknod(place, stat.S_IFCHR | 0o444)
            case _:
                mode = 0o755 if kind == "program" else 0o644
                self._file = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)

    def content(self, content: bytes) -> None:
        """Take the next bytes of the last file."""
        view = memoryview(content)
        while view:
            view = view[os.write(self._file, view) :]

    def close(self) -> None:
        """Finish it."""
        self._end_file()
        for place, target in self._links:
            os.symlink(target, place)

    def _end_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
