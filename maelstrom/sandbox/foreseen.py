"""Make the process of a job ahead, in a root that was made ahead, too.

What a job with capabilities needs takes the kernel longer than starting its program: namespaces,
and a fork of the slot. Only a slot that runs no second job does it before there is a job: nothing
of one may wait while another runs.
"""

from maelstrom.sandbox.forked import Waiting
from maelstrom.sandbox.root import Root
from maelstrom.sandbox.stage import StageFiles
from maelstrom.sandbox.steps import SpawnForked, Standing, Step
from maelstrom.sandbox.supply import RootSupply


class Foreseen:
    """The process of the job that is likely to come, if there is one."""

    def __init__(self, roots: RootSupply, files: StageFiles) -> None:
        self._roots = roots
        self._files = files
        self._waiting: Waiting | None = None
        self._before = b""
        self._root: Root | None = None

    def make(self, before: bytes, made_of: bytes, standing: Standing) -> None:
        """Make a root, and a process in it; raises OSError."""
        self._before, self._root = before, self._roots.prepare(made_of)
        if self._root is None:
            return
        try:
            self._roots.enter(self._root)
            self._waiting = Waiting(standing, self._files)
        finally:
            self._roots.leave()

    def take(self, before: bytes, root: Root | None, step: Step) -> Waiting | None:
        """Hand out the process if it will do for this job; else it is ended."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return None
        is_there = before == self._before and root is self._root
        if is_there and isinstance(step, SpawnForked) and step.standing == waiting.standing:
            return waiting
        waiting.end()
        return None

    def end(self) -> None:
        """Do without; raises Surprise."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.end()
