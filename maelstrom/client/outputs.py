"""Write what came back from a job to a directory of the project's.

Paths and contents are a job's, and come from another machine: they are hostile. Nothing is followed
and nothing lands outside a directory that is made anew.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from maelstrom.errors import ProtocolError
from maelstrom.model.digest import Digest
from maelstrom.model.layer import PROJECT_ROOT
from maelstrom.model.outcome import OutputFile

NAME_LENGTH_MAX = 150


def write_outputs(
    directory: Path,
    target: str,
    case: str,
    files: tuple[OutputFile, ...],
    output: Callable[[Digest], Path],
) -> Path:
    """Write the files of one case below `directory`, in place of those of its last run.

    `output` says where a content lies that is not in its file.
    Returns where they are; raises ProtocolError for names that lead elsewhere, or OSError.
    """
    place = directory / target / directory_name(case)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    links = []
    for file in files:
        path = place / _relative(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.kind in ("directory", "opaque"):
            path.mkdir(exist_ok=True)
        elif file.kind in ("file", "program"):
            path.touch(0o755 if file.kind == "program" else 0o644, exist_ok=False)
            if file.blob is None:
                path.write_bytes(file.content)
            else:
                with output(file.blob).open("rb") as source, path.open("wb") as target_file:
                    shutil.copyfileobj(source, target_file)
        elif file.kind == "link":
            # Made at the end, so that no path leads through them.
            links.append((file.content, path))
    for content, path in links:
        path.symlink_to(os.fsdecode(content))
    return place


def directory_name(case: str) -> str:
    """Return a name for a directory: the case's own as far as it can be one."""
    quoted = quote(case, safe=" ()[]+,=@")
    if len(quoted) > NAME_LENGTH_MAX:
        digest = Digest.of(case.encode(errors="surrogateescape")).hash
        return f"{quoted[:NAME_LENGTH_MAX]}~{digest[:12]}"
    # Of dots alone it would be a way out.
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def _relative(path: bytes) -> Path:
    text = os.fsdecode(path)
    if b"\0" in path or any(part in ("", ".", "..") for part in text.split("/")):
        raise ProtocolError(f"{text!r} cannot be the path of an output")
    inside = text.removeprefix(f"{PROJECT_ROOT[1:]}/")
    return Path(inside)
