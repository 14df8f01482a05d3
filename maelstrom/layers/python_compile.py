"""Compile Python sources into pycs that are taken as they are: run by the Python they are for.

Reads lines of JSON: [source, path it will have in the container, pyc of this host, or ""]. Writes a
line for each: [hash, size] of what was put into the directory named by the argument, or null for a
source that does not compile. The pycs are of the unchecked, hash-based kind (PEP 552): no time in
them can be wrong, so that no container compiles anything again.
"""

import hashlib
import importlib.util
import json
import marshal
import os
import sys
import tempfile

_UNCHECKED = (1).to_bytes(4, "little")
_MAGIC = importlib.util.MAGIC_NUMBER


def _reusable(source: str, content: bytes, shown: str, pyc: str) -> "bytes | None":
    """Return the code in a pyc of this host if it is of this very source and place."""
    try:
        with open(pyc, "rb") as file:
            old = file.read()
    except OSError:
        return None
    status = os.stat(source)
    stamp = (int(status.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little")
    size = (len(content) & 0xFFFFFFFF).to_bytes(4, "little")
    if old[:16] != _MAGIC + bytes(4) + stamp + size:
        return None
    # Tracebacks show the path that is compiled in.
    return old[16:] if os.fsencode(shown) in old else None


def _compiled(source: str, shown: str, pyc: str) -> bytes:
    with open(source, "rb") as file:
        content = file.read()
    code = _reusable(source, content, shown, pyc) if pyc else None
    if code is None:
        code = marshal.dumps(compile(content, shown, "exec", dont_inherit=True, optimize=-1))
    return _MAGIC + _UNCHECKED + importlib.util.source_hash(content) + code


def _keep(directory: str, content: bytes) -> "list[str | int]":
    digest = hashlib.sha256(content).hexdigest()
    final = os.path.join(directory, digest[:2], digest)
    if not os.path.exists(final):
        os.makedirs(os.path.dirname(final), exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".new-")
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, final)
    return [digest, len(content)]


def main() -> None:
    """Do what the lines on standard input ask for."""
    import warnings

    warnings.simplefilter("ignore")
    for line in sys.stdin:
        source, shown, pyc = json.loads(line)
        try:
            result = _keep(sys.argv[1], _compiled(source, shown, pyc))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            result = None
        print(json.dumps(result))


main()
