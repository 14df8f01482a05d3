"""What comes back from a job: kept with its outcome, within bounds, and of use as a layer."""

import os
from pathlib import Path

import pytest

from maelstrom.errors import SandboxUnavailable, SpecError
from maelstrom.model.captured import layer_of
from maelstrom.model.outcome import (
    Cancelled,
    Effects,
    ExecutionError,
    Exited,
    OutputFile,
    TimedOut,
)
from maelstrom.model.spec import JobSpec, RootFileSystem
from maelstrom.sandbox.pool import service_user
from maelstrom.sandbox.ports import Ties
from maelstrom.store.disk import DiskStore
from maelstrom.worker.builder import LayerBuilder
from maelstrom.worker.outputs import FILES_BYTES_MAX, Collected
from tests.sandbox.conftest import Sandbox, _make_shell, text

DONE = Exited(0, Effects())


def test_files_travel_with_the_outcome_of_what_ran() -> None:
    files = Collected()
    files.found(b"a", "file", b"")
    files.content(b"one")
    files.content(b" two")
    files.found(b"empty", "program", b"")
    files.found(b"link", "link", b"a")
    expected = (
        OutputFile(b"a", "file", b"one two"),
        OutputFile(b"empty", "program", b""),
        OutputFile(b"link", "link", b"a"),
    )
    for outcome in (DONE, TimedOut(Effects())):
        told = files.added_to(outcome)
        assert isinstance(told, type(outcome))
        assert told.effects.files == expected
    assert files.added_to(Cancelled()) == Cancelled()


@pytest.mark.parametrize("way", ["content", "names"])
def test_too_much_is_the_specs_fault(way: str) -> None:
    files = Collected()
    files.found(b"a", "file", b"")
    if way == "content":
        for _ in range(2):
            files.content(bytes(FILES_BYTES_MAX // 2 + 1))
    else:
        files.found(b"x" * FILES_BYTES_MAX, "file", b"")
    outcome = files.added_to(DONE)
    assert isinstance(outcome, ExecutionError)
    assert outcome.message == f"outputs of more than {FILES_BYTES_MAX} bytes"


@pytest.mark.parametrize(
    "files",
    [
        (OutputFile(b"../a", "file", b""),),
        (OutputFile(b"a", "link", b"/etc"), OutputFile(b"a/b", "file", b"")),
        (OutputFile(b"a", "socket", b""),),
    ],
)
def test_what_cannot_be_a_layer_is_refused(files: tuple[OutputFile, ...]) -> None:
    with pytest.raises(SpecError):
        layer_of(files)


def test_what_one_job_has_done_to_its_root_is_done_for_the_next(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o755)
    store = DiskStore(tmp_path / "store", size_bytes_max=1 << 30, owner=service_user())
    _make_shell(store.layers_root / "shell")
    user = service_user()
    if user is not None:
        for directory, _, _ in os.walk(store.layers_root / "shell"):
            os.chown(directory, *user)
    sandbox = Sandbox(store.layers_root)
    try:
        sandbox.start()
    except SandboxUnavailable as error:
        sandbox.runner.close()
        store.close()
        pytest.skip(str(error))
    files = Collected()
    script = "rm /bin/wc; echo made > /made; ln -s made /link; mkdir /new; chmod +x /made"
    spec = JobSpec("sh", ("-c", script), root=RootFileSystem.CAPTURED, timeout_s=20.0)
    ran = sandbox.runner.run(sandbox.pool.run(spec, ["shell"], "first", Ties(files)))
    outcome = files.added_to(ran)
    assert isinstance(outcome, Exited), outcome
    assert outcome.effects.stderr.text() == ""
    manifest, contents = layer_of(outcome.effects.files)
    for digest, content in ((manifest.digest, manifest.encoded), *contents.items()):
        store.put_bytes(digest, content)
    layer = LayerBuilder(store).ensure(manifest.digest)
    script = "cat /link; ls -d /new /bin/wc; test -x /made && echo runs"
    try:
        shown = text(sandbox.run("sh", "-c", script, layers=("shell", layer)))
    finally:
        sandbox.close()
        store.close()
    assert shown == "made\n/new\nruns\n"
