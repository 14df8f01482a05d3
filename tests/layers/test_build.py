import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.errors import LayerError
from maelstrom.layers import system
from maelstrom.layers.build import BuiltLayer, build, files
from maelstrom.layers.hasher import Hasher
from maelstrom.model.digest import Digest
from maelstrom.model.layer import (
    Glob,
    LayerSpec,
    Paths,
    Prefix,
    Programs,
    SharedLibraries,
    Stubs,
    Symlinks,
    Tar,
)
from maelstrom.model.manifest import Directory, File, Node, Symlink
from maelstrom.store.disk import DiskStore
from maelstrom.worker.builder import LayerBuilder


@pytest.fixture
def hasher(tmp_path: Path) -> Iterator[Hasher]:
    with Hasher(tmp_path / "cache") as hasher:
        yield hasher


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    for name in ("data/a.txt", "data/sub/b.txt", "data/.hidden", "src/x.py", ".git/HEAD"):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (project / "data" / "empty").mkdir()
    (project / "src" / "__pycache__").mkdir()
    (project / "src" / "__pycache__" / "x.pyc").write_text("junk")
    (project / "data" / "link").symlink_to("a.txt")
    (project / "run.sh").write_text("#!/bin/sh\n")
    (project / "run.sh").chmod(0o700)
    return project


def tree(spec: LayerSpec, project: Path, hasher: Hasher) -> dict[str, Node]:
    return dict(build(spec, project=os.fspath(project), hasher=hasher).manifest)


def names(spec: LayerSpec, project: Path, hasher: Hasher) -> list[str]:
    return list(tree(spec, project, hasher))


def test_a_directory_comes_with_all_that_is_in_it(project: Path, hasher: Hasher) -> None:
    assert tree(Paths(("data", "run.sh")), project, hasher) == {
        "project/data": Directory(),
        "project/data/.hidden": File(Digest.of(b"data/.hidden")),
        "project/data/a.txt": File(Digest.of(b"data/a.txt")),
        "project/data/empty": Directory(),
        "project/data/link": Symlink(b"a.txt"),
        "project/data/sub": Directory(),
        "project/data/sub/b.txt": File(Digest.of(b"data/sub/b.txt")),
        "project/run.sh": File(Digest.of(b"#!/bin/sh\n"), is_executable=True),
    }


def test_two_checkouts_make_the_same_layer(project: Path, hasher: Hasher, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    subprocess.run(["cp", "-r", project, other], check=True, timeout=30)
    for spec in (Paths((".",)), Glob("**"), Paths(("data",), prefix=Prefix(canonicalize=True))):
        first = build(spec, project=os.fspath(project), hasher=hasher)
        second = build(spec, project=os.fspath(other), hasher=hasher)
        assert first.manifest.digest == second.manifest.digest


def test_what_tools_keep_for_themselves_is_left_out(project: Path, hasher: Hasher) -> None:
    found = names(Paths((".",)), project, hasher)
    assert "project/src/x.py" in found
    assert not [name for name in found if ".git" in name or "__pycache__" in name]
    assert names(Paths((".git",)), project, hasher) == ["project/.git", "project/.git/HEAD"]


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        (("*.txt",), ["data", "data/.hidden", "data/empty", "data/link", "data/sub"]),
        (("sub/", "empty/", ".*"), ["data", "data/a.txt", "data/link"]),
        (("/data/*", "!a.txt"), ["data", "data/a.txt"]),
    ],
)
def test_ignore_rules_leave_things_out(
    project: Path, hasher: Hasher, ignore: tuple[str, ...], left: list[str]
) -> None:
    found = names(Paths(("data",), ignore=ignore), project, hasher)
    assert found == [f"project/{name}" for name in left]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("data/*.txt", ["data/a.txt"]),
        ("**/*.txt", ["data/a.txt", "data/sub/b.txt"]),
        ("{run.sh,src/*}", ["run.sh", "src/x.py"]),
        ("data/l*", ["data/link"]),
        (".git/**", [".git/HEAD"]),
    ],
)
def test_a_glob_finds_files(project: Path, hasher: Hasher, pattern: str, found: list[str]) -> None:
    assert names(Glob(pattern), project, hasher) == [f"project/{name}" for name in found]


PREFIXES = [
    (Prefix(strip_prefix="data"), "project/a.txt"),
    (Prefix(strip_prefix="dat"), "project/data/a.txt"),
    (Prefix(prepend_prefix="/srv"), "srv/data/a.txt"),
    (Prefix(strip_prefix="data/", prepend_prefix="/srv"), "srv/a.txt"),
    (Prefix(prepend_prefix="below"), "project/below/data/a.txt"),
    (Prefix(canonicalize=True), "project/data/a.txt"),
    (Prefix(canonicalize=True, strip_prefix="/project"), "project/data/a.txt"),
    (Prefix(canonicalize=True, strip_prefix="/project", prepend_prefix="/x"), "x/data/a.txt"),
]


