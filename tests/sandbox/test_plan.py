"""From a spec to a flat list of steps: tables."""

import pytest

from maelstrom.errors import SpecError
from maelstrom.model.spec import (
    Bind,
    DevPts,
    JobSpec,
    Limits,
    MessageQueue,
    Mount,
    Network,
    RootFileSystem,
    Sys,
    Tmp,
)
from maelstrom.sandbox.plan import Defaults, plan
from maelstrom.sandbox.steps import (
    EnterDirectory,
    MakeDirectory,
    MountBind,
    MountDevices,
    MountMessageQueues,
    MountProcesses,
    MountPseudoTerminals,
    MountRoot,
    MountScratch,
    MountStack,
    MountSys,
    MountTmp,
    PivotRoot,
    SealRoot,
    SlotKind,
    Spawn,
    Step,
    SwitchLoopback,
    UnshareMounts,
    Watch,
    pack,
    unpack,
)

DEFAULTS = Defaults(memory_bytes_max=1000, write_bytes_max=2000)


def _root(*more: Step, layers: tuple[str, ...] = ("a", "b")) -> list[Step]:
    return [
        UnshareMounts(),
        MountRoot(layers, 2000),
        MountDevices(),
        MountProcesses(),
        MountScratch("/tmp", "tmp"),
        MountScratch("/dev/shm", "shm"),
        *more,
        PivotRoot(),
    ]


ROOTS: dict[str, tuple[JobSpec, list[Step]]] = {
    "a plain job": (JobSpec(program="x"), _root()),
    "a working directory is made": (
        JobSpec(program="x", working_directory="/w"),
        _root(MakeDirectory("/w")),
    ),
    "a read-only root is sealed last": (
        JobSpec(program="x", working_directory="/w", root=RootFileSystem.READ_ONLY),
        _root(MakeDirectory("/w"), SealRoot()),
    ),
    "upper mounts come first": (
        JobSpec(program="x", mounts=(Tmp("/a/b/c", 7), Bind("/a", "/host"), Tmp("/z"))),
        _root(MountBind("/a", "/host", True), MountTmp("/z", 2000), MountTmp("/a/b/c", 7)),
    ),
    "special mounts": (
        JobSpec(program="x", mounts=(Sys(), DevPts(), MessageQueue())),
        _root(
            MountSys("/sys"), MountPseudoTerminals("/dev/pts"), MountMessageQueues("/dev/mqueue")
        ),
    ),
    "the host's network has the host's /sys": (
        JobSpec(program="x", mounts=(Sys(),), network=Network.LOCAL),
        _root(MountBind("/sys", "/sys", True)),
    ),
}


@pytest.mark.parametrize("name", ROOTS)
def test_a_spec_becomes_a_root(name: str) -> None:
    spec, steps = ROOTS[name]
    assert list(plan(spec, ("a", "b"), DEFAULTS).root) == steps


@pytest.mark.parametrize(("count", "is_stacked"), [(0, False), (7, False), (8, True), (60, True)])
def test_many_layers_are_stacked(count: int, is_stacked: bool) -> None:
    layers = tuple(f"l{number}" for number in range(count))
    root = list(plan(JobSpec(program="x"), layers, DEFAULTS).root)
    assert root == [*([MountStack(layers)] if is_stacked else []), *_root(layers=layers)]


NETWORKS: dict[Network, list[Step]] = {
    Network.DISABLED: [SwitchLoopback(False)],
    Network.LOOPBACK: [SwitchLoopback(True)],
    Network.LOCAL: [],
}


@pytest.mark.parametrize("network", Network)
def test_a_network_is_switched(network: Network) -> None:
    assert (
        list(plan(JobSpec(program="x", network=network), (), DEFAULTS).before) == NETWORKS[network]
    )


