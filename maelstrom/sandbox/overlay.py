"""Mount layers as one root, in the best way the kernel knows.

    1. `lowerdir+` (Linux 6.8) and the upper tree by descriptor (6.13): no limit on lengths
    2. `lowerdir+`, the upper tree by path
    3. mount(2) with one option string (5.11), which ends at 4095 bytes without a word

The first refusal is remembered. Writes go to memory, or before Linux 6.6, whose tmpfs keeps no
user attributes, to a directory on disk. From some layers on, the plan asks for a stack: a read-only
overlay that is the single lower one of each job's; where the layers lie on an overlay themselves
the kernel refuses that third storey, and the layers are used one by one.
"""

import errno
import itertools
import os

from maelstrom.linux import mount
from maelstrom.sandbox.removal import remove_tree
from maelstrom.sandbox.stage import STACKS_MAX, new_tmpfs
from maelstrom.sandbox.steps import LINUX_LAYER_DESCRIPTORS, LINUX_LAYER_LIST, Host

OPTIONS_BYTES_MAX = 4095

_REFUSED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class OverlayError(OSError):
    """An overlay that could not be mounted, with the kernel's own words."""


class Overlays:
    """Mounts roots for one slot; remembers what its kernel cannot do."""

    def __init__(self, host: Host) -> None:
        self.can_list = host.linux >= LINUX_LAYER_LIST
        self.can_use_descriptors = host.linux >= LINUX_LAYER_DESCRIPTORS
        self.can_nest = True
        self._is_on_disk = bool(host.uppers)
        self._numbers = itertools.count(1)
        self._stacks: dict[tuple[str, ...], int] = {}

    def mount_stack(self, layers: tuple[str, ...]) -> None:
        """Mount layers read-only at a place of their own, unless they are there already."""
        if not self.can_nest:
            return
        if layers in self._stacks:
            self._stacks[layers] = self._stacks.pop(layers)
            return
        if len(self._stacks) < STACKS_MAX:
            number = len(self._stacks)
        else:
            # The first is the one not used for longest.
            number = self._stacks.pop(next(iter(self._stacks)))
            mount.unmount(f"/stacks/{number}")
        self._mount(_paths(layers), None, f"/stacks/{number}")
        self._stacks[layers] = number

    def mount_root(self, layers: tuple[str, ...], size_bytes: int) -> "Upper":
        """Mount layers on /new under an empty directory, which is returned."""
        upper = self._new_upper(size_bytes)
        try:
            for name in ("u", "w"):
                os.mkdir(name, 0o755, dir_fd=upper.tree)
            number = self._stacks.get(layers)
            if number is None:
                self._mount(_paths(layers), upper, "/new")
            else:
                self._mount_nested(number, layers, upper)
            upper.open()
        except OSError:
            upper.close()
            raise
        return upper

    def _new_upper(self, size_bytes: int) -> "Upper":
        if not self._is_on_disk:
            return Upper(new_tmpfs(size_bytes, 0o755), "/up", "")
        path = f"/uppers/{os.readlink('/proc/self/ns/user')[6:-1]}-{next(self._numbers)}"
        os.mkdir(path, 0o700)
        return Upper(os.open(path, os.O_RDONLY | os.O_DIRECTORY), path, path)

    def _mount_nested(self, number: int, layers: tuple[str, ...], upper: "Upper") -> None:
        try:
            self._mount([f"/stacks/{number}"], upper, "/new")
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            self._mount(_paths(layers), upper, "/new")
            self.can_nest = False
            self._stacks.clear()

    def _mount(self, lowers: list[str], upper: "Upper | None", target: str) -> None:
        """Try the ways from the best to the oldest; a refusal by all is the last one's."""
        while self.can_list:
            uses_descriptors = self.can_use_descriptors
            try:
                mount.attach(self._mount_new(lowers, upper), target)
            except OSError as error:
                if error.errno not in _REFUSED:
                    raise
                if uses_descriptors and upper is not None:
                    self.can_use_descriptors = False
                    continue
                first_error = error
            else:
                return
            try:
                self._mount_old(lowers, upper, target)
            except OSError:
                # Not a matter of the way: the newer one explains itself better.
                self.can_use_descriptors = True
                raise first_error from None
            self.can_list = False
            return
        self._mount_old(lowers, upper, target)

    def _mount_new(self, lowers: list[str], upper: "Upper | None") -> int:
        file_system = mount.open_file_system(b"overlay")
        directories: list[int] = []
        try:
            # The kernel wants the uppermost first.
            for lower in reversed(lowers):
                mount.set_string(file_system, b"lowerdir+", os.fsencode(lower))
            if upper is not None and self.can_use_descriptors:
                for name, option in (("u", b"upperdir"), ("w", b"workdir")):
                    flags = os.O_RDONLY | os.O_DIRECTORY
                    directories.append(os.open(name, flags, dir_fd=upper.tree))
                    mount.set_descriptor(file_system, option, directories[-1])
            elif upper is not None:
                upper.attach()
                mount.set_string(file_system, b"upperdir", os.fsencode(f"{upper.path}/u"))
                mount.set_string(file_system, b"workdir", os.fsencode(f"{upper.path}/w"))
            mount.set_flag(file_system, b"userxattr")
            attributes = mount.ATTRIBUTE_NO_SETUID | mount.ATTRIBUTE_NO_DEVICES
            return mount.create(file_system, attributes)
        except OSError as error:
            words = mount.explanation(file_system)
            raise OverlayError(error.errno, words or error.strerror) from error
        finally:
            for descriptor in (*directories, file_system):
                os.close(descriptor)

    def _mount_old(self, lowers: list[str], upper: "Upper | None", target: str) -> None:
        # Relative paths keep the string short.
        os.chdir("/layers")
        try:
            names = ":".join(lower.removeprefix("/layers/") for lower in reversed(lowers))
            options = f"lowerdir={names},userxattr"
            if upper is not None:
                upper.attach()
                options += f",upperdir={upper.path}/u,workdir={upper.path}/w"
            if len(options) > OPTIONS_BYTES_MAX:
                words = f"{len(lowers)} layers are too many for a kernel before Linux 6.8"
                raise OverlayError(errno.E2BIG, words)
            flags = 0x2 | 0x4  # No set-user-ID, no devices.
            mount.mount(b"overlay", os.fsencode(target), b"overlay", flags, os.fsencode(options))
        finally:
            os.chdir("/")


class Upper:
    """Where one root's writes go."""

    def __init__(self, tree: int, path: str, path_on_disk: str) -> None:
        self.tree = tree
        self.path = path
        self.directory = -1
        self._path_on_disk = path_on_disk

    def attach(self) -> None:
        """Give it a path: within this job's mount namespace only."""
        if not self._path_on_disk and not os.path.ismount(self.path):
            mount.attach(os.dup(self.tree), self.path)

    def open(self) -> None:
        """Open what is seen through the overlay."""
        self.directory = os.open("u", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.tree)

    def close(self) -> None:
        """Forget what was written; call it when no root uses it any more."""
        for descriptor in (self.directory, self.tree):
            if descriptor >= 0:
                os.close(descriptor)
        self.directory = self.tree = -1
        if self._path_on_disk:
            remove_tree(self._path_on_disk)
            self._path_on_disk = ""


def _paths(layers: tuple[str, ...]) -> list[str]:
    # A root without any layer still needs a lower tree.
    return [f"/layers/{name}" for name in layers] or ["/empty"]