@pytest.mark.parametrize(("prefix", "place"), PREFIXES)
def test_prefix_options_work_in_their_order(
    project: Path, hasher: Hasher, prefix: Prefix, place: str
) -> None:
    assert names(Paths(("data/a.txt",), prefix=prefix), project, hasher) == [place]


def test_a_link_is_kept_or_followed_or_resolved(project: Path, hasher: Hasher) -> None:
    link = Paths(("data/link",))
    assert tree(link, project, hasher) == {"project/data/link": Symlink(b"a.txt")}
    content = File(Digest.of(b"data/a.txt"))
    followed = Paths(("data/link",), prefix=Prefix(follow_symlinks=True))
    assert tree(followed, project, hasher) == {"project/data/link": content}
    resolved = Paths(("data/link",), prefix=Prefix(canonicalize=True))
    assert tree(resolved, project, hasher) == {"project/data/a.txt": content}


def test_an_absolute_path_stays_where_it_is(project: Path, hasher: Hasher, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "f").write_text("x")
    (tmp_path / "way").symlink_to("real")
    top = os.fspath(tmp_path).lstrip("/")
    found = tree(Paths((f"/{top}/way/f",)), project, hasher)
    assert found[f"{top}/way"] == Symlink(b"real")
    assert found[f"{top}/real/f"] == File(Digest.of(b"x"))


def test_names_may_have_newlines_and_bytes_that_are_no_text(project: Path, hasher: Hasher) -> None:
    odd = b"data/\xff\n'".decode(errors="surrogateescape")
    (project / odd).write_text("odd")
    for spec in (Paths((odd,)), Glob("data/*\n*")):
        assert names(spec, project, hasher) == [f"project/{odd}"]


BAD: list[tuple[LayerSpec, str]] = [
    (Paths(("../x",)), "'../x' lies outside the project"),
    (Paths(("data/../../x",)), "lies outside the project"),
    (Paths(("",)), "'' is not a path"),
    (Paths(("a\0b",)), "is not a path"),
    (Paths(("data/none",)), "data/none' does not exist"),
    (Glob("*.none"), r"the glob `\*.none` matches nothing"),
    (Glob("data"), "matches nothing"),
    (Glob("/etc/*"), "is absolute"),
    (Glob("../*"), "is not a pattern"),
    (Stubs(("/{a",)), "without its"),
    (Stubs(("/a/../b",)), "cannot be a path"),
    (Stubs(("/a", "/a/b")), "below something not a directory"),
    (Stubs(("/a", "/a/")), "'/a' would be both"),
    (Symlinks((("/a", ""),)), "needs a target"),
    (Tar("none.tar"), "none.tar"),
    (SharedLibraries(("none",)), "none' does not exist"),
    (Programs(("no-such-program",)), "no program 'no-such-program' in PATH"),
    (Programs(("./no-such-program",)), "does not exist"),
]


