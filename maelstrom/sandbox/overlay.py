"""Mount layers as one root, in the best way the kernel knows.

    1. `lowerdir+` (Linux 6.8) and the upper tree by descriptor (6.13): no limit on lengths
    2. `lowerdir+`, the upper tree by path
    3. mount(2) with one option string (5.11), which ends at 4095 bytes without a word

The first refusal is remembered. From some layers on, the plan asks for a stack: a read-only
overlay that is the single lower one of each job's; where the layers lie on an overlay themselves
the kernel refuses that third storey, and the layers are used one by one.
"""

import errno
import os

from maelstrom.linux import mount
from maelstrom.sandbox.stage import STACKS_MAX, new_tmpfs

OPTIONS_BYTES_MAX = 4095

_REFUSED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class OverlayError(OSError):
    """An overlay that could not be mounted, with the kernel's own words."""


class Overlays:
    """Mounts roots for one slot; remembers what its kernel cannot do."""

    def __init__(self) -> None:
        self.can_list = True
        self.can_use_descriptors = True
        self.can_nest = True
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

    def mount_root(self, layers: tuple[str, ...], size_bytes: int) -> int:
        """Mount layers on /new under an empty tmpfs; return the directory that takes the writes."""
        tree = new_tmpfs(size_bytes, 0o755)
        try:
            os.mkdir("u", 0o755, dir_fd=tree)
            os.mkdir("w", 0o755, dir_fd=tree)
            if layers in self._stacks:
                try:
                    self._mount([f"/stacks/{self._stacks[layers]}"], tree, "/new")
                except OSError as error:
                    if error.errno not in _REFUSED:
                        raise
                    self.can_nest = False
                    self._stacks.clear()
                    self._mount(_paths(layers), tree, "/new")
            else:
                self._mount(_paths(layers), tree, "/new")
            return os.open("u", os.O_RDONLY | os.O_DIRECTORY, dir_fd=tree)
        finally:
            os.close(tree)

    def _mount(self, lowers: list[str], upper: int | None, target: str) -> None:
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

    def _mount_new(self, lowers: list[str], upper: int | None) -> int:
        file_system = mount.open_file_system(b"overlay")
        directories: list[int] = []
        try:
            # The kernel wants the uppermost first.
            for lower in reversed(lowers):
                mount.set_string(file_system, b"lowerdir+", os.fsencode(lower))
            if upper is not None and self.can_use_descriptors:
                for name, option in (("u", b"upperdir"), ("w", b"workdir")):
                    flags = os.O_RDONLY | os.O_DIRECTORY
                    directories.append(os.open(name, flags, dir_fd=upper))
                    mount.set_descriptor(file_system, option, directories[-1])
            elif upper is not None:
                self._attach_upper(upper)
                mount.set_string(file_system, b"upperdir", b"/up/u")
                mount.set_string(file_system, b"workdir", b"/up/w")
            mount.set_flag(file_system, b"userxattr")
            attributes = mount.ATTRIBUTE_NO_SETUID | mount.ATTRIBUTE_NO_DEVICES
            return mount.create(file_system, attributes)
        except OSError as error:
            words = mount.explanation(file_system)
            raise OverlayError(error.errno, words or error.strerror) from error
        finally:
            for descriptor in (*directories, file_system):
                os.close(descriptor)

    def _mount_old(self, lowers: list[str], upper: int | None, target: str) -> None:
        # Relative paths keep the string short.
        os.chdir("/layers")
        try:
            names = ":".join(lower.removeprefix("/layers/") for lower in reversed(lowers))
            options = f"lowerdir={names},userxattr"
            if upper is not None:
                self._attach_upper(upper)
                options += ",upperdir=/up/u,workdir=/up/w"
            if len(options) > OPTIONS_BYTES_MAX:
                words = f"{len(lowers)} layers are too many for a kernel before Linux 6.8"
                raise OverlayError(errno.E2BIG, words)
            flags = 0x2 | 0x4  # No set-user-ID, no devices.
            mount.mount(b"overlay", os.fsencode(target), b"overlay", flags, os.fsencode(options))
        finally:
            os.chdir("/")

    def _attach_upper(self, upper: int) -> None:
        """Give the upper tree a path: within this job's mount namespace only."""
        if not os.path.ismount("/up"):
            mount.attach(os.dup(upper), "/up")


def _paths(layers: tuple[str, ...]) -> list[str]:
    # A root without any layer still needs a lower tree.
    return [f"/layers/{name}" for name in layers] or ["/empty"]
