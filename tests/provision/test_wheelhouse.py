"""What is sent to hosts is the same for the same checkout, and what they unpack works."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from maelstrom.errors import UserError
from provision import wheelhouse
from provision.environment import PYTHON, pack, precompile, programs, tidy
from provision.wheelhouse import ARCHIVES_KEPT, Target, gather

TARGET = Target((3, 11), "x86_64")
ENTRY_POINTS = """\
[console_scripts]
hello = hello.main:run
Loud-Hello = hello.main:Loud.run [more]
[other]
x = y:z
"""
MAIN = """\
def run():
    print("hello")
    return 3
class Loud:
    run = run
"""


def _unpack(packages: Path, content: bytes = b"ours") -> None:
    """Do what `pip install --target` does with a small package."""
    info = packages / "hello-1.0.dist-info"
    for directory in (packages / "hello", info, packages / "bin"):
        directory.mkdir(parents=True)
    (packages / "hello/__init__.py").write_bytes(b"# " + content)
    (packages / "hello/main.py").write_text(MAIN)
    (packages / "bin/hello").write_text(f"#!{sys.executable}\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (info / "direct_url.json").write_text(str(packages))
    (info / "RECORD").write_text(
        "hello/main.py,sha256=x,1\nbin/hello,sha256=y,2\nhello/__init__.py,sha256=z,3\n"
        "hello-1.0.dist-info/direct_url.json,sha256=w,4\nhello-1.0.dist-info/RECORD,,\n"
    )


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what pip was asked for; it unpacks a package."""
    asked: list[str] = []

    def run(verb: str, *arguments: str) -> None:
        asked.append(verb)
        place = Path(arguments[arguments.index("--target") + 1])
        _unpack(place, Path(arguments[-1]).read_bytes())

    monkeypatch.setattr(wheelhouse, "_pip", run)
    return asked


def _wheel(place: Path, content: bytes = b"ours") -> str:
    path = place / "maelstrom_scons-1.0-py3-none-any.whl"
    path.write_bytes(content)
    return str(path)


def test_an_archive_is_made_once_and_named_after_its_content(
    pip: list[str], tmp_path: Path
) -> None:
    said: list[str] = []
    first = gather(TARGET, _wheel(tmp_path), tmp_path / "cache", said.append)
    again = gather(TARGET, _wheel(tmp_path), tmp_path / "cache", said.append)
    elsewhere = gather(TARGET, _wheel(tmp_path), tmp_path / "other")
    assert first.release == again.release == elsewhere.release
    content = first.path.read_bytes()
    assert first.release.archive_sha256 == hashlib.sha256(content).hexdigest()
    assert first.release.name.startswith("1.0-")
    assert first.version == "1.0"
    assert pip == ["install", "install"]
    assert said == ["gathering what hosts with Python 3.11 on x86_64 need (kept for later)"]


def test_other_content_and_another_python_are_another_release(
    pip: list[str], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first = gather(TARGET, _wheel(tmp_path), cache)
    assert gather(TARGET, _wheel(tmp_path, b"changed"), cache).release != first.release
    assert gather(Target((3, 13), "x86_64"), _wheel(tmp_path), cache).path != first.path
    assert str(Target((3, 13), "aarch64")) == "cp313-aarch64"


def test_only_the_newest_archives_are_kept(pip: list[str], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    made = []
    for number in range(ARCHIVES_KEPT + 3):
        made.append(gather(TARGET, _wheel(tmp_path, b"%d" % number), cache).path)
        for path in cache.iterdir():
            os.utime(path, ns=(0, path.stat().st_mtime_ns - 10**9))
    assert [path.exists() for path in made] == [False] * 3 + [True] * ARCHIVES_KEPT
    assert len(list(cache.iterdir())) == 2 * ARCHIVES_KEPT


def test_nothing_of_this_machine_is_in_an_archive(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _unpack(tmp_path / name)
        tidy(tmp_path / name)
    packed = pack(tmp_path / "one", (3, 11))
    assert packed == pack(tmp_path / "two", (3, 11))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        names = tar.getnames()
        record = tar.extractfile("lib/python3.11/site-packages/hello-1.0.dist-info/RECORD")
        assert record is not None
        listed = [line.split(",")[0] for line in record.read().decode().splitlines()]
    assert "bin/hello" in names
    assert not [name for name in names if name.endswith("direct_url.json")]
    assert listed == ["hello-1.0.dist-info/RECORD", "hello/__init__.py", "hello/main.py"]


THIS = sys.version_info[:2]


@pytest.mark.parametrize(("python", "is_compiled"), [(THIS, True), ((2, 7), False)])
def test_hosts_with_the_python_of_this_machine_get_what_is_compiled(
    python: tuple[int, int], is_compiled: bool, tmp_path: Path
) -> None:
    _unpack(tmp_path / "packages")
    (tmp_path / "packages/maelstrom/client").mkdir(parents=True)
    (tmp_path / "packages/maelstrom/client/job.py").write_text("x = 1\n")
    precompile(tmp_path / "packages", python)
    place = tmp_path / "host/lib/python{}.{}/site-packages".format(*python)
    (tmp_path / "host").mkdir()
    unpack = ["tar", "-xz", "-C", tmp_path / "host"]
    subprocess.run(unpack, input=pack(tmp_path / "packages", python), check=True)
    compiled = list(place.rglob("*.pyc"))
    assert sorted({path.parent.parent.name for path in compiled}) == ["hello"] * is_compiled
    # A Python that may not write takes them, and says so.
    done = subprocess.run(
        [sys.executable, "-B", "-v", "-c", "import hello.main"],
        cwd=place, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (f"matches {place}/hello/main.py" in done.stderr) == is_compiled


def test_what_only_clients_load_is_not_in_an_archive(tmp_path: Path) -> None:
    _unpack(tmp_path)
    for name, files in {
        "scons-4.9": ("SCons/Main.py", "bin/scons"),
        "cffi-2.0": ("cffi/api.py", "_cffi_backend.so"),
    }.items():
        for file in files:
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text("")
        info = tmp_path / f"{name}.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text("[console_scripts]\nx = cffi.gen:run\n")
        (info / "RECORD").write_text("".join(f"{f},,\n" for f in (*files, f"{info.name}/RECORD")))
    tidy(tmp_path)
    assert dict(programs(tmp_path)).keys() == {"hello", "Loud-Hello"}
    assert {path.name for path in tmp_path.iterdir()} == {
        "_cffi_backend.so", "bin", "cffi-2.0.dist-info", "hello", "hello-1.0.dist-info",
    }  # fmt: skip


def test_programs_of_packages_run_from_where_they_are_unpacked(tmp_path: Path) -> None:
    _unpack(tmp_path)
    texts = dict(programs(tmp_path))
    assert list(texts) == ["hello", "Loud-Hello"]
    for text in texts.values():
        assert text.startswith(f"#!{PYTHON}\n")
        done = subprocess.run(
            [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.stdout, done.returncode) == ("hello\n", 3)


def test_a_wheel_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no wheel"):
        gather(TARGET, str(tmp_path / "x.whl"), tmp_path / "cache")
