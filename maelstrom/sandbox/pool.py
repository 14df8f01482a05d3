"""Hand jobs to slots: the worker's side of the sandbox.

Rules of this file:
1. A slot runs jobs of one kind (user, network, limits). A job takes an idle slot of its kind, best
   one that still has its root; if there is none, an idle slot of another kind is given up for it.
2. A slot that is lost, or that does not answer in time, is replaced, and the outcome of its job is
   an infrastructure error. A slot that ends between two jobs is not noticed by any.
3. `run` returns an outcome whatever a job does; it raises only when it is itself cancelled.
"""

import asyncio
import contextlib
import errno
import itertools
import os
import subprocess
from collections.abc import Sequence
from functools import partial

from maelstrom.errors import SpecError
from maelstrom.model.outcome import (
    Cancelled,
    ExecutionError,
    Exited,
    InfrastructureFault,
    LimitExceeded,
    Outcome,
    Signaled,
)
from maelstrom.model.spec import JobSpec
from maelstrom.sandbox.channel import RETIRED, Message
from maelstrom.sandbox.check import explain_unavailable
from maelstrom.sandbox.groups import Groups, find_groups
from maelstrom.sandbox.identities import NoIdentities, map_identities
from maelstrom.sandbox.launch import (
    ServiceUser,
    SlotConnection,
    Unavailable,
    Zygote,
    linux_version,
    service_user,
)
from maelstrom.sandbox.plan import Defaults, Plan, plan
from maelstrom.sandbox.ports import NOTES, UNTIED, Ties
from maelstrom.sandbox.results import outcome_of
from maelstrom.sandbox.steps import SlotKind, SpawnForked, pack

__all__ = ["Defaults", "ServiceUser", "SlotPool", "default_limits", "service_user"]

# Beyond a job's own time, before a slot that does not answer is taken for lost.
ANSWER_S_MAX = 60.0
KILL_S_MAX = 10.0
# A slot takes some milliseconds to make, or a second on an emulated machine.
READY_S_MAX = 60.0
GROUPS_S_MAX = 5.0
# A slot that has just ended may still look idle.
ATTEMPTS_MAX = 3

_MEMORY_SHARE = 0.8
_WRITE_SHARE = 0.2


