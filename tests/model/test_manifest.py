import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maelstrom.errors import SpecError
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import Directory, File, Manifest, Node, Symlink, Whiteout

UNSAVED = settings(database=None)
CONTENT = Digest.of(b"content")
NAMES = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=8)
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4)
NODES: st.SearchStrategy[Node] = st.one_of(
    st.builds(File, st.just(CONTENT), st.booleans()),
    st.builds(Directory, st.booleans()),
    st.builds(Symlink, st.binary(max_size=8)),
    st.just(Whiteout()),
)


@UNSAVED
@given(st.dictionaries(PATHS.map("/".join), NODES, max_size=8))
def test_what_is_encoded_decodes_to_the_same(entries: dict[str, Node]) -> None:
    try:
        manifest = Manifest(entries.items())
    except SpecError:
        return
    again = Manifest.decode(manifest.encoded)
    assert dict(again) == entries
    assert again.digest == manifest.digest


@UNSAVED
@given(st.dictionaries(PATHS.map("/".join), st.just(Directory()), max_size=8))
def test_order_does_not_matter(entries: dict[str, Node]) -> None:
    pairs = list(entries.items())
    assert Manifest(pairs).digest == Manifest(reversed(pairs)).digest


@UNSAVED
@given(st.binary(max_size=200))
def test_bytes_from_anywhere_are_refused_and_never_a_crash(encoded: bytes) -> None:
    with contextlib.suppress(SpecError):
        assert Manifest.decode(encoded).encoded == encoded


@UNSAVED
@given(st.data())
def test_a_manifest_with_one_byte_changed_is_refused_or_another(data: st.DataObject) -> None:
    encoded = bytearray(
        Manifest([("a/b", File(CONTENT)), ("a/c", Symlink(b"b")), ("d", Directory())]).encoded
    )
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(SpecError):
        assert Manifest.decode(bytes(encoded)).encoded == bytes(encoded)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/..",
        "../a",
        "a/./b",
        "a\0b",
        "x" * 256,
        "/".join(["x" * 200] * 21),
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(SpecError):
        Manifest([(path, Directory())])


def test_nothing_lies_below_what_is_no_directory() -> None:
    for node in (File(CONTENT), Symlink(b"/etc"), Whiteout()):
        with pytest.raises(SpecError, match="below something not a directory"):
            Manifest([("a", node), ("a/b/c", Directory())])


def test_a_path_may_be_as_deep_as_its_length_allows() -> None:
    path = "/".join(["x"] * 2048)
    assert len(Manifest([(path, Directory())])) == 1


def test_names_that_are_not_utf8_keep_their_bytes() -> None:
    name = b"\xff\xfe\n".decode(errors="surrogateescape")
    manifest = Manifest([(name, File(CONTENT))])
    assert b"\xff\xfe\n" in manifest.encoded
    assert [path for path, _ in Manifest.decode(manifest.encoded)] == [name]


def test_two_entries_of_one_path_are_not_canonical() -> None:
    encoded = msgspec.msgpack.encode((1, [(b"a", ("d", False)), (b"a", ("d", False))]))
    with pytest.raises(SpecError, match="canonical"):
        Manifest.decode(encoded)


def test_another_format_is_named() -> None:
    with pytest.raises(SpecError, match="format 9"):
        Manifest.decode(msgspec.msgpack.encode((9, [])))
