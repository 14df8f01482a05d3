"""Make a layer of what came back from a job: a manifest, and the contents it names. Pure."""

import os
from collections.abc import Iterable

from maelstrom.errors import SpecError
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import Directory, File, Manifest, Node, Symlink, Whiteout
from maelstrom.model.outcome import OutputFile


def layer_of(files: Iterable[OutputFile]) -> tuple[Manifest, dict[Digest, bytes]]:
    """Return a layer that does to those below it what the job did to its root.

    Contents that are in a store already are only named.
    Raises SpecError for what cannot be a layer: they come from a job.
    """
    contents: dict[Digest, bytes] = {}
    entries = [(os.fsdecode(file.path), _node(file, contents)) for file in files]
    return Manifest(entries), contents


def _node(file: OutputFile, contents: dict[Digest, bytes]) -> Node:
    match file.kind:
        case "file" | "program" if file.blob is not None:
            return File(file.blob, is_executable=file.kind == "program")
        case "file" | "program":
            digest = Digest.of(file.content)
            contents[digest] = file.content
            return File(digest, is_executable=file.kind == "program")
        case "directory" | "opaque":
            return Directory(is_opaque=file.kind == "opaque")
        case "link":
            return Symlink(file.content)
        case "whiteout":
            return Whiteout()
        case _:
            raise SpecError(f"`{file.kind}` is nothing that a layer can have")
