"""What to run and in which world: the immutable description of a job.

A spec's identity is the digest of its encoding, so equal specs mean equal worlds, and a result may
be kept and shared. Everything that only helps to schedule (priority, estimate) is no part of it.
"""

import enum
import posixpath
from typing import Self

import msgspec

from maelstrom.errors import SpecError
from maelstrom.model.digest import Digest

LAYERS_MAX = 200
ARGUMENTS_BYTES_MAX = 1 << 20
TIMEOUT_S_MAX = 7 * 24 * 3600.0
AMOUNT_MAX = 1 << 62
OUTPUTS_MAX = 1000
PROCESSORS_MAX = 65536
IDENTITY_MAX = (1 << 32) - 2
UPTIME_S_MAX = 100 * 365 * 24 * 3600
DEVICES = ("full", "null", "random", "shm", "tty", "urandom", "zero")
"""What /dev has if nothing is said; `shm` is a directory of the job's own."""
DEVICES_KNOWN = (*DEVICES, "fuse")
KERNEL_LIMITS = (
    "address_space",
    "cpu_s",
    "data",
    "file_size",
    "locked_memory",
    "message_queues",
    "pending_signals",
    "stack",
)
"""What the kernel limits for each process of a job, apart from open files."""
# No job may read by its outputs what it may not read itself.
_NO_OUTPUTS = ("/dev", "/proc", "/sys")


class Network(enum.Enum):
    """What the job can reach: nothing at all, its own loopback, or the host's network."""

    DISABLED = "disabled"
    LOOPBACK = "loopback"
    LOCAL = "local"


class RootFileSystem(enum.Enum):
    """Whether the job may write outside its mounts, and whether what it writes is thrown away."""

    READ_ONLY = "read-only"
    WRITABLE = "writable"
    CAPTURED = "captured"
    """All changes come back as a layer."""


class Bind(msgspec.Struct, frozen=True, tag="bind", forbid_unknown_fields=True):
    """A file or directory of the host, seen inside; such a job runs where its client is."""

    mount_point: str
    host_path: str
    is_read_only: bool = True


class Tmp(msgspec.Struct, frozen=True, tag="tmp", forbid_unknown_fields=True):
    """An empty file system in memory; 0 bytes means the worker's default size."""

    mount_point: str
    size_bytes: int = 0


class Sys(msgspec.Struct, frozen=True, tag="sys", forbid_unknown_fields=True):
    """A view of /sys."""

    mount_point: str = "/sys"


class DevPts(msgspec.Struct, frozen=True, tag="devpts", forbid_unknown_fields=True):
    """Pseudo-terminals of the job's own."""

    mount_point: str = "/dev/pts"


class MessageQueue(msgspec.Struct, frozen=True, tag="mqueue", forbid_unknown_fields=True):
    """POSIX message queues of the job's own."""

    mount_point: str = "/dev/mqueue"


Mount = Bind | Tmp | Sys | DevPts | MessageQueue


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one job may use at the most; 0 means the worker's default."""

    output_bytes_max: int = 1 << 20
    """Kept of each of stdout and stderr: first half and last half; the middle is dropped."""
    memory_bytes_max: int = 0
    write_bytes_max: int = 0
    """What the job may write to its root file system, /tmp and /dev/shm together."""
    processes_max: int = 0
    open_files_max: int = 0
    kernel: tuple[tuple[str, int], ...] = ()
    """Limits of each process, by names of KERNEL_LIMITS."""
    swap_bytes_max: int = 0
    """Beyond `memory_bytes_max`, where the host lets us use control groups."""
    processors: float = 0.0
    """As much time as so many processors have; only where the host lets us use control groups."""


_USUAL_LIMITS = Limits()


class Terminal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The size of a job's terminal."""

    rows: int = 24
    columns: int = 80


class JobSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One program, its world and its limits; raises SpecError where they cannot be right.

    `layers` are digests of manifests, lowest first. `program` is looked up in the job's own PATH
    if it has no slash; a relative path starts at `working_directory`. `/proc`, `/dev` and `/tmp`
    are always there, and mount points and the working directory are made where they are missing.
    """

    program: str
    arguments: tuple[str, ...] = ()
    template_arguments: int = 0
    """How many of the arguments start a template: a process that does what all such jobs begin
    with, and of which each job is a fork, in a container of its own all the same. 0: none."""
    template_layers: int = 0
    """How many of the layers, from the lowest, the template sees: what is common to such jobs."""
    environment: tuple[tuple[str, str], ...] = ()
    layers: tuple[Digest, ...] = ()
    working_directory: str = "/"
    mounts: tuple[Mount, ...] = ()
    network: Network = Network.DISABLED
    root: RootFileSystem = RootFileSystem.WRITABLE
    user: int = 1000
    group: int = 1000
    timeout_s: float = 0.0
    """0 means no timeout."""
    grace_s: float = 2.0
    """Between SIGTERM at the timeout and SIGKILL."""
    stdin: bytes = b""
    stdin_file: str = ""
    """A file in the container that is read instead; so it may be as large as a layer."""
    devices: tuple[str, ...] = DEVICES
    outputs: tuple[str, ...] = ()
    """Files and directories that come back when the job has ended, if they are there then."""
    groups: tuple[int, ...] = ()
    """Supplementary groups; they need `has_identities`."""
    has_identities: bool = False
    """Whether users and groups 0 to 65535 are there, not only the job's own."""
    has_powers: bool = False
    """Whether the job has all capabilities over its container, though none over the host."""
    terminal: Terminal | None = None
    uptime_s: int = -1
    """What the job's clocks say of how long the machine runs; -1 for the truth."""
    limits: Limits = Limits()
    resources: tuple[tuple[str, int], ...] = (("slots", 1),)

    def __post_init__(self) -> None:
        _check_program(self)
        _check_environment(self.environment)
        _check_absolute("working directory", self.working_directory)
        for mount in self.mounts:
            _check_absolute("mount point", mount.mount_point)
            _check_mount(mount)
        if len(self.layers) > LAYERS_MAX:
            raise SpecError(f"{len(self.layers)} layers; the limit is {LAYERS_MAX}")
        if not 0 <= self.timeout_s <= TIMEOUT_S_MAX or not 0 <= self.grace_s <= TIMEOUT_S_MAX:
            raise SpecError(f"timeout of {self.timeout_s} s is out of range")
        _check_identity(self)
        # Every job is checked three times on its way: what it does not ask for costs nothing.
        if self.limits != _USUAL_LIMITS:
            _check_limits(self.limits)
        if self.devices != DEVICES:
            _check_devices(self.devices)
        if self.stdin_file or self.outputs:
            _check_files(self)
        for name, amount in self.resources:
            if amount < 1:
                raise SpecError(f"resource `{name}` needs a positive amount, not {amount}")

    @property
    def is_local(self) -> bool:
        """Whether the job must run on the client's own machine."""
        return (
            self.network is Network.LOCAL
            or self.terminal is not None
            or any(isinstance(mount, Bind) for mount in self.mounts)
        )

    @property
    def brings_files(self) -> bool:
        """Whether files come back from the job."""
        return bool(self.outputs) or self.root is RootFileSystem.CAPTURED

    @property
    def uncached_because(self) -> str:
        """Why an equal job might end otherwise; empty if it would not."""
        if self.network is Network.LOCAL:
            return "it uses the host's network"
        if any(isinstance(mount, Bind) for mount in self.mounts):
            return "it sees files of the host"
        if self.terminal is not None:
            return "it has a terminal"
        if any(isinstance(mount, Sys) for mount in self.mounts):
            return "it sees the host's /sys"
        return ""

    def encode(self) -> bytes:
        """Return the canonical encoding, whose digest is the identity of this spec."""
        return _encode(self)

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        """Read and check an encoded spec; raises SpecError."""
        try:
            return _decode(encoded)  # type: ignore[return-value]  # The class is final in effect.
        except (msgspec.DecodeError, UnicodeDecodeError, SpecError) as error:
            raise SpecError(f"not a job spec: {error}") from error

    @property
    def digest(self) -> Digest:
        """The identity of this spec."""
        return Digest.of(self.encode())


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(JobSpec).decode


