"""What comes back from a job: kept with its outcome, within bounds, and of use as a layer."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from maelstrom.errors import SandboxUnavailable, SpecError, StoreError
from maelstrom.model.captured import layer_of
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import (
    Cancelled,
    Effects,
    ExecutionError,
    Exited,
    InfrastructureFault,
    Output,
    OutputFile,
    TimedOut,
    blobs_of,
    effects_of,
)
from maelstrom.model.spec import JobSpec, RootFileSystem
from maelstrom.sandbox.pool import service_user
from maelstrom.sandbox.ports import Ties
from maelstrom.store import tenancy
from maelstrom.store.disk import DiskStore
from maelstrom.store.writer import Spool
from maelstrom.worker import outputs
from maelstrom.worker.builder import LayerBuilder
from maelstrom.worker.outputs import (
    INLINE_BYTES_MAX,
    INLINE_SUM_MAX,
    Collected,
    has_large_output,
    with_large_output_moved,
)
from tests.sandbox.conftest import Sandbox, _make_shell, text

DONE = Exited(0, Effects())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskStore]:
    store = DiskStore(tmp_path / "outputs", size_bytes_max=1 << 30)
    yield store
    store.close()


def test_files_travel_with_the_outcome_of_what_ran(store: DiskStore) -> None:
    files = Collected(store, "pin")
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


def test_what_is_large_goes_into_the_store_while_it_comes(store: DiskStore) -> None:
    files = Collected(store, "pin")
    large = os.urandom(INLINE_BYTES_MAX)
    files.found(b"large", "program", b"")
    for start in range(0, len(large), 1000):
        files.content(large[start : start + 1000])
    files.content(b"!")
    files.found(b"small", "file", b"")
    files.content(large)
    outcome = files.added_to(DONE)
    digest = Digest.of(large + b"!")
    assert isinstance(outcome, Exited)
    assert outcome.effects.files == (
        OutputFile(b"large", "program", b"", digest),
        OutputFile(b"small", "file", large),
    )
    assert blobs_of(outcome) == (digest,)
    assert store.read(digest) == large + b"!"
    assert os.access(store.path(digest), os.X_OK)
    assert tenancy.pinned(store.root) == {digest.hash}
    manifest, contents = layer_of(outcome.effects.files)
    assert contents == {Digest.of(large): large}
    assert digest in manifest.contents()


def test_many_small_ones_do_not_make_the_outcome_large(store: DiskStore) -> None:
    files = Collected(store, "pin")
    for number in range(3 * INLINE_SUM_MAX // INLINE_BYTES_MAX):
        files.found(b"%d" % number, "file", b"")
        files.content(b"%d" % number * (INLINE_BYTES_MAX // 2))
    outcome = files.added_to(DONE)
    assert len(msgspec.msgpack.encode(outcome)) < 1.2 * INLINE_SUM_MAX
    for file in effects_of(outcome).files:
        content = file.content if file.blob is None else store.read(file.blob)
        assert content == file.path * (INLINE_BYTES_MAX // 2)


def test_large_streams_become_blobs_and_say_where_the_gap_is(store: DiskStore) -> None:
    head, tail = b"h" * INLINE_BYTES_MAX, b"t" * 10
    outcome = Exited(1, Effects(stdout=Output(head, tail, 7), stderr=Output(b"few")))
    assert has_large_output(outcome)
    moved = effects_of(with_large_output_moved(outcome, store, "pin"))
    assert moved.stdout == Output(b"", b"", 7, Digest.of(head + tail), len(head))
    assert moved.stderr == Output(b"few")
    assert store.read(Digest.of(head + tail)) == head + tail
    assert not has_large_output(Exited(1, Effects(stdout=Output(b"x" * INLINE_BYTES_MAX))))
    assert not has_large_output(Cancelled())


@pytest.mark.parametrize("way", ["content", "names"])
def test_too_much_is_the_specs_fault(
    way: str, store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "FILES_BYTES_MAX", 4 * INLINE_BYTES_MAX)
    files = Collected(store, "pin")
    files.found(b"a", "file", b"")
    if way == "content":
        for _ in range(5):
            files.content(bytes(INLINE_BYTES_MAX))
        reason = f"outputs of more than {4 * INLINE_BYTES_MAX} bytes"
    else:
        monkeypatch.setattr(outputs, "NAMES_BYTES_MAX", 10)
        files = Collected(store, "pin")
        files.found(b"x" * 11, "file", b"")
        reason = "names of outputs of more than 10 bytes"
    outcome = files.added_to(DONE)
    assert isinstance(outcome, ExecutionError)
    assert outcome.message == reason
    assert not [name for _, _, names in os.walk(store.root / "tmp") for name in names]


def test_a_full_disk_is_our_fault_and_not_the_jobs(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("cannot use `x`: No space left on device", hint="free some")

    monkeypatch.setattr(Spool, "write", full)
    files = Collected(store, "pin")
    files.found(b"a", "file", b"")
    files.content(bytes(2 * INLINE_BYTES_MAX))
    files.content(b"more")
    files.found(b"b", "file", b"")
    outcome = files.added_to(DONE)
    assert isinstance(outcome, InfrastructureFault)
    assert "cannot be kept: cannot use `x`: No space left" in outcome.message


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
    files = Collected(store, "pin")
    script = "rm /bin/wc; echo made > /made; ln -s made /link; mkdir /new; chmod +x /made"
    spec = JobSpec("sh", ("-c", script), root=RootFileSystem.CAPTURED, timeout_s=20.0)
    ran = sandbox.runner.run(sandbox.pool.run(spec, ["shell"], "first", Ties(files)))
    outcome = files.added_to(ran)
    assert isinstance(outcome, Exited), outcome
    assert outcome.effects.stderr.text() == ""
    manifest, contents = layer_of(outcome.effects.files)
    for digest, content in ((manifest.digest, manifest.encoded), *contents.items()):
        store.put_bytes(digest, content)
    layer = LayerBuilder(store).ensure(manifest)
    script = "cat /link; ls -d /new /bin/wc; test -x /made && echo runs"
    try:
        shown = text(sandbox.run("sh", "-c", script, layers=("shell", layer)))
    finally:
        sandbox.close()
        store.close()
    assert shown == "made\n/new\nruns\n"
