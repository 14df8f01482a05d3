import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from maelstrom.errors import LayerError
from maelstrom.layers import elf, ldcache

SAMPLE = 60
LINE = re.compile(r"^\s(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)


def ldd(path: str) -> set[str]:
    done = subprocess.run(
        ["ldd", os.path.realpath(path)], capture_output=True, text=True, timeout=30, check=False
    )
    return {os.path.realpath(found) for found in LINE.findall(done.stdout)}


def test_programs_of_this_host_need_what_ldd_says() -> None:
    programs = []
    for path in sorted(Path("/usr/bin").iterdir()):
        if path.is_file() and os.access(path, os.R_OK) and elf.is_elf(os.fspath(path)):
            programs.append(os.fspath(path))
    step = max(1, len(programs) // SAMPLE)
    for program in programs[::step]:
        found = elf.closure([program])
        assert {os.path.realpath(path) for path in found.files} == ldd(program), program
        assert found.missing == ()


def test_a_script_needs_no_libraries(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert elf.closure([os.fspath(script)]).files == ()
    assert elf.needed(os.fspath(script)) == ()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    content = Path("/usr/bin/true").resolve().read_bytes()
    for number, size in enumerate([4, 20, 64, 100, 1000, 5000]):
        damaged = tmp_path / f"damaged{number}"
        damaged.write_bytes(content[:size])
        try:
            elf.closure([os.fspath(damaged)])
        except LayerError as error:
            assert "damaged" in error.message


@pytest.fixture
def compile_c(tmp_path: Path) -> "type[Compiler]":
    Compiler.root = tmp_path
    return Compiler


class Compiler:
    root: Path

    @classmethod
    def library(cls, name: str, *options: str, needs: str = "") -> Path:
        path = cls.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        word = re.sub(r"\W", "_", path.name)
        body = f"int {needs}(void);" if needs else ""
        body += f"int {word}(void) {{ return {f'{needs}()' if needs else '1'}; }}"
        return cls._run(path, body, "-shared", "-fPIC", f"-Wl,-soname,{path.name}", *options)

    @classmethod
    def program(cls, name: str, calls: str, *options: str) -> Path:
        path = cls.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return cls._run(
            path, f"int {calls}(void); int main(void) {{ return {calls}(); }}", *options
        )

    @classmethod
    def _run(cls, path: Path, body: str, *options: str) -> Path:
        compiler = shutil.which("cc") or shutil.which("gcc")
        assert compiler is not None, "a C compiler is needed"
        command = [compiler, "-x", "c", "-", "-o", path, "-x", "none", *options]
        subprocess.run(command, input=body.encode(), check=True, timeout=60)
        return path


def names(closure: elf.Closure, root: Path) -> list[str]:
    ours = [path for path in closure.files if path.startswith(os.fspath(root))]
    return [os.path.relpath(path, root) for path in ours]


def test_origin_is_where_the_file_is(compile_c: type[Compiler], tmp_path: Path) -> None:
    library = compile_c.library("lib/liba.so")
    for tags in ("--enable-new-dtags", "--disable-new-dtags"):
        program = compile_c.program(
            "bin/p", "liba_so", os.fspath(library), f"-Wl,{tags},-rpath,$ORIGIN/../lib"
        )
        found = elf.closure([os.fspath(program)])
        assert names(found, tmp_path) == ["lib/liba.so"]
        assert found.missing == ()
        moved = elf.closure(
            [os.fspath(program)],
            in_container=lambda path: path.replace(os.fspath(tmp_path), "/project"),
        )
        assert moved.library_path == ()


def test_an_absolute_path_into_the_project_leads_nowhere_in_a_container(
    compile_c: type[Compiler], tmp_path: Path
) -> None:
    library = compile_c.library("lib/liba.so")
    program = compile_c.program(
        "bin/p", "liba_so", os.fspath(library), f"-Wl,-rpath,{library.parent}"
    )
    found = elf.closure(
        [os.fspath(program)],
        in_container=lambda path: path.replace(os.fspath(tmp_path), "/project"),
    )
    assert found.library_path == (os.fspath(library.parent),)
    assert elf.closure([os.fspath(program)]).library_path == ()


def test_rpath_is_inherited_and_runpath_is_not(compile_c: type[Compiler], tmp_path: Path) -> None:
    inner = compile_c.library("lib/libinner.so")
    outer = compile_c.library("lib/libouter.so", os.fspath(inner), needs="libinner_so")
    options = [os.fspath(outer), f"-Wl,-rpath-link,{outer.parent}"]
    old = compile_c.program(
        "old", "libouter_so", *options, f"-Wl,--disable-new-dtags,-rpath,{outer.parent}"
    )
    new = compile_c.program(
        "new", "libouter_so", *options, f"-Wl,--enable-new-dtags,-rpath,{outer.parent}"
    )
    assert names(elf.closure([os.fspath(old)]), tmp_path) == ["lib/libouter.so", "lib/libinner.so"]
    found = elf.closure([os.fspath(new)])
    assert names(found, tmp_path) == ["lib/libouter.so"]
    assert found.missing == (elf.Missing("libinner.so", os.fspath(outer)),)
    found = elf.closure([os.fspath(new)], library_path=[os.fspath(inner.parent)])
    assert found.missing == ()


def test_a_library_for_another_machine_is_passed_over(
    compile_c: type[Compiler], tmp_path: Path
) -> None:
    library = compile_c.library("right/liba.so")
    wrong = tmp_path / "wrong" / "liba.so"
    wrong.parent.mkdir()
    content = bytearray(library.read_bytes())
    struct.pack_into("<H", content, 18, 243)
    wrong.write_bytes(content)
    program = compile_c.program(
        "p", "liba_so", os.fspath(library), f"-Wl,-rpath,{wrong.parent}:{library.parent}"
    )
    assert names(elf.closure([os.fspath(program)]), tmp_path) == ["right/liba.so"]


def test_the_loaders_cache_is_read_as_ldconfig_prints_it() -> None:
    command = shutil.which("ldconfig", path="/sbin:/usr/sbin")
    cache = ldcache.read()
    if command is None:
        assert cache == {}
        return
    done = subprocess.run([command, "-p"], capture_output=True, text=True, timeout=30, check=True)
    printed = re.findall(r"^\t(\S+) \(([^)]*)\) => (\S+)$", done.stdout, re.MULTILINE)
    plain = {(name, path) for name, flags, path in printed if "hwcap" not in flags}
    assert {(name, path) for name, paths in cache.items() for path in paths} == plain


@pytest.mark.parametrize("size", [0, 10, 30, 48, 60, 200, 1000])
def test_a_cut_cache_is_no_crash(size: int) -> None:
    content = ldcache.PATH.read_bytes()[:size] if ldcache.PATH.exists() else bytes(size)
    assert len(ldcache.parse(content)) < 100


def test_a_file_that_is_made_anew_is_read_anew(tmp_path: Path) -> None:
    source = tmp_path / "empty.c"
    source.write_text("int main(void) { return 0; }\n")
    needed = []
    for options in ([], ["-Wl,--no-as-needed", "-lm"]):
        command = ["gcc", "-o", tmp_path / "program", source, *options]
        subprocess.run(command, check=True)
        needed.append(elf.needed(os.fspath(tmp_path / "program")))
    assert "libm.so.6" not in needed[0]
    assert "libm.so.6" in needed[1]
