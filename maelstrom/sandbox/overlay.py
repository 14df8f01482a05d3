"""Mount layers as one root.

    1. mount(2) with one option string: a single call, which ends at 4095 bytes without a word
    2. `lowerdir+` (Linux 6.8): a dozen calls for as many layers as we like, and a failure's reason

Writes go to memory, or before Linux 6.6, whose tmpfs keeps no user attributes, to a directory on
disk. From some layers on, the plan asks for a stack: a read-only overlay that is the single lower
one of each job's; where the layers lie on an overlay themselves the kernel refuses that third
storey, and the layers are used one by one.
"""

import errno
import itertools
import os
from typing import NamedTuple

from maelstrom.linux import mount
from maelstrom.sandbox.removal import remove_tree
from maelstrom.sandbox.stage import OLD_WRITABLE, STACKS_MAX, WRITABLE, mount_tmpfs
from maelstrom.sandbox.steps import LINUX_FINE_TIMES, LINUX_LAYER_LIST, Host

OPTIONS_BYTES_MAX = 4095
# Lists of layers that a slot knows by heart.
IDENTITIES_MAX = 64

Identity = tuple[tuple[str, int, int], ...]

_REFUSED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class OverlayError(OSError):
    """An overlay that could not be mounted, with the kernel's own words."""


class Upper(NamedTuple):
    """Where one root's writes go: the directories, and what must be removed afterwards."""

    root: int
    tmp: int
    shm: int
    path_on_disk: str
    bytes_max: int


class Overlays:
    """Mounts roots for one slot; remembers what its kernel cannot do."""

    def __init__(self, host: Host) -> None:
        identities = LayerIdentities(has_fine_times=host.linux >= LINUX_FINE_TIMES)
        self.identify = identities.identify
        self._can_list = host.linux >= LINUX_LAYER_LIST
        self.can_nest = True
        self._is_on_disk = bool(host.uppers)
        self._numbers = itertools.count(1)
        self._stacks: dict[Identity, int] = {}

    def mount_stack(self, layers: tuple[str, ...]) -> None:
        """Mount layers read-only at a place of their own, unless they are there already."""
        identity = self.identify(layers)
        if not self.can_nest:
            return
        if identity in self._stacks:
            self._stacks[identity] = self._stacks.pop(identity)
            return
        if len(self._stacks) == STACKS_MAX:
            # The first is the one not used for longest.
            oldest = next(iter(self._stacks))
            mount.unmount(f"/stacks/{self._stacks[oldest]}")
            del self._stacks[oldest]
        number = min(set(range(STACKS_MAX)) - set(self._stacks.values()))
        self._mount(_paths(layers), "", f"/stacks/{number}")
        self._stacks[identity] = number

    def mount_root(self, layers: tuple[str, ...], size_bytes: int) -> Upper:
        """Mount layers on /new over nothing written yet; /up holds /tmp and /dev/shm."""
        mount_tmpfs("/up", size_bytes, 0o755)
        place = "/up"
        if self._is_on_disk:
            place = f"/uppers/{next(self._numbers)}"
            os.mkdir(place, 0o700)
        opened: list[int] = []
        try:
            self._mount_over(place, layers)
            for path in (f"{place}/u", "/up/tmp", "/up/shm"):
                opened += [os.open(path, os.O_RDONLY | os.O_DIRECTORY)]
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            if self._is_on_disk:
                remove_tree(place)
            raise
        root, tmp, shm = opened
        return Upper(root, tmp, shm, place if self._is_on_disk else "", size_bytes)

    def _mount_over(self, place: str, layers: tuple[str, ...]) -> None:
        mask = os.umask(0)
        try:
            os.mkdir(f"{place}/u", 0o755)
            os.mkdir(f"{place}/w", 0o755)
            os.mkdir("/up/tmp", 0o1777)
            os.mkdir("/up/shm", 0o1777)
        finally:
            os.umask(mask)
        number = self._stacks.get(self.identify(layers)) if self._stacks else None
        if number is None:
            self._mount(_paths(layers), place, "/new")
        else:
            self._mount_nested(number, layers, place)

    def _mount_nested(self, number: int, layers: tuple[str, ...], upper: str) -> None:
        try:
            self._mount([f"/stacks/{number}"], upper, "/new")
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            self._mount(_paths(layers), upper, "/new")
            self.can_nest = False
            self._stacks.clear()

    def _mount(self, lowers: list[str], upper: str, target: str) -> None:
        """Try the short way, then the long one; without `upper` it is read-only."""
        try:
            _mount_by_string(lowers, upper, target, is_on_disk=self._is_on_disk)
        except OSError:
            if not self._can_list:
                raise
            mount.attach(_new_overlay(lowers, upper), target)


