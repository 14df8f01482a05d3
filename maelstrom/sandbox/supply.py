"""Have a root at hand for each job: the last one if nothing was written to it, or a spare.

A root takes the kernel longer to make than many a job takes to run. So, where the last job of a
kind wrote to its root, the root for the next one is made while the present job runs.
"""

import contextlib
import functools

from maelstrom.linux import namespace
from maelstrom.sandbox import steps
from maelstrom.sandbox.disposal import Disposal
from maelstrom.sandbox.job import Surprise
from maelstrom.sandbox.overlay import Identity, Overlays
from maelstrom.sandbox.removal import remove_tree
from maelstrom.sandbox.root import Root, RootBuilder, identify_of_host

# Of the roots that this slot makes again and again.
_unpack = functools.lru_cache(8)(steps.unpack)


class RootSupply:
    """The roots of one slot that no job runs in."""

    def __init__(
        self, host: steps.Host, disposal: Disposal, *, own_process: int, home: int
    ) -> None:
        """Take open descriptors of the slot's /proc/self and of its mount namespace."""
        self._has_fine_times = host.linux >= steps.LINUX_FINE_TIMES
        self._overlays = Overlays(host)
        self._builder = RootBuilder(self._overlays)
        self._disposal = disposal
        self._own_process = own_process
        self._home = home
        self._kept: Root | None = None
        self._spare: Root | None = None
        self._programs: set[bytes] = set()
        self._programs_of: tuple[bytes, Identity] = (b"", ())
        self._worn = b""
        """What the last root was made of that a job wrote to."""

    def take(self, made_of: bytes) -> Root | None:
        """Hand out the root that is ready, if there is one; others of its place are let go."""
        kept, self._kept = self._kept, None
        if kept is not None and self._is_right(kept, made_of):
            return kept
        self.drop(kept)
        spare, self._spare = self._spare, None
        if spare is not None and self._is_right(spare, made_of):
            return spare
        self.drop(spare)
        return None

    def begin(self, made_of: bytes) -> Root:
        """Return a root of which nothing is made yet."""
        root = Root(made_of, _unpack(made_of))
        root.identity = self._identity(root)
        return root

    def do(self, root: Root, step: steps.Step) -> None:
        """Carry out one of its steps; raises OSError."""
        self._builder.do(root, step)

    def seal(self, root: Root) -> None:
        """Take it for finished."""
        root.seal(self._own_process, has_fine_times=self._has_fine_times)

    def make(self, made_of: bytes) -> Root:
        """Make a root; raises OSError."""
        root = self.begin(made_of)
        try:
            for step in root.steps:
                self.do(root, step)
            self.seal(root)
        except OSError:
            self.drop(root)
            raise
        finally:
            self.leave()
        return root

    def enter(self, root: Root) -> None:
        """Go where the root is the root."""
        namespace.enter(root.namespace, namespace.NEW_MOUNT)

    def leave(self) -> None:
        """Go back home; this also leaves a root's working directory."""
        try:
            namespace.enter(self._home, namespace.NEW_MOUNT)
        except OSError as error:
            # Whatever comes next would happen in a job's root.
            raise Surprise(f"cannot leave the root of a job: {error.strerror}") from error

    def programs(self, root: Root) -> set[bytes]:
        """Return the programs that are known of such roots, to be added to.

        A root that no job has written to is as all of its kind, unless the host can change it.
        """
        if root.binds:
            return set()
        if self._programs_of != (root.made_of, root.identity):
            self._programs_of = (root.made_of, root.identity)
            self._programs = set()
        return self._programs

    def foresee(self, made_of: bytes) -> None:
        """Make a spare where the running job's root will not do for the next."""
        if self._spare is None and self._worn == made_of:
            self.prepare(made_of)

    def prepare(self, made_of: bytes) -> Root | None:
        """Make the spare, and show it."""
        # Where it fails, the next job makes its own, and tells why it cannot.
        with contextlib.suppress(OSError):
            self._spare = self.make(made_of)
        return self._spare

    def give_back(self, root: Root, *, is_reusable: bool) -> None:
        """Take a root after its job: to be used again if that left nothing."""
        if is_reusable and self.renew(root):
            self._kept = root
        elif not is_reusable:
            self.drop(root)

    def renew(self, root: Root) -> bool:
        """Make a root as it was before its job; where that does not go, let go of it."""
        try:
            is_renewed = root.renew()
        except (OSError, RecursionError):
            is_renewed = False
        if not is_renewed:
            self._worn = root.made_of
            self.drop(root)
        return is_renewed

    def drop(self, root: Root | None) -> None:
        """Have the kernel free a root."""
        if root is None:
            return
        self._disposal.dispose(root.take_descriptors())
        if root.upper is not None and root.upper.path_on_disk:
            remove_tree(root.upper.path_on_disk)

    def close(self) -> None:
        """Drop the roots that wait for a job."""
        self.drop(self._kept)
        self.drop(self._spare)
        self._kept = self._spare = None

    def _is_right(self, root: Root, made_of: bytes) -> bool:
        """Whether it is what the steps would make now."""
        return root.made_of == made_of and root.identity == self._identity(root)

    def _identity(self, root: Root) -> Identity:
        try:
            layers = self._overlays.identify(root.layers)
            return (*layers, *map(identify_of_host, root.binds)) if root.binds else layers
        except OSError:
            return ()  # The step that mounts them says which is missing.
