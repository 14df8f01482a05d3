import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.errors import StoreError
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import Directory, File, Manifest, Node, Symlink, Whiteout
from maelstrom.store.disk import MTIME_NS, DiskStore
from maelstrom.worker.builder import LayerBuilder

CONTENT = Digest.of(b"content")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskStore]:
    store = DiskStore(tmp_path / "store", size_bytes_max=1 << 30)
    store.put_bytes(CONTENT, b"content")
    yield store
    store.close()


def lay_out(store: DiskStore, entries: list[tuple[str, Node]]) -> Path:
    manifest = Manifest(entries)
    store.put_bytes(manifest.digest, manifest.encoded)
    return store.layers_root / LayerBuilder(store).ensure(manifest)


def test_a_layer_is_what_its_manifest_says(store: DiskStore) -> None:
    odd = b"\xff\n".decode(errors="surrogateescape")
    root = lay_out(
        store,
        [
            ("a-b", File(CONTENT)),
            ("a/b/c", File(CONTENT, is_executable=True)),
            ("a/b/d", File(CONTENT)),
            ("empty", Directory()),
            ("link", Symlink(b"/nowhere/at/all")),
            (odd, File(CONTENT)),
        ],
    )
    assert (root / "a/b/c").stat().st_mode & 0o7777 == 0o555
    assert (root / "a/b/d").stat().st_mode & 0o7777 == 0o444
    assert (root / "a/b/d").stat().st_ino == store.path(CONTENT).stat().st_ino
    assert (root / "a/b/c").read_bytes() == b"content"
    assert (root / "link").readlink() == Path("/nowhere/at/all")
    assert (root / odd).read_bytes() == b"content"
    for path in (root, root / "a", root / "empty"):
        assert path.stat().st_mode & 0o7777 == 0o755
        assert path.stat().st_mtime_ns == MTIME_NS
    assert {path.lstat().st_mtime_ns for path in root.rglob("*")} == {MTIME_NS}


def test_content_that_is_not_there_leaves_no_half_layer(store: DiskStore) -> None:
    with pytest.raises(StoreError, match="not in the store"):
        lay_out(store, [("a", File(CONTENT)), ("b", File(Digest.of(b"lacking")))])
    assert list(store.layers_root.iterdir()) == []
    assert [name for _, names, _ in os.walk(store.root / "tmp") for name in names] == [
        path.name for path in (store.root / "tmp").iterdir()
    ]


def test_nobody_can_put_a_link_in_the_way_of_a_layer_that_is_made(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    lay_out_of = LayerBuilder._lay_out

    def look(layers: LayerBuilder, manifest: Manifest, private: Path) -> None:
        seen.append((private.parent.stat().st_mode & 0o777, list(private.iterdir())))
        lay_out_of(layers, manifest, private)

    monkeypatch.setattr(LayerBuilder, "_lay_out", look)
    lay_out(store, [("a/b", File(CONTENT))])
    assert seen == [(0o700, [])]


def test_a_layer_is_laid_out_once_for_all_who_ask_at_once(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = Manifest([(f"d/{number}", File(CONTENT)) for number in range(300)])
    store.put_bytes(manifest.digest, manifest.encoded)
    layers = LayerBuilder(store)
    built = []
    build = layers._build
    monkeypatch.setattr(layers, "_build", lambda layer: built.append(layer) or build(layer))
    threads = [threading.Thread(target=layers.ensure, args=[manifest]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [manifest]
    assert len(list((store.layers_root / manifest.digest.hash / "d").iterdir())) == 300


def test_another_process_may_be_faster(store: DiskStore) -> None:
    manifest = Manifest([("a", File(CONTENT))])
    store.put_bytes(manifest.digest, manifest.encoded)
    layers = LayerBuilder(store)
    layers.ensure(manifest)
    layers._build(manifest)
    assert (store.layers_root / manifest.digest.hash / "a").read_bytes() == b"content"


def test_a_file_with_all_its_links_used_up_is_copied(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link
    first = store.path(CONTENT).stat().st_ino

    def limited(source: str, target: str, **options: int) -> None:
        if Path(source).stat().st_ino == first:
            raise OSError(31, "Too many links")
        link(source, target, **options)

    monkeypatch.setattr("maelstrom.store.disk.os.link", limited)
    root = lay_out(store, [("a", File(CONTENT))])
    assert (root / "a").read_bytes() == b"content"


def test_an_overlay_of_an_ordinary_user_sees_whiteouts_and_opaque_directories(
    store: DiskStore, tmp_path: Path
) -> None:
    lower = lay_out(
        store,
        [
            ("d/gone", File(CONTENT)),
            ("d/kept", File(CONTENT)),
            ("top", File(CONTENT)),
            ("opaque/old", File(CONTENT)),
        ],
    )
    upper = lay_out(
        store,
        [
            ("d/gone", Whiteout()),
            ("top", Whiteout()),
            ("opaque", Directory(is_opaque=True)),
            ("opaque/new", File(CONTENT)),
        ],
    )
    # The form that kernels before Linux 6.7 understand too.
    assert all((upper / path).is_char_device() for path in ("top", "d/gone"))
    assert shutil.which("unshare"), "util-linux is needed"
    target = tmp_path / "merged"
    target.mkdir()
    script = (
        f"mount -t overlay overlay -o userxattr,lowerdir={upper}:{lower} {target} && "
        f"cd {target} && find . -type f | sort && ls d . opaque"
    )
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode and "MAELSTROM_MUST_SANDBOX" not in os.environ:
        assert "Operation not permitted" in done.stderr
        return
    assert done.stderr == ""
    assert done.stdout.split("\n") == [
        "./d/kept",
        "./opaque/new",
        *[".:", "d", "opaque", "", "d:", "kept", "", "opaque:", "new", ""],
    ]
