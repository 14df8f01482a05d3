import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.errors import LayerError
from maelstrom.layers import python
from maelstrom.layers.build import BuiltLayer, build
from maelstrom.layers.hasher import Hasher
from maelstrom.model.layer import Python
from maelstrom.model.manifest import File, Symlink
from maelstrom.store.disk import DiskStore
from maelstrom.worker.builder import LayerBuilder

BASE = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
PROGRAM = """
import importlib.util, json, sys
import ssl, sqlite3, ctypes, lzma, bz2, zlib, hashlib, asyncio, decimal, unittest, test.support
header = open(ssl.__cached__, "rb").read(16)
print(json.dumps([sys.prefix, sys.base_prefix, header[4:8].hex(), ssl.__cached__]))
"""


@pytest.fixture
def hasher(tmp_path: Path) -> Iterator[Hasher]:
    with Hasher(tmp_path / "cache") as hasher:
        yield hasher


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a virtual environment in it, which has one package."""
    project = tmp_path / "project"
    project.mkdir()
    subprocess.run([BASE, "-m", "venv", "--without-pip", project / "env"], check=True, timeout=60)
    package = site(project) / "example"
    package.mkdir()
    (package / "__init__.py").write_text("WORD = 'hello'\n")
    script = project / "env" / "bin" / "example"
    script.write_text(f"#!{project}/env/bin/python\nimport example\nprint(example.WORD)\n")
    script.chmod(0o755)
    return project


def site(project: Path) -> Path:
    (found,) = (project / "env" / "lib").glob("python3.*/site-packages")
    return found


def place(path: Path) -> str:
    """Return where a file of this host is in a container, as manifests say it."""
    moved = "/host" if path.is_relative_to("/tmp") else ""
    return f"{moved}{path}".lstrip("/")


def lay_out(built: BuiltLayer, tmp_path: Path) -> Path:
    store = DiskStore(tmp_path / "store", size_bytes_max=1 << 34)
    for digest, source in built.sources.items():
        if isinstance(source, bytes):
            store.put_bytes(digest, source)
        else:
            store.put_file(digest, source)
    store.put_bytes(built.manifest.digest, built.manifest.encoded)
    root = store.layers_root / LayerBuilder(store).ensure(built.manifest)
    store.close()
    return root


def run_in(root: Path, *command: str) -> str:
    unshare, chroot = shutil.which("unshare"), shutil.which("chroot", path="/usr/sbin:/usr/bin")
    assert unshare, "util-linux is needed"
    assert chroot, "coreutils are needed"
    done = subprocess.run(
        [unshare, "-Ur", chroot, root, *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"LC_ALL": "C.UTF-8"},
    )
    assert done.stderr == ""
    return done.stdout


def test_a_virtual_environment_in_the_project_runs_alone(
    project: Path, hasher: Hasher, tmp_path: Path
) -> None:
    built = build(Python("env/bin/python"), project=os.fspath(project), hasher=hasher)
    root = lay_out(built, tmp_path)
    inside = python.container_path("env/bin/python", project=os.fspath(project))
    assert inside == "/project/env/bin/python"
    prefix, base_prefix, flags, cached = json.loads(run_in(root, inside, "-c", PROGRAM))
    assert prefix == "/project/env"
    assert base_prefix == sys.base_prefix
    assert flags == "01000000", "the pyc is not of the unchecked, hash-based kind"
    assert cached.startswith(sys.base_prefix)
    assert run_in(root, "/project/env/bin/example") == "hello\n"
    code = "import example; print(example.__file__, example.__spec__.cached)"
    assert "/project/env/lib" in run_in(root, inside, "-c", code)
    assert os.fspath(project).encode() not in built.manifest.encoded
    assert not [path for path, _ in built.manifest if "/idlelib/" in path]


def test_an_environment_below_tmp_is_where_no_container_hides_it(
    hasher: Hasher, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        command = [sys.executable, "-m", "venv", "--without-pip", f"{directory}/env"]
        subprocess.run(command, check=True)
        interpreter = f"{directory}/env/bin/python"
        built = build(Python(interpreter), project=os.fspath(tmp_path), hasher=hasher)
        inside = python.container_path(interpreter, project=os.fspath(tmp_path))
        assert inside == f"/host{interpreter}"
        assert not [path for path, _ in built.manifest if path.startswith("tmp/")]
        root = lay_out(built, tmp_path)
    assert run_in(root, inside, "-c", "import sys; print(sys.prefix)") == f"/host{directory}/env\n"


def test_a_base_below_tmp_is_moved_too(hasher: Hasher, tmp_path: Path) -> None:
    major = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        # As large as a Python is that starts: links stand for most of it.
        base = Path(directory) / "base"
        library = Path(sys.base_prefix) / "lib" / major
        (base / "bin").mkdir(parents=True)
        shutil.copy(BASE, base / "bin" / major)
        (base / "lib" / major).mkdir(parents=True)
        for item in library.iterdir():
            if item.name not in ("site-packages", "test", "__pycache__"):
                (base / "lib" / major / item.name).symlink_to(item)
        for item in Path(sys.base_prefix, "lib").glob("libpython*"):
            (base / "lib" / item.name).symlink_to(item)
        command = [base / "bin" / major, "-m", "venv", "--without-pip", f"{directory}/env"]
        subprocess.run(command, check=True)
        interpreter = f"{directory}/env/bin/python"
        built = build(Python(interpreter), project=os.fspath(tmp_path), hasher=hasher)
        inside = python.container_path(interpreter, project=os.fspath(tmp_path))
        root = lay_out(built, tmp_path)
    told = run_in(root, inside, "-c", "import json, sys; print(sys.prefix, sys.base_prefix)")
    assert told == f"/host{directory}/env /host{base}\n"


def test_the_second_time_costs_little_and_a_change_is_seen(project: Path, hasher: Hasher) -> None:
    spec = Python("env/bin/python")
    first = build(spec, project=os.fspath(project), hasher=hasher)
    before = time.process_time()
    again = build(spec, project=os.fspath(project), hasher=hasher)
    assert time.process_time() - before < 0.5
    assert again.manifest.digest == first.manifest.digest
    assert again.sources.keys() == first.sources.keys()
    (site(project) / "example" / "__init__.py").write_text("WORD = 'later'\n")
    changed = build(spec, project=os.fspath(project), hasher=hasher)
    assert changed.manifest.digest != first.manifest.digest


def test_editable_installs_are_taken_or_told(project: Path, hasher: Hasher, tmp_path: Path) -> None:
    (project / "src").mkdir()
    (project / "src" / "mine.py").write_text("")
    outside = tmp_path / "outside"
    (outside / "theirs").mkdir(parents=True)
    (outside / "theirs" / "__init__.py").write_text("")
    mapped = tmp_path / "mapped"
    mapped.mkdir()
    (mapped / "__init__.py").write_text("")
    (site(project) / "mine.pth").write_text(f"{project}/src\n")
    (site(project) / "theirs.pth").write_text(f"{outside}\n")
    finder = site(project) / "__editable___mapped_finder.py"
    finder.write_text(f"MAPPING: dict[str, str] = {{'mapped': {os.fspath(mapped)!r}}}\n")
    built = build(Python("env/bin/python"), project=os.fspath(project), hasher=hasher)
    paths = dict(built.manifest)
    assert place(outside / "theirs/__init__.py") in paths
    assert place(mapped / "__init__.py") in paths
    for name, text in (("theirs.pth", place(outside)), ("__editable___mapped_finder.py", mapped)):
        entry = paths[f"project/env/lib/python3.{sys.version_info[1]}/site-packages/{name}"]
        assert isinstance(entry, File)
        source = built.sources[entry.content]
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        assert f"/{place(Path(text))}".encode() in content
    assert not [path for path in paths if path.endswith("mine.py")]
    (note,) = built.notes
    assert "found at `/project/src`" in note
    moved = paths[f"project/{os.path.relpath(site(project) / 'mine.pth', project)}"]
    assert isinstance(moved, File)
    source = built.sources[moved.content]
    assert source == b"/project/src\n"


def test_an_editable_checkout_does_not_bring_its_environments(
    project: Path, hasher: Hasher, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    for name in (
        *("theirs", ".git", ".hidden/env", "env/lib", "theirs/.libs"),
        "theirs/project/.maelstrom",
    ):
        (outside / name).mkdir(parents=True)
        (outside / name / "x.py").write_text("")
    (outside / "env/pyvenv.cfg").write_text("home = /usr/bin\n")
    (outside / "theirs/project/.sconsign.dblite").write_text("")
    (site(project) / "theirs.pth").write_text(f"{outside}\n")
    built = build(Python("env/bin/python"), project=os.fspath(project), hasher=hasher)
    start = place(outside)
    found = {path.removeprefix(start) for path, _ in built.manifest if path.startswith(start)}
    kept = {path for path in found if path.endswith((".py", ".dblite"))}
    assert kept == {"/theirs/x.py", "/theirs/.libs/x.py"}


def test_links_of_the_environment_are_kept(project: Path, hasher: Hasher) -> None:
    built = build(Python("env/bin/python"), project=os.fspath(project), hasher=hasher)
    paths = dict(built.manifest)
    assert isinstance(paths["project/env/bin/python"], Symlink)
    assert isinstance(paths[BASE.lstrip("/")], File)


def test_what_is_no_python_is_named(tmp_path: Path, hasher: Hasher) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho no >&2; exit 3\n")
    fake.chmod(0o755)
    for name, message in (
        ("none/python", "none/python' does not exist"),
        ("no-such-python", "no Python `no-such-python` in PATH"),
        ("./python", "is not a Python that works: no"),
    ):
        with pytest.raises(LayerError, match=message):
            build(Python(name), project=os.fspath(tmp_path), hasher=hasher)


def test_a_source_that_does_not_compile_goes_without_a_pyc(project: Path, hasher: Hasher) -> None:
    (site(project) / "broken.py").write_text("def (\n")
    built = build(Python("env/bin/python"), project=os.fspath(project), hasher=hasher)
    names = [os.path.basename(path) for path, _ in built.manifest]
    assert "broken.py" in names
    assert not [name for name in names if name.startswith("broken.cpython")]
