"""What is sent to hosts is the same for the same checkout."""

from pathlib import Path

import pytest

from maelstrom.errors import UserError
from provision import wheelhouse
from provision.wheelhouse import Target, gather

TARGET = Target((3, 11), "x86_64")


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what pip was asked for; it gives two wheels."""
    asked: list[str] = []

    def run(verb: str, *arguments: str) -> None:
        asked.append(verb)
        place = Path(arguments[arguments.index("--dest") + 1])
        (place / "click-8.1-py3-none-any.whl").write_bytes(b"click")
        (place / "pip-26.0-py3-none-any.whl").write_bytes(b"pip")

    monkeypatch.setattr(wheelhouse, "_pip", run)
    return asked


def _wheel(place: Path, content: bytes = b"ours") -> str:
    path = place / "maelstrom_scons-1.0-py3-none-any.whl"
    path.write_bytes(content)
    return str(path)


def test_an_archive_is_made_once_and_named_after_its_content(
    pip: list[str], tmp_path: Path
) -> None:
    first = gather(TARGET, _wheel(tmp_path), tmp_path / "cache")
    again = gather(TARGET, _wheel(tmp_path), tmp_path / "cache")
    elsewhere = gather(TARGET, _wheel(tmp_path), tmp_path / "other")
    assert first.release == again.release == elsewhere.release
    assert first.release.name == f"1.0-{first.release.archive_sha256[:12]}"
    assert first.version == "1.0"
    assert pip == ["download", "download"]


def test_other_content_and_another_python_are_another_release(
    pip: list[str], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first = gather(TARGET, _wheel(tmp_path), cache)
    assert gather(TARGET, _wheel(tmp_path, b"changed"), cache).release != first.release
    assert gather(Target((3, 13), "x86_64"), _wheel(tmp_path), cache).path != first.path
    assert str(Target((3, 13), "aarch64")) == "cp313-aarch64"


def test_all_wheels_but_pip_are_required_by_their_digests(pip: list[str], tmp_path: Path) -> None:
    import tarfile

    archive = gather(TARGET, _wheel(tmp_path), tmp_path / "cache")
    with tarfile.open(archive.path) as tar:
        text = tar.extractfile("requirements.txt")
        assert text is not None
        lines = text.read().decode().splitlines()
    assert lines[0] == "--find-links ."
    assert [line.split(" ")[0] for line in lines[1:]] == ["click==8.1", "maelstrom_scons==1.0"]
    assert all("--hash=sha256:" in line for line in lines[1:])


def test_a_wheel_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no wheel"):
        gather(TARGET, str(tmp_path / "x.whl"), tmp_path / "cache")