class LayerIdentities:
    """Tells layers from others that bear their names: a store may forget one and make it anew."""

    def __init__(self, *, has_fine_times: bool) -> None:
        self._has_fine_times = has_fine_times
        self._known: dict[tuple[str, ...], Identity] = {}
        self._changed_ns = 0

    def identify(self, layers: tuple[str, ...]) -> Identity:
        """Look at the layers, unless none has come or gone since.

        Raises OSError if one is missing.
        """
        # Before the layers themselves: what comes or goes meanwhile shows the next time.
        changed_ns = os.stat("/layers").st_ctime_ns
        is_same = changed_ns == self._changed_ns and self._has_fine_times
        if not is_same or len(self._known) > IDENTITIES_MAX:
            self._known.clear()
            self._changed_ns = changed_ns
        identity = self._known.get(layers)
        if identity is None:
            identity = self._known[layers] = tuple(map(_identify, layers))
        return identity


def _identify(name: str) -> tuple[str, int, int]:
    status = os.stat(f"/layers/{name}")
    return name, status.st_ino, status.st_ctime_ns


def _new_overlay(lowers: list[str], upper: str) -> int:
    file_system = mount.open_file_system(b"overlay")
    try:
        # The kernel wants the uppermost first.
        for lower in reversed(lowers):
            mount.set_string(file_system, b"lowerdir+", os.fsencode(lower))
        if upper:
            mount.set_string(file_system, b"upperdir", os.fsencode(f"{upper}/u"))
            mount.set_string(file_system, b"workdir", os.fsencode(f"{upper}/w"))
        mount.set_flag(file_system, b"userxattr")
        return mount.create(file_system, WRITABLE)
    except OSError as error:
        words = mount.explanation(file_system)
        raise OverlayError(error.errno, words or error.strerror) from error
    finally:
        os.close(file_system)


def can_list_layers() -> bool:
    """Whether the kernel takes any number of layers."""
    file_system = mount.open_file_system(b"overlay")
    try:
        mount.set_string(file_system, b"lowerdir+", b"/empty")
    except OSError:
        return False
    finally:
        os.close(file_system)
    return True


def _mount_by_string(lowers: list[str], upper: str, target: str, *, is_on_disk: bool) -> None:
    # Relative paths keep the string short.
    os.chdir("/layers")
    try:
        names = ":".join(lower.removeprefix("/layers/") for lower in reversed(lowers))
        options = f"lowerdir={names},userxattr"
        if upper:
            options += f",upperdir={upper}/u,workdir={upper}/w"
        if upper and is_on_disk:
            # It is used once; ending its overlay would else write out all of it.
            options += ",volatile"
        if len(options) > OPTIONS_BYTES_MAX:
            words = f"{len(lowers)} layers are too many for a kernel before Linux 6.8"
            raise OverlayError(errno.E2BIG, words)
        mount.mount(b"overlay", os.fsencode(target), b"overlay", OLD_WRITABLE, os.fsencode(options))
    finally:
        os.chdir("/")


def _paths(layers: tuple[str, ...]) -> list[str]:
    # A root without any layer still needs a lower tree.
    return [f"/layers/{name}" for name in layers] or ["/empty"]
