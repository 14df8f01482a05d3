"""The steps that make a container: plain values that can be printed, compared and sent.

A step's `text` completes the sentence "cannot ...". The slot carries them out one by one; it knows
how, and nothing of why.
"""

import marshal
from typing import NamedTuple

HOST_NAME = "maelstrom"

# The first Linux whose tmpfs keeps the attributes by which an overlay marks deleted directories,
# whose overlay takes a list of layers, and whose times of change are never equal for two changes.
LINUX_TMPFS_UPPER = (6, 6)
LINUX_LAYER_LIST = (6, 8)
LINUX_FINE_TIMES = (6, 13)


class SwitchLoopback(NamedTuple):
    """Switch the loopback device on or off."""

    is_up: bool

    @property
    def text(self) -> str:
        return f"switch the loopback device {'on' if self.is_up else 'off'}"


class MountStack(NamedTuple):
    """Mount many layers as one read-only file system in the slot, to be used by later roots too."""

    layers: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"mount {len(self.layers)} layers as one"


class UnshareMounts(NamedTuple):
    """Have a mount tree of the job's own; the first step of every root."""

    @property
    def text(self) -> str:
        return "make a new mount namespace"


class MountRoot(NamedTuple):
    """Mount the layers, lowest first, under an empty file system that takes what is written."""

    layers: tuple[str, ...]
    size_bytes: int

    @property
    def text(self) -> str:
        return f"mount {len(self.layers)} layers as the root"


class MountDevices(NamedTuple):
    """Move the slot's /dev to its place."""

    mount_point: str = "/dev"

    @property
    def text(self) -> str:
        return "mount /dev"


class MakeDevices(NamedTuple):
    """Make a /dev with no more than these devices."""

    names: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"make /dev with {', '.join(self.names) or 'nothing'}"


class MountProcesses(NamedTuple):
    """Move the slot's /proc to its place."""

    mount_point: str = "/proc"

    @property
    def text(self) -> str:
        return "mount /proc"


class MountScratch(NamedTuple):
    """Mount one of the directories for writes that come with the root: `tmp` or `shm`."""

    mount_point: str
    name: str

    @property
    def text(self) -> str:
        return f"mount `{self.mount_point}`"


class MountBind(NamedTuple):
    """Mount a file or a tree of the host, with all that is mounted below it."""

    mount_point: str
    host_path: str
    is_read_only: bool

    @property
    def text(self) -> str:
        return f"bind `{self.host_path}` of the host to `{self.mount_point}`"


class MountSys(NamedTuple):
    """Mount a view of /sys with the devices of the job's own network namespace."""

    mount_point: str

    @property
    def text(self) -> str:
        return f"mount the kernel's objects on `{self.mount_point}`"


class MountPseudoTerminals(NamedTuple):
    """Mount pseudo-terminals of the job's own."""

    mount_point: str

    @property
    def text(self) -> str:
        return f"mount pseudo-terminals on `{self.mount_point}`"


class MountMessageQueues(NamedTuple):
    """Mount a view of the message queues of the job's own."""

    mount_point: str

    @property
    def text(self) -> str:
        return f"mount message queues on `{self.mount_point}`"


class MountTmp(NamedTuple):
    """Mount an empty file system in memory."""

    mount_point: str
    size_bytes: int

    @property
    def text(self) -> str:
        return f"mount a file system in memory on `{self.mount_point}`"


class MakeDirectory(NamedTuple):
    """Make a directory, and those above it, if it is missing."""

    path: str

    @property
    def text(self) -> str:
        return f"make the directory `{self.path}`"


class SealRoot(NamedTuple):
    """Make the root read-only; what is mounted below it stays as it is."""

    @property
    def text(self) -> str:
        return "make the root read-only"


class PivotRoot(NamedTuple):
    """Change to the new root and let go of everything else."""

    @property
    def text(self) -> str:
        return "change to the new root"


