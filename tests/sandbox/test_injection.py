"""Every system call of a slot fails in turn: it is told in words, and nothing is left behind."""

import contextlib
import errno
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from maelstrom.model.digest import Digest
from maelstrom.model.outcome import ExecutionError, Exited, InfrastructureFault, Outcome
from maelstrom.model.spec import Bind, DevPts, JobSpec, Limits, Network, Tmp
from maelstrom.sandbox import launch
from maelstrom.sandbox.plan import plan
from tests.sandbox.conftest import DEFAULTS, MIB, Sandbox, descendants
from tests.sandbox.injection import CLEAN, JOB, STAGE, Control, Order, Sight

LOOK_S_MAX = 30.0
ROOT = str(Path(__file__).parents[2])
LAYERS = ("shell", "small0", "fork")
SPEC = JobSpec(
    program="sh",
    arguments=("-c", "echo x > /written; cat"),
    stdin=b"some input",
    working_directory="/work",
    mounts=(Tmp("/mnt"), Bind("/bound", "/etc/hostname"), DevPts()),
    network=Network.LOOPBACK,
    timeout_s=20.0,
)
# What takes a fork, brings files back, and has a /dev of its own.
FORKED = JobSpec(
    program="sh",
    arguments=("-c", "echo x > /written; mkdir -p /made/deep"),
    working_directory="/work",
    limits=Limits(kernel=(("stack", 8 * MIB),)),
    outputs=("/written", "/made"),
    devices=("null", "zero", "shm"),
    timeout_s=20.0,
)
# What is a fork, and changes its template, so that there is one for each job.
FROM_TEMPLATE = JobSpec(
    program="/fork",
    arguments=("template", "spoil"),
    layers=tuple(Digest.of(name.encode()) for name in LAYERS),
    template_arguments=1,
    template_layers=len(LAYERS),
    timeout_s=20.0,
)
# What the message begins with: a step's own words, or those of what is no step.
STEPS = tuple(
    f"cannot {step.text}: "
    for spec in (SPEC, FORKED, FROM_TEMPLATE)
    for step in plan(spec, LAYERS, DEFAULTS).steps
)
OTHERS = ("cannot run `", "cannot set limits: ", "a slot gave up: cannot ")


class Injected:
    """A pool whose slots do as they are told."""

    def __init__(self, sandbox: Sandbox, control: Control) -> None:
        self.sandbox = sandbox
        self._control = control
        self._tickets = itertools.count(1)
        self.spec = SPEC

    def run(self, phase: int = 0, number: int = 0, at: int = 0, group: int = 1000) -> Outcome:
        """Run a job while one call of a phase is to fail."""
        ticket = next(self._tickets)
        self._control.order = Order(ticket, phase, number, at)
        spec = {name: getattr(self.spec, name) for name in self.spec.__struct_fields__}
        command = (spec.pop("program"), *spec.pop("arguments"))
        del spec["layers"]
        # A template that does not start is never tried again.
        spec["environment"] = (("TICKET", str(ticket)),)
        return self.sandbox.run(*command, layers=LAYERS, **spec | {"group": group})

    @property
    def sight(self) -> Sight:
        """What the slot saw."""
        return self._control.sight

    def look(self) -> Sight:
        """Return what the slot of the last job holds; it cleans up after it has replied."""
        deadline_s = time.monotonic() + LOOK_S_MAX
        while self.sight.cleaned != self._control.order.ticket:
            assert time.monotonic() < deadline_s, "the slot does not clean up"
            time.sleep(0.0005)
        return self.sight

    def is_well(self, before: Sight) -> bool:
        """Whether a job runs, and its slot holds no more than it did."""
        outcome = self.run()
        if not isinstance(outcome, Exited) or outcome.status != 0:
            return False
        now = self.look()
        return now.files <= before.files and now.mounts == before.mounts

    def kill_slots(self) -> None:
        """End all slots, and wait until the zygote knows it."""
        slots = descendants(self.sandbox.pool._zygote.pid)
        outers = [pid for pid, name in slots.items() if name == "maelstrom-out"]
        for pid in outers:
            os.kill(pid, signal.SIGKILL)
        deadline_s = time.monotonic() + LOOK_S_MAX
        while any(Path(f"/proc/{pid}").exists() for pid in outers):
            assert time.monotonic() < deadline_s, "nobody buries a slot"
            time.sleep(0.0005)

    def settle(self, jobs: int = 6) -> Sight:
        """Return what the slot holds when all is well, and it knows what to expect."""
        for _ in range(jobs):
            outcome = self.run()
            assert isinstance(outcome, Exited), outcome
        return self.look()


@contextlib.contextmanager
def injected_sandbox(
    layers_root: Path, path: Path, linux: tuple[int, int] | None = None
) -> Iterator[Injected]:
    """Make one that is controlled through a file."""
    control = Control.make(path)
    program = (
        f"import sys; sys.path.insert(0, {ROOT!r});"
        f"from tests.sandbox.injection import main; main({str(path)!r})"
    )
    with pytest.MonkeyPatch.context() as patch:
        command = (*launch.isolated_python("zygote")[:-1], program)
        patch.setattr(launch, "isolated_python", lambda _module: command)
        made = Sandbox(layers_root, slots=2, linux=linux)
        made.start()
    try:
        yield Injected(made, control)
    finally:
        made.close()