KINDS: dict[str, tuple[JobSpec, SlotKind]] = {
    "the usual": (JobSpec(program="x"), SlotKind(1000, 1000, False, False, 4096, 4096)),
    "another user": (
        JobSpec(program="x", user=0, group=5),
        SlotKind(0, 5, False, False, 4096, 4096),
    ),
    "the host's network": (
        JobSpec(program="x", network=Network.LOCAL),
        SlotKind(1000, 1000, True, False, 4096, 4096),
    ),
    "the host's files": (
        JobSpec(program="x", mounts=(Bind("/a", "/b"),)),
        SlotKind(1000, 1000, False, True, 4096, 4096),
    ),
    "the host's /sys": (
        JobSpec(program="x", mounts=(Sys(),)),
        SlotKind(1000, 1000, False, True, 4096, 4096),
    ),
    "limits": (
        JobSpec(program="x", limits=Limits(processes_max=3, open_files_max=4)),
        SlotKind(1000, 1000, False, False, 3, 4),
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_fixed_in_a_slot_makes_its_kind(name: str) -> None:
    spec, kind = KINDS[name]
    assert plan(spec, (), DEFAULTS).kind == kind


def test_a_program_is_started_as_bytes() -> None:
    spec = JobSpec(
        program="x",
        arguments=("ü", "\udcff"),
        environment=(("PATH", "/p"), ("A", "1"), ("A", "2")),
        working_directory="/w",
        stdin=b"in",
    )
    assert plan(spec, (), DEFAULTS).start == (
        EnterDirectory("/w"),
        Spawn(
            b"x",
            (b"x", "ü".encode(), b"\xff"),
            ((b"PATH", b"/p"), (b"A", b"2")),
            b"/p",
            b"in",
            4096,
        ),
    )


def test_the_last_step_of_all_is_the_start() -> None:
    made = plan(JobSpec(program="x"), ("a",), DEFAULTS)
    assert made.steps == made.before + made.root + made.start
    assert isinstance(made.steps[-1], Spawn)


@pytest.mark.parametrize(
    ("limits", "watch"),
    [
        (Limits(), Watch(9.0, 1.0, 1000, 1 << 20)),
        (Limits(memory_bytes_max=5, output_bytes_max=6), Watch(9.0, 1.0, 5, 6)),
    ],
)
def test_limits_are_the_specs_or_the_workers(limits: Limits, watch: Watch) -> None:
    spec = JobSpec(program="x", limits=limits, timeout_s=9.0, grace_s=1.0)
    assert plan(spec, (), DEFAULTS).watch == watch


@pytest.mark.parametrize(
    ("mounts", "network", "is_reusable"),
    [
        ((), Network.DISABLED, True),
        ((Tmp("/a"), Bind("/b", "/b")), Network.DISABLED, True),
        ((Sys(),), Network.LOCAL, True),
        ((Sys(),), Network.LOOPBACK, False),
        ((DevPts(),), Network.DISABLED, False),
        ((MessageQueue(),), Network.DISABLED, False),
    ],
)
def test_a_root_with_state_of_one_job_is_used_once(
    mounts: tuple[Mount, ...], network: Network, is_reusable: bool
) -> None:
    made = plan(JobSpec(program="x", mounts=mounts, network=network), (), DEFAULTS)
    assert made.is_root_reusable is is_reusable


@pytest.mark.parametrize("path", ["/proc", "/proc/self", "/dev"])
def test_what_is_always_there_cannot_be_covered(path: str) -> None:
    with pytest.raises(SpecError, match="is taken"):
        plan(JobSpec(program="x", mounts=(Tmp(path),)), (), DEFAULTS)


def test_text_without_bytes_is_refused() -> None:
    with pytest.raises(SpecError):
        plan(JobSpec(program="x", arguments=("\ud800",)), (), DEFAULTS)


@pytest.mark.parametrize("name", ROOTS)
def test_steps_travel(name: str) -> None:
    made = plan(ROOTS[name][0], ("a",), DEFAULTS)
    assert unpack(pack(made.steps)) == made.steps


@pytest.mark.parametrize("name", ROOTS)
def test_every_step_says_what_it_does(name: str) -> None:
    for step in plan(ROOTS[name][0], tuple("abcdefghi"), DEFAULTS).steps:
        assert step.text
        assert step.text[0].islower()