class SlotPool:
    """All slots of a worker; `run` may be called for at most `slots` jobs at a time."""

    def __init__(
        self,
        *,
        slots: int,
        layers_root: str,
        service_user: ServiceUser | None,
        defaults: Defaults | None = None,
        linux: tuple[int, int] | None = None,
    ) -> None:
        """`linux` is for tests: to do as if the kernel were older."""
        self._slots_max = slots
        self._defaults = defaults or default_limits(slots)
        self._zygote = Zygote(os.path.realpath(layers_root), service_user, linux or linux_version())
        self._restarting = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._idle: list[SlotConnection] = []
        self._running: dict[str, SlotConnection | None] = {}
        self._killed: set[str] = set()
        self._spares: set[asyncio.Task[None]] = set()
        self._service_user = service_user
        self._groups: Groups | None = None
        self._is_closed = False

    async def start(self) -> None:
        """Make the zygote and one slot, the proof that the host lets us.

        Raises SandboxUnavailable, which names the host's setting and the remedy.
        """
        self._groups = find_groups(os.environ)
        self._defaults = self._defaults._replace(is_grouped=self._groups is not None)
        usual = plan(JobSpec(program="true"), (), self._defaults).kind
        try:
            await self._zygote.start()
            self._idle.append(await self._make(usual))
        except Unavailable as error:
            await self.close()
            raise await asyncio.to_thread(explain_unavailable, error.doing, error.number) from error

    async def run(
        self, spec: JobSpec, layers: Sequence[str], job: str, ties: Ties = UNTIED
    ) -> Outcome:
        """Run one job and tell how it ended; `layers` are names below `layers_root`."""
        if self._is_closed:
            return InfrastructureFault("the sandbox is closed")
        try:
            made = plan(spec, layers, self._defaults)
        except SpecError as error:
            return ExecutionError(error.message, error.hint)
        self._running[job] = None
        try:
            return await self._run(made, job, ties)
        except Unavailable as error:
            return InfrastructureFault(
                f"cannot make a slot: cannot {error.doing}: {os.strerror(error.number)}",
                "`python -m maelstrom.sandbox --check` tells what this host forbids",
            )
        finally:
            del self._running[job]
            self._killed.discard(job)

    def kill(self, job: str) -> None:
        """End a job at once; its `run` then returns Cancelled."""
        if job not in self._running or job in self._killed:
            return
        self._killed.add(job)
        slot = self._running[job]
        if slot is not None:
            slot.send(("kill",))
            asyncio.get_running_loop().call_later(KILL_S_MAX, self._kill_for_good, job, slot)

    async def close(self) -> None:
        """End everything; nothing is left behind."""
        self._is_closed = True
        for task in self._spares:
            task.cancel()
        await asyncio.gather(*self._spares, return_exceptions=True)
        for slot in (*self._idle, *self._running.values()):
            if slot is not None:
                slot.close()
        self._idle.clear()
        await self._zygote.close()
        deadline_s = asyncio.get_running_loop().time() + GROUPS_S_MAX
        # The kernel takes a moment to let go of the last process.
        while self._groups is not None and self._groups.sweep():
            if asyncio.get_running_loop().time() > deadline_s:
                break
            await asyncio.sleep(0.01)

    async def _run(self, made: Plan, job: str, ties: Ties) -> Outcome:
        packed = (pack(made.before), made.packed_root, pack(made.start))
        message = ("run", *packed, tuple(made.watch), made.is_root_reusable)
        for _ in range(ATTEMPTS_MAX):
            outcome = await self._attempt(made, job, message, ties)
            if outcome is not None:
                return outcome
        return InfrastructureFault(f"{ATTEMPTS_MAX} slots ended before they began the job")

    async def _attempt(self, made: Plan, job: str, message: Message, ties: Ties) -> Outcome | None:
        """Run the job in one slot; None where the slot ended before it began."""
        slot = await self._take(made)
        if job in self._killed:
            self._idle.append(slot)
            return Cancelled()
        self._running[job] = slot
        if self._groups is not None:
            self._groups.limit(slot.number, made.group)
        slot.root = made.packed_root
        slot.send(message)
        try:
            reply = await self._receive(slot, made, ties)
        except BaseException:
            self._lose(slot)
            raise
        if made.kind.is_one_shot:
            # Not before: the job was to have the processor, and who waits for it comes first.
            asyncio.get_running_loop().call_soon(self._lose, slot)
            self._make_spare(made)
        elif reply is None or reply[0] == "fault" or not slot.is_open:
            self._lose(slot)
        else:
            self._idle.append(slot)
        if reply == RETIRED:
            return None
        if reply is not None:
            return self._judge(slot, outcome_of(made, reply))
        if job in self._killed:
            return Cancelled()
        lost = "slot was" if self._zygote.is_alive else "sandbox's zygote was"
        return InfrastructureFault(f"the {lost} lost while the job ran", "the job may be run again")

    async def _receive(self, slot: SlotConnection, made: Plan, ties: Ties) -> Message | None:
        """Wait for the reply; None when there will be none."""
        if ties.terminal is not None:
            ties.terminal.send = slot.send
        try:
            reply = await self._receive_in_time(slot, made)
            while reply is not None and reply[0] in NOTES:
                ties.take(reply)
                reply = await self._receive_in_time(slot, made)
            return reply
        finally:
            if ties.terminal is not None:
                ties.terminal.send = None

    async def _receive_in_time(self, slot: SlotConnection, made: Plan) -> Message | None:
        waiting = slot.receive()
        if not made.watch.timeout_s:
            return await waiting
        patience_s = made.watch.timeout_s + made.watch.grace_s + ANSWER_S_MAX
        timer = asyncio.get_running_loop().call_later(patience_s, slot.give_up)
        try:
            return await waiting
        finally:
            timer.cancel()

    async def _take(self, made: Plan) -> SlotConnection:
        """Return an idle slot of the plan's kind, making one if need be."""
        self._idle = [slot for slot in self._idle if slot.is_open]
        candidates = [slot for slot in self._idle if slot.kind == made.kind]
        same = [slot for slot in candidates if slot.root == made.packed_root]
        # One without a root is better than one that holds the root of other jobs, and among equals
        # the one used last has the warmest caches.
        chosen = same or [slot for slot in candidates if not slot.root] or candidates
        if chosen:
            self._idle.remove(chosen[-1])
            return chosen[-1]
        if self._idle and len(self._idle) + len(self._running) > self._slots_max:
            self._lose(self._idle.pop(0))
        return await self._make_again(made.kind)

    def _make_spare(self, made: Plan) -> None:
        """Have the next slot for jobs of one slot each ready, with a root as the last one's."""
        task = asyncio.get_running_loop().create_task(self._add_spare(made))
        self._spares.add(task)
        task.add_done_callback(self._spares.discard)

    async def _add_spare(self, made: Plan) -> None:
        # Where it fails, the next job tells of it.
        with contextlib.suppress(Unavailable):
            slot = await self._make(made.kind)
            if self._is_closed:
                slot.close()
                return
            slot.root = made.packed_root
            program = made.start[-1]
            assert isinstance(program, SpawnForked)
            standing = tuple(program.standing)
            slot.send(("foresee", pack(made.before), made.packed_root, standing))
            self._idle.append(slot)

    async def _make_again(self, kind: SlotKind) -> SlotConnection:
        """Make a slot, with a new zygote if the old one is gone."""
        for _ in range(ATTEMPTS_MAX - 1):
            try:
                if self._zygote.is_alive:
                    return await self._make(kind)
            except Unavailable:
                if self._zygote.is_alive or self._is_closed:
                    raise
            async with self._restarting:
                if not self._zygote.is_alive and not self._is_closed:
                    await self._zygote.close()
                    await self._zygote.start()
        return await self._make(kind)

    async def _make(self, kind: SlotKind) -> SlotConnection:
        slot = await self._zygote.make_slot(next(self._numbers), kind)
        try:
            async with asyncio.timeout(READY_S_MAX):
                reply = await slot.receive()
                while reply is not None and reply[0] in ("group", "map"):
                    is_map = reply[0] == "map"
                    give = self._map if is_map else partial(self._add_to_group, slot.number)
                    slot.send(await asyncio.to_thread(give, int(str(reply[1]))))
                    reply = await slot.receive()
        except TimeoutError:
            self._lose(slot)
            raise Unavailable(f"make it within {READY_S_MAX:g} s", errno.ETIME) from None
        except asyncio.CancelledError:
            self._lose(slot)
            raise
        if reply is not None and reply[0] == "ready":
            return slot
        self._lose(slot)
        if reply is None:
            raise Unavailable("make a slot that lives", 0)
        raise Unavailable(str(reply[1]), int(str(reply[2])))

    def _judge(self, slot: SlotConnection, outcome: Outcome) -> Outcome:
        """Tell a job that the kernel killed for its memory from one that was killed otherwise."""
        if self._groups is None or not isinstance(outcome, Exited | Signaled):
            return outcome
        if isinstance(outcome, Exited) and outcome.status == 0:
            return outcome
        if self._groups.was_short(slot.number):
            return LimitExceeded("memory", outcome.effects)
        return outcome

    def _add_to_group(self, slot: int, pid: int) -> Message:
        assert self._groups is not None
        # Without a group it has the limits that work without.
        with contextlib.suppress(OSError):
            self._groups.add(slot, pid)
        return ("grouped",)

    def _map(self, pid: int) -> Message:
        user = self._service_user or ServiceUser(os.geteuid(), os.getegid())
        try:
            map_identities(pid, *user)
        except NoIdentities as error:
            return "mapped", errno.EPERM, str(error)
        except (OSError, subprocess.SubprocessError) as error:
            return "mapped", getattr(error, "errno", 0) or 0, str(error)
        return "mapped", 0, ""

    def _kill_for_good(self, job: str, slot: SlotConnection) -> None:
        if self._running.get(job) is slot and job in self._killed:
            self._lose(slot)

    def _lose(self, slot: SlotConnection) -> None:
        slot.close()
        self._zygote.kill_slot(slot.number)
        if self._groups is not None:
            self._groups.forget(slot.number)


def default_limits(slots: int) -> Defaults:
    """Return this machine's memory, shared out among its slots."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Defaults(
        memory_bytes_max=int(memory_bytes * _MEMORY_SHARE) // slots,
        write_bytes_max=int(memory_bytes * _WRITE_SHARE) // slots,
    )
