"""Decide how a container is made: from a spec to a flat list of steps.

Rules of this file:
1. It is pure: no file is looked at here. What is missing is made by the steps themselves.
2. Mounts come in the order of their depth, so that none hides another by accident. The steps find
   mount points as if the new root were the root already: a symbolic link in a layer leads nowhere
   but into the container.
3. Equal root parts may share a root as long as the jobs wrote nothing; what holds state of one job
   for good (queues, terminals), or shows its network, makes a root that is used once.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

from maelstrom.errors import SpecError
from maelstrom.model.spec import (
    DEVICES,
    Bind,
    DevPts,
    JobSpec,
    MessageQueue,
    Mount,
    Network,
    RootFileSystem,
    Sys,
    Tmp,
)
from maelstrom.sandbox.steps import (
    EnterDirectory,
    GroupLimits,
    MakeDevices,
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
    SpawnForked,
    Step,
    SwitchLoopback,
    UnshareMounts,
    Watch,
    pack,
)

DEFAULT_SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
# Each layer costs a mount some 7 us, and a first look-up 2 us; joining them costs 100 us once.
STACK_LAYERS_MIN = 8
OUTPUT_BYTES_DEFAULT = 1 << 20
# Jobs come in crowds that differ in their arguments alone.
ROOTS_KNOWN_MAX = 64


class Defaults(NamedTuple):
    """A worker's own limits, for specs that name none."""

    memory_bytes_max: int
    write_bytes_max: int
    processes_max: int = 4096
    open_files_max: int = 4096
    is_grouped: bool = False


