"""Count what a store holds, verify it after a crash, and forget the least recently used.

All of it runs with the store's gate held alone. Layers are hard links to blobs: forgetting a layer
frees nothing by itself but makes its blobs free to go, and a blob in a layer never goes before it.
"""

import hashlib
import heapq
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from maelstrom.errors import SpecError
from maelstrom.model.manifest import Manifest
from maelstrom.store import tenancy


class Blob(NamedTuple):
    """A blob's file."""

    path: str
    hash: str
    status: os.stat_result


def blobs(root: Path) -> Iterator[Blob]:
    """Yield every blob of the store."""
    for directory in sorted((root / "blobs").iterdir()):
        with os.scandir(directory) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                yield Blob(entry.path, entry.name.removesuffix(".x"), status)


def usage_bytes(root: Path) -> int:
    """Return the size of all blobs; layers are links to them and count nothing."""
    return sum(blob.status.st_size for blob in blobs(root))


def verify(root: Path, *, since_ns: int) -> None:
    """Drop what was written since then and did not reach the disk whole."""
    for blob in list(blobs(root)):
        if blob.status.st_ctime_ns >= since_ns:
            with open(blob.path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != blob.hash:
                os.unlink(blob.path)
    for layer in (root / "layers").iterdir():
        # A directory has no digest. It costs less to lay it out again than to compare it.
        if layer.stat().st_ctime_ns >= since_ns:
            _remove_layer(root, layer.name)


def evict(root: Path, *, size_bytes_wanted: int) -> int:
    """Forget what was not used for longest until no more is left than wanted; return what is."""
    kept = _kept(root)
    total = 0
    loose: list[tuple[int, str, str]] = []
    held: dict[int, Blob] = {}
    links: dict[int, int] = {}
    for blob in blobs(root):
        total += blob.status.st_size
        if blob.hash in kept:
            continue
        held[blob.status.st_ino] = blob
        links[blob.status.st_ino] = blob.status.st_nlink
        if blob.status.st_nlink == 1:
            loose.append((blob.status.st_atime_ns, "blob", str(blob.status.st_ino)))
    loose += [
        (layer.stat().st_atime_ns, "layer", layer.name)
        for layer in (root / "layers").iterdir()
        if layer.name not in kept
    ]
    heapq.heapify(loose)
    while loose and total > size_bytes_wanted:
        _, kind, name = heapq.heappop(loose)
        if kind == "blob":
            blob = held[int(name)]
            os.unlink(blob.path)
            total -= blob.status.st_size
            continue
        for inode in _remove_layer(root, name):
            if inode not in held:
                continue
            links[inode] -= 1
            if links[inode] == 1:
                heapq.heappush(loose, (held[inode].status.st_atime_ns, "blob", str(inode)))
    return total


def _kept(root: Path) -> set[str]:
    """Return the hashes that must stay: what is pinned, and what pinned manifests are made of."""
    kept = tenancy.pinned(root)
    for name in sorted(kept):
        if not (root / "layers" / name).is_dir():
            kept.update(_contents(root / "blobs" / name[:2] / name))
    return kept


def _contents(path: Path) -> set[str]:
    try:
        return {digest.hash for digest in Manifest.decode(path.read_bytes()).contents()}
    except (FileNotFoundError, SpecError):
        return set()


def _remove_layer(root: Path, name: str) -> list[int]:
    """Remove a layer and return the inodes of its files, each as often as it was linked."""
    hidden = root / "removing" / name
    os.rename(root / "layers" / name, hidden)
    inodes = []
    for directory, _, _ in os.walk(hidden):
        with os.scandir(directory) as entries:
            inodes += [entry.inode() for entry in entries if entry.is_file(follow_symlinks=False)]
    shutil.rmtree(hidden)
    return inodes