def _check_program(spec: JobSpec) -> None:
    if not spec.program:
        raise SpecError("a job needs a program")
    for count, things, what in (
        (spec.template_arguments, spec.arguments, "arguments"),
        (spec.template_layers, spec.layers, "layers"),
    ):
        if not 0 <= count <= len(things):
            raise SpecError(f"{count} of {len(things)} {what} for a template")
    total = 0
    for argument in (spec.program, *spec.arguments):
        total += len(argument) + 1
        if "\0" in argument:
            raise SpecError(f"argument {argument[:100]!r} has a NUL in it")
    if total > ARGUMENTS_BYTES_MAX:
        raise SpecError(f"arguments of {total} bytes; the limit is {ARGUMENTS_BYTES_MAX}")


def _check_environment(environment: tuple[tuple[str, str], ...]) -> None:
    for name, value in environment:
        if not name or "=" in name or "\0" in name:
            raise SpecError(f"{name!r} cannot be the name of an environment variable")
        if "\0" in value:
            raise SpecError(f"the environment variable `{name}` has a NUL in its value")


def _check_mount(mount: Mount) -> None:
    if mount.mount_point == "/":
        raise SpecError("`/` cannot be a mount point")
    match mount:
        case Bind(host_path=path) if not path.startswith("/") or "\0" in path:
            raise SpecError(f"host path {path!r} must be an absolute path")
        case Tmp(size_bytes=size_bytes) if not 0 <= size_bytes <= AMOUNT_MAX:
            raise SpecError(f"`{mount.mount_point}` cannot have {size_bytes} bytes")


def _check_limits(limits: Limits) -> None:
    for name in Limits.__struct_fields__:
        amount = getattr(limits, name)
        if isinstance(amount, int) and not 0 <= amount <= AMOUNT_MAX:
            raise SpecError(f"the limit `{name}` cannot be {amount}")
    if not 0 <= limits.processors <= PROCESSORS_MAX:
        raise SpecError(f"the limit `processors` cannot be {limits.processors}")


def _check_identity(spec: JobSpec) -> None:
    for number in (spec.user, spec.group, *spec.groups):
        if not 0 <= number <= IDENTITY_MAX:
            raise SpecError(f"{number} cannot be a user or a group")
    if spec.groups and not spec.has_identities:
        raise SpecError("supplementary groups need `has_identities`")
    if spec.has_powers and (spec.user or spec.group):
        raise SpecError("capabilities are root's", hint="say user 0 and group 0, too")
    for name, value in spec.limits.kernel:
        if name not in KERNEL_LIMITS:
            raise SpecError(f"unknown limit `{name}`", hint=f"known are {', '.join(KERNEL_LIMITS)}")
        if not 0 <= value <= AMOUNT_MAX:
            raise SpecError(f"the limit `{name}` cannot be {value}")
    if not -1 <= spec.uptime_s <= UPTIME_S_MAX:
        raise SpecError(f"an uptime of {spec.uptime_s} s is out of range")


def _check_devices(devices: tuple[str, ...]) -> None:
    for name in devices:
        if name not in DEVICES_KNOWN:
            known = ", ".join(DEVICES_KNOWN)
            raise SpecError(f"unknown device `{name}`", hint=f"known are {known}")
    if len(set(devices)) != len(devices):
        raise SpecError("a device is named twice")


def _check_files(spec: JobSpec) -> None:
    if spec.stdin_file:
        _check_absolute("stdin file", spec.stdin_file)
        if spec.stdin:
            raise SpecError("stdin is given both as bytes and as a file")
    if len(spec.outputs) > OUTPUTS_MAX:
        raise SpecError(f"{len(spec.outputs)} outputs; the limit is {OUTPUTS_MAX}")
    for path in spec.outputs:
        _check_absolute("output", path)
        if path == "/":
            raise SpecError("`/` cannot be an output", hint="a captured root brings all changes")
        if f"{path}/".startswith(tuple(f"{place}/" for place in _NO_OUTPUTS)):
            raise SpecError(f"output `{path}` is of the kernel's making")


def _check_absolute(what: str, path: str) -> None:
    if not path.startswith("/") or "\0" in path:
        raise SpecError(f"{what} {path!r} must be an absolute path")
    if posixpath.normpath(path) != path or path.startswith("//"):
        raise SpecError(f"{what} {path!r} must be written plainly, as {posixpath.normpath(path)!r}")
