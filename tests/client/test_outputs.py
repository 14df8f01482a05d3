"""Files that came back from jobs, written below one directory and nowhere else."""

import os
from pathlib import Path

import pytest

from maelstrom.client.outputs import directory_name, write_outputs
from maelstrom.errors import ProtocolError, StoreError
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import OutputFile


def lacking(blob: Digest) -> Path:
    raise StoreError(f"blob {blob.short} is not here")


def test_a_large_content_is_found_where_it_is(tmp_path: Path) -> None:
    content = b"large" * 100
    (tmp_path / "blob").write_bytes(content)
    files = (OutputFile(b"x", "program", b"", Digest.of(content)),)
    place = write_outputs(tmp_path / "outputs", "t", "c", files, lambda blob: tmp_path / "blob")
    assert (place / "x").read_bytes() == content
    assert os.access(place / "x", os.X_OK)
    with pytest.raises(StoreError):
        write_outputs(tmp_path / "outputs", "t", "c", files, lacking)


def test_files_of_the_project_are_found_at_their_path_in_it(tmp_path: Path) -> None:
    files = (
        OutputFile(b"project/out", "directory", b""),
        OutputFile(b"project/out/log", "file", b"text"),
        OutputFile(b"project/run", "program", b"#!"),
        OutputFile(b"project/link", "link", b"out/log"),
        OutputFile(b"tmp/x", "file", b""),
    )
    place = write_outputs(tmp_path, "net/sum", "A::b[1/2]", files, lacking)
    assert place == tmp_path / "net/sum/A%3A%3Ab[1%2F2]"
    assert (place / "link").read_text() == "text"
    assert os.access(place / "run", os.X_OK)
    assert not os.access(place / "out/log", os.X_OK)
    assert (place / "tmp/x").read_bytes() == b""


def test_those_of_the_last_run_are_gone(tmp_path: Path) -> None:
    write_outputs(tmp_path, "t", "c", (OutputFile(b"old", "file", b""),), lacking)
    place = write_outputs(tmp_path, "t", "c", (OutputFile(b"new", "file", b""),), lacking)
    assert [path.name for path in place.iterdir()] == ["new"]


@pytest.mark.parametrize(
    "path", [b"../x", b"a/../../x", b"", b"a//b", b"/x", b"project/..", b"x\0"]
)
def test_no_path_leads_elsewhere(tmp_path: Path, path: bytes) -> None:
    with pytest.raises(ProtocolError, match="cannot be the path of an output"):
        write_outputs(tmp_path / "outputs", "t", "c", (OutputFile(path, "file", b""),), lacking)


def test_no_path_leads_through_a_link(tmp_path: Path) -> None:
    files = (OutputFile(b"a", "link", os.fsencode(tmp_path)), OutputFile(b"a/b", "file", b""))
    with pytest.raises(OSError, match="exists"):
        write_outputs(tmp_path / "outputs", "t", "c", files, lacking)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("plain", "plain"),
        ("a/b", "a%2Fb"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("a..b", "a..b"),
        ("ü", "%C3%BC"),
    ],
)
def test_a_case_has_a_directory_of_its_own(case: str, name: str) -> None:
    assert directory_name(case) == name


def test_long_names_are_told_apart() -> None:
    one, other = (directory_name("x" * 300 + end) for end in "ab")
    assert one != other
    assert len(one) < 200