class EnterDirectory(NamedTuple):
    """Change to the working directory."""

    path: str

    @property
    def text(self) -> str:
        return f"enter the working directory `{self.path}`"


class Spawn(NamedTuple):
    """Find the program and start it."""

    program: bytes
    arguments: tuple[bytes, ...]
    environment: tuple[tuple[bytes, bytes], ...]
    search_path: bytes
    stdin: bytes
    open_files_max: int
    stdin_file: str = ""
    template_arguments: int = 0
    """How many of the arguments start a template; 0: none."""
    template_root: bytes = b""
    """The packed steps of the root it starts in."""

    @property
    def text(self) -> str:
        return f"run `{self.program.decode(errors='replace')}`"


class Standing(NamedTuple):
    """What a process can be made before it is known what it will run."""

    user: int
    group: int
    has_identities: bool
    has_powers: bool
    has_own_network: bool
    has_loopback: bool


class SpawnForked(NamedTuple):
    """Find the program and start it by a fork, which can do more than a spawn, and takes longer."""

    program: bytes
    arguments: tuple[bytes, ...]
    environment: tuple[tuple[bytes, bytes], ...]
    search_path: bytes
    stdin: bytes
    open_files_max: int
    stdin_file: str
    kernel_limits: tuple[tuple[str, int], ...]
    user: int
    group: int
    groups: tuple[int, ...]
    has_identities: bool
    has_powers: bool
    has_own_network: bool
    has_loopback: bool
    terminal: tuple[int, int]
    """Rows and columns; none of them if there is no terminal."""

    @property
    def standing(self) -> Standing:
        return Standing(
            self.user,
            self.group,
            self.has_identities,
            self.has_powers,
            self.has_own_network,
            self.has_loopback,
        )

    @property
    def text(self) -> str:
        return f"run `{self.program.decode(errors='replace')}`"


Step = (
    SwitchLoopback
    | MountStack
    | UnshareMounts
    | MountRoot
    | MountDevices
    | MakeDevices
    | MountProcesses
    | MountScratch
    | MountBind
    | MountSys
    | MountPseudoTerminals
    | MountMessageQueues
    | MountTmp
    | MakeDirectory
    | SealRoot
    | PivotRoot
    | EnterDirectory
    | Spawn
    | SpawnForked
)

# Later versions of the form note which objects are one and the same.
_CANONICAL = 2
_KINDS: dict[str, type] = {kind.__name__: kind for kind in Step.__args__}


def pack(steps: tuple[Step, ...]) -> bytes:
    """Return them in a form to be sent, the same for the same steps."""
    return marshal.dumps(tuple((type(step).__name__, *step) for step in steps), _CANONICAL)


def unpack(packed: bytes) -> tuple[Step, ...]:
    """Return the steps that were packed."""
    return tuple([_KINDS[name](*fields) for name, *fields in marshal.loads(packed)])


class Watch(NamedTuple):
    """What the slot looks after while the job runs."""

    timeout_s: float
    """0 means no timeout."""
    grace_s: float
    memory_bytes_max: int
    output_bytes_max: int
    outputs: tuple[str, ...] = ()
    is_captured: bool = False
    files_bytes_max: int = 0
    """Of what comes back, together."""


class GroupLimits(NamedTuple):
    """What one job may use, where its slot has a control group."""

    memory_bytes: int
    swap_bytes: int
    processes: int
    processors: float
    """As much time as so many of them have; 0 for no limit."""


class SlotKind(NamedTuple):
    """What is fixed when a slot is made; a job runs in a slot of its own kind."""

    user: int
    group: int
    has_host_network: bool
    sees_host_files: bool
    processes_max: int
    open_files_max: int
    sees_fuse: bool = False
    has_identities: bool = False
    uptime_s: int = -1
    is_one_shot: bool = False
    is_grouped: bool = False
    """Whether it is to have a control group."""


class Host(NamedTuple):
    """What the slots of one worker have to know of their host."""

    linux: tuple[int, int]
    uppers: str
    """Where on disk jobs' writes go; empty for memory."""
