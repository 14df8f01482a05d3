"""Read the cache in which the dynamic loader looks libraries up: /etc/ld.so.cache.

Only the format of glibc 2.2 and later, alone or behind the older one. Libraries for special
processors (hwcaps) are left out: another worker may not have such a processor.
"""

import struct
from pathlib import Path

PATH = Path("/etc/ld.so.cache")
MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("=20sII")
_HEADER_BYTES = 48
_ENTRY = struct.Struct("=iIIIQ")


def read(path: Path = PATH) -> dict[str, list[str]]:
    """Return the paths the cache has for each library name, best first; {} if it has none."""
    try:
        return parse(path.read_bytes())
    except OSError:
        return {}


def parse(content: bytes) -> dict[str, list[str]]:
    """Read the cache's content; what is damaged is left out."""
    start = content.find(MAGIC)
    if start < 0 or len(content) < start + _HEADER_BYTES:
        return {}
    content = content[start:]
    _, number, _ = _HEADER.unpack_from(content)
    found: dict[str, list[str]] = {}
    available = (len(content) - _HEADER_BYTES) // _ENTRY.size
    for index in range(min(number, available)):
        offset = _HEADER_BYTES + index * _ENTRY.size
        _, name_at, path_at, _, hwcap = _ENTRY.unpack_from(content, offset)
        if hwcap:
            continue
        name, path = _text(content, name_at), _text(content, path_at)
        if name and path.startswith("/"):
            found.setdefault(name, []).append(path)
    return found


def _text(content: bytes, offset: int) -> str:
    end = content.find(b"\0", offset)
    return content[offset:end].decode(errors="surrogateescape") if end > offset else ""