@pytest.mark.parametrize(("spec", "message"), BAD, ids=lambda value: str(value)[:40])
def test_a_mistake_is_named(project: Path, hasher: Hasher, spec: LayerSpec, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        build(spec, project=os.fspath(project), hasher=hasher)


def test_what_is_no_file_in_a_directory_is_named(project: Path, hasher: Hasher) -> None:
    os.mkfifo(project / "data" / "pipe")
    with pytest.raises(LayerError, match="pipe' is a named pipe"):
        names(Paths(("data",)), project, hasher)
    (project / "data" / "pipe").unlink()
    here = Path.cwd()
    os.chdir(project / "data")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        os.chdir(here)
        with pytest.raises(LayerError, match="s' is a socket") as caught:
            names(Glob("data/**"), project, hasher)
    assert "ignore" in caught.value.hint
    assert names(Glob("data/**", ignore=("s",)), project, hasher)


def test_loops_of_links_end(project: Path, hasher: Hasher) -> None:
    (project / "data" / "up").symlink_to("..")
    assert "project/data/up" in names(Paths(("data",)), project, hasher)
    for spec in (
        Paths(("data",), prefix=Prefix(follow_symlinks=True)),
        Glob("data/**", prefix=Prefix(follow_symlinks=True)),
    ):
        with pytest.raises(LayerError, match="leads into itself"):
            names(spec, project, hasher)
    (project / "self").symlink_to("self")
    with pytest.raises(LayerError, match="self"):
        names(Paths(("self",), prefix=Prefix(follow_symlinks=True)), project, hasher)
    (project / "dead").symlink_to("nowhere")
    with pytest.raises(LayerError, match="a link to 'nowhere', which does not exist"):
        names(Paths(("dead",), prefix=Prefix(follow_symlinks=True)), project, hasher)


def test_stubs_and_links_are_made_of_nothing(project: Path, hasher: Hasher) -> None:
    empty = File(Digest.of(b""))
    assert tree(Stubs(("/{dev,run}/", "/dev/{null,zero}", "here")), project, hasher) == {
        "dev": Directory(),
        "dev/null": empty,
        "dev/zero": empty,
        "project/here": empty,
        "run": Directory(),
    }
    assert tree(Symlinks((("/dev/fd", "/proc/self/fd"),)), project, hasher) == {
        "dev/fd": Symlink(b"/proc/self/fd")
    }


def test_single_files_go_where_they_are_wanted(project: Path, hasher: Hasher) -> None:
    built = files({"/project/t": os.fspath(project / "run.sh")}, hasher=hasher)
    assert dict(built.manifest)["project/t"] == File(Digest.of(b"#!/bin/sh\n"), True)
    assert list(built.sources.values()) == [os.fspath(project / "run.sh")]
    with pytest.raises(LayerError, match="is a directory"):
        files({"/x": os.fspath(project)}, hasher=hasher)
    with pytest.raises(LayerError, match="'relative' cannot be a path"):
        files({"relative": os.fspath(project / "run.sh")}, hasher=hasher)


def lay_out(built: list[BuiltLayer], tmp_path: Path) -> Path:
    """Copy layers one over the other, as an overlay would show them."""
    store = DiskStore(tmp_path / "store", size_bytes_max=1 << 34)
    root = tmp_path / "root"
    for layer in built:
        for digest, source in layer.sources.items():
            if isinstance(source, bytes):
                store.put_bytes(digest, source)
            else:
                store.put_file(digest, source)
        store.put_bytes(layer.manifest.digest, layer.manifest.encoded)
        name = LayerBuilder(store).ensure(layer.manifest)
        subprocess.run(
            ["cp", "-a", "--reflink=auto", f"{store.layers_root}/{name}/.", root],
            check=True,
            timeout=60,
        )
    store.close()
    return root


def run_in(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "-Ur", "chroot", root, *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin:/usr/sbin"},
    )


def test_programs_run_with_nothing_but_their_layers(hasher: Hasher, tmp_path: Path) -> None:
    spec = Programs(("true", "sh", "ls", "id"))
    layers = [system.build(hasher=hasher), build(spec, project="/none", hasher=hasher)]
    root = lay_out(layers, tmp_path)
    assert run_in(root, "/bin/true").returncode == 0
    done = run_in(root, "/bin/sh", "-c", "id -un && ls /etc/passwd")
    assert (done.stdout, done.stderr) == ("root\n/etc/passwd\n", "")


def test_a_script_brings_its_interpreter(project: Path, hasher: Hasher, tmp_path: Path) -> None:
    script = project / "script"
    script.write_text("#!/usr/bin/env sh\necho works\n")
    script.chmod(0o755)
    layers = [
        system.build(hasher=hasher),
        build(Programs(("./script",)), project=os.fspath(project), hasher=hasher),
    ]
    root = lay_out(layers, tmp_path)
    assert run_in(root, "/project/script").stdout == "works\n"


def test_the_base_layer_is_the_same_each_time(hasher: Hasher) -> None:
    assert (
        system.build(hasher=hasher).manifest.digest == system.build(hasher=hasher).manifest.digest
    )


def test_importing_the_layers_loads_nothing_else() -> None:
    program = (
        "import sys, maelstrom.layers\n"
        "print([name for name in sys.modules if name.startswith(('maelstrom.', 'elftools'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "['maelstrom.layers']"


def test_programs_beside_a_test_bring_the_libraries_that_are_here(
    project: Path, hasher: Hasher, tmp_path: Path
) -> None:
    source = tmp_path / "gone.c"
    source.write_text("int gone(void) { return 0; }\nint main(void) { return gone(); }\n")
    for output, options in (("libgone.so", ["-shared"]), ("needs", ["-L.", "-lgone"])):
        command = ["gcc", "-o", output, source, *options, "-fPIC", "-Wl,--no-as-needed", "-lm"]
        subprocess.run(command, cwd=project, check=True)
    (project / "libgone.so").unlink()
    (project / "damaged").write_bytes(b"\x7fELF" + bytes(20))
    beside = tuple(os.fspath(project / name) for name in ("needs", "damaged"))
    found = names(SharedLibraries((), beside=beside), project, hasher)
    assert any(name.endswith("/libm.so.6") for name in found)
    assert any("/ld-linux" in name for name in found)
    assert not any("gone" in name or "damaged" in name for name in found)
