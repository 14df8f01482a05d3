import io
import os
import tarfile
from pathlib import Path

import pytest

from maelstrom.errors import LayerError
from maelstrom.layers import archive
from maelstrom.layers.hasher import Hasher
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import Directory, File, Symlink


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info


def make(tmp_path: Path, *entries: tarfile.TarInfo, mode: str = "w") -> str:
    path = tmp_path / "a.tar"
    with tarfile.open(path, mode) as tar:
        for info in entries:
            content = b"content of " + os.fsencode(info.name) if info.isreg() else b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return os.fspath(path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_becomes_a_layer(tmp_path: Path, mode: str) -> None:
    program = entry("./bin/program")
    program.mode = 0o755
    odd = b"\xff\n".decode(errors="surrogateescape")
    path = make(
        tmp_path,
        entry(".", tarfile.DIRTYPE),
        entry("bin", tarfile.DIRTYPE),
        program,
        entry("again", tarfile.LNKTYPE, "bin/program"),
        entry("link", tarfile.SYMTYPE, "/etc/../x"),
        entry(odd),
        mode=mode,
    )
    digest = Digest.of(b"content of ./bin/program")
    with Hasher(tmp_path / "cache") as hasher:
        for _ in range(2):
            built = archive.build(path, hasher)
            assert dict(built.manifest) == {
                "bin": Directory(),
                "bin/program": File(digest, is_executable=True),
                "again": File(digest, is_executable=True),
                "link": Symlink(b"/etc/../x"),
                odd: File(Digest.of(b"content of \xff\n")),
            }
            source = built.sources[digest]
            assert isinstance(source, str)
            assert Path(source).read_bytes() == b"content of ./bin/program"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry("../evil")], r"'../evil', which leads out"),
        ([entry("a/../../evil")], r"which leads out"),
        ([entry("/etc/passwd")], r"'/etc/passwd', which is absolute"),
        ([entry("dev", tarfile.CHRTYPE)], r"'dev', which is neither"),
        ([entry("dev", tarfile.BLKTYPE)], r"'dev', which is neither"),
        ([entry("fifo", tarfile.FIFOTYPE)], r"'fifo', which is neither"),
        ([entry("h", tarfile.LNKTYPE, "/etc/shadow")], r"hard link to '/etc/shadow'"),
        ([entry("h", tarfile.LNKTYPE, "../x")], r"hard link to '../x'"),
        ([entry("h", tarfile.LNKTYPE, "later"), entry("later")], r"no file that came before"),
        ([entry("l", tarfile.SYMTYPE, "/etc"), entry("l/passwd")], r"below something"),
        ([entry(".")], r"in place of its root"),
    ],
)
def test_an_entry_that_could_do_harm_is_named(
    tmp_path: Path, entries: list[tarfile.TarInfo], message: str
) -> None:
    path = make(tmp_path, *entries)
    with Hasher() as hasher, pytest.raises(LayerError, match=message):
        archive.build(path, hasher)


def test_the_later_of_two_entries_wins(tmp_path: Path) -> None:
    path = make(tmp_path, entry("a"), entry("a", tarfile.DIRTYPE))
    with Hasher() as hasher:
        assert dict(archive.build(path, hasher).manifest) == {"a": Directory()}


def test_number_and_size_of_entries_have_limits(tmp_path: Path) -> None:
    path = make(tmp_path, entry("a"), entry("b"))
    with Hasher() as hasher:
        with pytest.raises(LayerError, match="more than 1 entries"):
            archive.build(path, hasher, entries_max=1)
        with pytest.raises(LayerError, match="more than a layer may"):
            archive.build(path, hasher, bytes_max=15)


@pytest.mark.parametrize("kind", ["text", "cut", "empty"])
def test_what_is_no_sound_archive_is_told(tmp_path: Path, kind: str) -> None:
    path = Path(make(tmp_path, *[entry(f"{number}") for number in range(50)], mode="w:gz"))
    content = path.read_bytes()
    path.write_bytes({"text": b"hello" * 500, "cut": content[: len(content) // 2]}.get(kind, b""))
    with Hasher() as hasher, pytest.raises(LayerError, match="not a sound tar archive"):
        archive.build(os.fspath(path), hasher)