@pytest.fixture(scope="module")
def injected(
    sandbox: Sandbox, layers_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Injected]:
    with injected_sandbox(layers_root, tmp_path_factory.mktemp("control") / "control") as made:
        yield made


def _left(now: Sight, before: Sight) -> str:
    """Tell what a slot holds that it did not."""
    files = Counter(now.links.split()) - Counter(before.links.split())
    return f"{now.mounts} mounts are left of {before.mounts}, and files: {dict(files)}"


def _complaint(outcome: Outcome, number: int, sight: Sight) -> str:
    """Return what is wrong with the way a failure is told, or nothing."""
    if isinstance(outcome, Exited):
        return "" if outcome.status == 0 else "the job failed"
    if not isinstance(outcome, ExecutionError | InfrastructureFault):
        return "an odd outcome"
    if os.strerror(number) not in outcome.message:
        return "the kernel's words are not told"
    if not outcome.message.startswith((*STEPS, *OTHERS)):
        return "the step is not told"
    # Only where the kernel refuses the program is no as good as what it means.
    is_blamed = number == errno.EPERM and sight.name == b"posix_spawn"
    if isinstance(outcome, ExecutionError) != is_blamed:
        return "the wrong one is blamed"
    return "" if is_blamed or outcome.hint else "there is no hint"


@pytest.mark.parametrize(
    ("spec", "number"),
    [
        *[(SPEC, errno.EPERM), (SPEC, errno.ENOMEM), (FORKED, errno.ENOMEM)],
        (FROM_TEMPLATE, errno.ENOMEM),
    ],
    ids=["refused", "short", "short-forked", "short-template"],
)
def test_a_failure_while_a_job_is_started_or_runs_is_told(
    injected: Injected, spec: JobSpec, number: int
) -> None:
    injected.spec = spec
    before = injected.settle()
    injected.run(JOB)
    count = injected.sight.count
    assert count > 100
    complaints = []
    for at in range(1, count + 1):
        outcome = injected.run(JOB, number, at)
        sight = injected.sight
        complaint = _complaint(outcome, number, sight)
        if not complaint and not injected.is_well(before):
            complaint = _left(injected.sight, before)
        if isinstance(outcome, InfrastructureFault):
            # A new slot does not make the same calls at once.
            injected.settle(2)
        if complaint:
            complaints.append((at, sight.name, complaint, outcome))
    assert not complaints, "\n".join(map(str, complaints))


def test_a_failure_to_replace_a_network_is_told(injected: Injected) -> None:
    before = {}
    for network in (Network.DISABLED, Network.LOOPBACK):
        injected.spec = replace(FORKED, network=network)
        before[network] = injected.settle()
    failed = set()
    for at in range(1, 12):
        injected.spec = replace(FORKED, network=Network.LOOPBACK)
        assert injected.is_well(before[Network.LOOPBACK])
        injected.spec = replace(FORKED, network=Network.DISABLED)
        outcome = injected.run(JOB, errno.ENOMEM, at)
        failed.add(injected.sight.name)
        assert not _complaint(outcome, errno.ENOMEM, injected.sight)
        assert injected.is_well(before[Network.DISABLED])
    assert {b"unshare", b"open", b"pread"} <= failed


def test_a_failure_to_clean_up_after_a_job_costs_the_slot_and_no_job(injected: Injected) -> None:
    injected.spec = SPEC
    before = injected.settle()
    for at in range(1, 100):
        first = injected.run(CLEAN, errno.EPERM, at)
        is_over = not injected.look().name
        outcomes = first, injected.run()
        assert all(isinstance(outcome, Exited) for outcome in outcomes), (at, outcomes)
        assert injected.is_well(before)
        if is_over:
            break
    assert 3 < at < 99


def test_a_failure_to_make_a_slot_is_told(injected: Injected) -> None:
    injected.spec = SPEC
    before = injected.settle()
    processes = len(descendants(os.getpid()))
    groups = itertools.count(5000)
    assert isinstance(injected.run(STAGE, group=next(groups)), Exited)
    count = injected.sight.count
    assert count > 100
    complaints = []
    for at in range(1, count + 1):
        outcome = injected.run(STAGE, errno.EPERM, at, group=next(groups))
        name = injected.sight.name
        if isinstance(outcome, Exited):
            # Something that not every host has, and no job needs.
            is_told = True
        else:
            is_told = (
                isinstance(outcome, InfrastructureFault)
                and outcome.message.startswith("cannot make a slot: cannot ")
                and outcome.message.endswith(f": {os.strerror(errno.EPERM)}")
                and bool(outcome.hint)
            )
        if not is_told or not injected.is_well(before):
            complaints.append((at, name, outcome))
    assert not complaints, "\n".join(map(str, complaints))
    assert len(descendants(os.getpid())) <= processes + 2


def test_a_slot_holds_nothing_of_what_is_removed_meanwhile(
    sandbox: Sandbox, layers_root: Path, tmp_path: Path
) -> None:
    # Where what jobs write is on disk, the zygote has it removed, here slowly.
    with injected_sandbox(layers_root, tmp_path / "control", linux=(6, 1)) as made:
        assert b"pidfd" not in made.settle(1).links
        made.kill_slots()
        # In a slot of its own kind.
        assert isinstance(made.run(group=5000), Exited)
        assert b"pidfd" not in made.look().links