class Plan(NamedTuple):
    """All a slot needs to know of a job."""

    kind: SlotKind
    before: tuple[Step, ...]
    root: tuple[Step, ...]
    packed_root: bytes
    start: tuple[Step, ...]
    watch: Watch
    is_root_reusable: bool
    group: GroupLimits

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps in order."""
        return self.before + self.root + self.start


def plan(spec: JobSpec, layers: Sequence[str], defaults: Defaults) -> Plan:
    """Return the plan for a spec; `layers` are directory names, lowest first.

    Raises SpecError.
    """
    limits = spec.limits
    is_local = spec.network is Network.LOCAL
    loopback = SwitchLoopback(spec.network is Network.LOOPBACK)
    is_captured = spec.root is RootFileSystem.CAPTURED
    memory_bytes_max = limits.memory_bytes_max or defaults.memory_bytes_max
    write_bytes_max = limits.write_bytes_max or defaults.write_bytes_max
    root = _root(
        tuple(layers),
        write_bytes_max,
        spec.devices,
        _all_mounts(spec),
        spec.network,
        spec.root,
        spec.working_directory,
    )
    return Plan(
        kind=SlotKind(
            user=spec.user,
            group=spec.group,
            has_host_network=is_local,
            sees_host_files=root.sees_host_files,
            processes_max=limits.processes_max or defaults.processes_max,
            open_files_max=limits.open_files_max or defaults.open_files_max,
            sees_fuse="fuse" in spec.devices,
            has_identities=spec.has_identities,
            uptime_s=spec.uptime_s,
            # What such jobs leave behind is harder to prove gone than a slot is to make.
            is_one_shot=spec.has_powers or spec.terminal is not None,
            is_grouped=defaults.is_grouped,
        ),
        before=() if is_local else (loopback,),
        root=root.steps,
        packed_root=root.packed,
        start=(EnterDirectory(spec.working_directory), _start(spec, layers, defaults)),
        watch=Watch(
            timeout_s=spec.timeout_s,
            grace_s=spec.grace_s,
            memory_bytes_max=memory_bytes_max,
            output_bytes_max=limits.output_bytes_max or OUTPUT_BYTES_DEFAULT,
            outputs=spec.outputs,
            is_captured=is_captured,
            files_bytes_max=write_bytes_max if spec.outputs or is_captured else 0,
        ),
        is_root_reusable=root.is_reusable,
        group=GroupLimits(
            # What it writes is in memory, too, and counts there.
            memory_bytes=memory_bytes_max + write_bytes_max,
            swap_bytes=limits.swap_bytes_max,
            processes=limits.processes_max or defaults.processes_max,
            processors=limits.processors,
        ),
    )


def _holds_state(mount: Mount, network: Network) -> bool:
    # A view of /sys shows one network namespace, and that is replaced when a job leaves sockets.
    is_view = isinstance(mount, Sys) and network is not Network.LOCAL
    return is_view or isinstance(mount, DevPts | MessageQueue)


def _all_mounts(spec: JobSpec) -> tuple[Mount, ...]:
    if spec.terminal and not any(mount.mount_point == "/dev/pts" for mount in spec.mounts):
        return (DevPts(), *spec.mounts)
    return spec.mounts


class _Root(NamedTuple):
    """What jobs with the same root have in common."""

    steps: tuple[Step, ...]
    packed: bytes
    sees_host_files: bool
    is_reusable: bool


@functools.lru_cache(ROOTS_KNOWN_MAX)
def _root(
    layers: tuple[str, ...],
    size_bytes: int,
    devices: tuple[str, ...],
    mounts: tuple[Mount, ...],
    network: Network,
    kind: RootFileSystem,
    working_directory: str,
) -> _Root:
    """Plan a root; raises SpecError."""
    for mount in mounts:
        if mount.mount_point == "/dev" or f"{mount.mount_point}/".startswith("/proc/"):
            raise SpecError(
                f"the mount point `{mount.mount_point}` is taken",
                hint="every container has /dev and /proc of its own",
            )
    found: list[Step] = [MountStack(layers)] if len(layers) >= STACK_LAYERS_MIN else []
    found += [
        UnshareMounts(),
        MountRoot(layers, size_bytes),
        MountDevices() if devices == DEVICES else MakeDevices(devices),
        MountProcesses(),
        MountScratch("/tmp", "tmp"),
    ]
    if "shm" in devices:
        found.append(MountScratch("/dev/shm", "shm"))
    by_depth = sorted(mounts, key=lambda mount: mount.mount_point.count("/"))
    found += [_mount(mount, network, size_bytes) for mount in by_depth]
    if working_directory != "/":
        found.append(MakeDirectory(working_directory))
    if kind is RootFileSystem.READ_ONLY:
        found.append(SealRoot())
    found.append(PivotRoot())
    return _Root(
        tuple(found),
        pack(tuple(found)),
        sees_host_files=any(isinstance(mount, Bind | Sys) for mount in mounts),
        is_reusable=not any(_holds_state(mount, network) for mount in mounts),
    )


def _mount(mount: Mount, network: Network, size_bytes: int) -> Step:
    place = mount.mount_point
    match mount:
        case Bind(host_path=host_path, is_read_only=is_read_only):
            return MountBind(place, host_path, is_read_only)
        case Tmp(size_bytes=own_size_bytes):
            return MountTmp(place, own_size_bytes or size_bytes)
        case Sys():
            # The host's network namespace is not ours to make a view of.
            if network is Network.LOCAL:
                return MountBind(place, "/sys", is_read_only=True)
            return MountSys(place)
        case DevPts():
            return MountPseudoTerminals(place)
        case MessageQueue():
            return MountMessageQueues(place)


def _start(spec: JobSpec, layers: Sequence[str], defaults: Defaults) -> Spawn | SpawnForked:
    spawn = _spawn(spec, defaults)
    if not spec.template_arguments or isinstance(spawn, SpawnForked):
        return spawn
    root = _root(
        tuple(layers[: spec.template_layers]),
        spec.limits.write_bytes_max or defaults.write_bytes_max,
        DEVICES,
        spec.mounts,
        spec.network,
        RootFileSystem.WRITABLE,
        "/",
    )
    return spawn._replace(template_arguments=spec.template_arguments, template_root=root.packed)


def _spawn(spec: JobSpec, defaults: Defaults) -> Spawn | SpawnForked:
    spawn = _plain_spawn(spec, defaults)
    terminal = spec.terminal
    if not (spec.limits.kernel or spec.has_identities or spec.has_powers or terminal):
        return spawn
    return SpawnForked(
        *spawn[:-2],  # It does without a template.
        kernel_limits=spec.limits.kernel,
        user=spec.user,
        group=spec.group,
        groups=spec.groups,
        has_identities=spec.has_identities,
        has_powers=spec.has_powers,
        has_own_network=spec.network is not Network.LOCAL,
        has_loopback=spec.network is Network.LOOPBACK,
        terminal=(terminal.rows, terminal.columns) if terminal else (0, 0),
    )


def _plain_spawn(spec: JobSpec, defaults: Defaults) -> Spawn:
    environment = dict(spec.environment)
    return Spawn(
        program=_bytes(spec.program),
        arguments=tuple(map(_bytes, (spec.program, *spec.arguments))),
        environment=tuple((_bytes(name), _bytes(value)) for name, value in environment.items()),
        search_path=_bytes(environment.get("PATH", DEFAULT_SEARCH_PATH)),
        stdin=spec.stdin,
        open_files_max=spec.limits.open_files_max or defaults.open_files_max,
        stdin_file=spec.stdin_file,
    )


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise SpecError(f"{text[:100]!r} has no form in bytes") from error
