"""Attempts to escape, as an ordinary user and as user 0, plain and as the owner of namespaces.

The names are those in escapes/*.c. An attempt that is not made is as bad as one that succeeds.
"""

import os
import re
import resource
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maelstrom.model.outcome import Exited, LimitExceeded, Outcome, TimedOut
from maelstrom.model.spec import Bind, DevPts, Limits, Mount, Network, Sys
from maelstrom.sandbox.pool import service_user
from tests.sandbox.conftest import (
    MIB,
    WAYS,
    Sandbox,
    files_on_their_way,
    needs_identities,
    text,
)

SOURCES = Path(__file__).with_name("escapes")
USERS = (1000, 0)
# Open at a time: enough for us, and fewer than other tests have.
FILES = 600
NAME_ON_HOST = f"maelstrom-test-{os.getpid()}"
REFUSED = {"EPERM", "EACCES", "EROFS", "EINVAL", "ENOENT", "ENODATA", "EXDEV"}
CALLS_OF_ARM = ("use keys", "reach the slot's limits", "read the log", "use rings")
# Where the usual refusals would say less.
ANSWERS = {
    "read the host's run queues": {"ENOENT", "ENODATA"},
    "type for others": {"ENXIO"},
    "reach an abstract socket of the host": {"ECONNREFUSED"},
    "use leaked descriptors": {"EBADF"},
    "kill the slot": {"ESRCH"},
    "have the slot signalled": {"ESRCH"},
    "be urgent": {"EACCES", "EPERM"},
    "reach the hypervisor": {"EAFNOSUPPORT"},
    "reach the hypervisor by i386": {"EAFNOSUPPORT", "ENOSYS"},
    "reach the hypervisor by arm": {"EAFNOSUPPORT", "ENOSYS"},
    **{f"{what} by arm": {"EPERM", "ENOSYS"} for what in CALLS_OF_ARM},
    "use the kernel's ciphers": {"EAFNOSUPPORT"},
    "use Bluetooth": {"EAFNOSUPPORT"},
    # A filter of systemd's kills instead.
    "use keys by x32": {"EPERM", "ENOSYS", "died-1f"},
    "swap": {"EPERM", "ENOSYS"},
    "account": {"EPERM", "ENOSYS"},
    "set quotas": {"EPERM", "ENOENT", "ENOSYS", "ENODEV", "ESRCH"},
    "compare with the slot": {"EPERM", "ENOSYS"},
    "move the slot's pages": {"EPERM", "ENOSYS"},
    "compare with the template": {"EPERM", "ENOSYS"},
    "move the template's pages": {"EPERM", "ENOSYS"},
    "watch mounts": {"EPERM", "ENOSYS"},
    "use a port": {"EPERM", "ENOSYS"},
    "use all ports": {"EPERM", "ENOSYS"},
    "copy /proc without what hides it": {"EINVAL"},
    "write to another tree of control groups": {"EPERM", "EACCES", "ENOSPC", "ENODEV"},
    "mount a block device": {"EPERM", "ENOENT"},
    "mount debugfs": {"EPERM", "ENODEV"},
    "mount tracefs": {"EPERM", "ENODEV"},
    "mount securityfs": {"EPERM", "ENODEV"},
    "mount bpf with powers": {"EPERM", "EINVAL", "ENODEV"},
    "enter the parent's namespace": {"EPERM", "EBADF", "EINVAL"},
    "have very many namespaces": {"ENOSPC"},
    "have very many processes": {"EAGAIN"},
    "have very many processes as many users": {"EAGAIN", "EINVAL"},
    "run a program as its owner": {"EPERM"},
    "take the slot's namespaces by its descriptor": {"EACCES", "EPERM", "ENOTTY", "EINVAL"},
    "take the template's namespaces by its descriptor": {"EACCES", "EPERM", "ENOTTY", "EINVAL"},
    "kill the slot's group": {"ESRCH", "EPERM", "EINVAL"},
    "open the host's namespaces by their handles": {"ESTALE", "EPERM", "EINVAL", "EBADF"},
    "read the host's audit log": {"EPERM", "EPROTONOSUPPORT"},
    "make a file immutable": {"EPERM", "EOPNOTSUPP", "ENOTTY"},
    "make a file of the root immutable": {"EPERM", "EACCES", "EOPNOTSUPP", "ENOTTY"},
}


def _names(*sources: str, table: str = "") -> list[str]:
    found = []
    for source in sources:
        content = (SOURCES / source).read_text()
        content = content[content.index(f"const struct attempt {table}") :]
        content = content[: content.index("{0}")]
        # As the preprocessor does it.
        other = "aarch64" if os.uname().machine == "x86_64" else "x86_64"
        content = re.sub(rf"#ifdef __{other}__.*?#endif", "", content, flags=re.DOTALL)
        found += re.findall(r'\{"([^"]+)", \w+\}', content)
    return found


DIRECT = _names("files.c", "slot.c", "kernel.c")
NESTED = _names("nested.c")
NAMESPACE = ("/bin/stat", "-L", "-c", "%i", "/proc/self/ns/user")


class Attempts:
    """What came of all attempts, made in two jobs for each user."""

    def __init__(self, sandbox: Sandbox, shared: str, way: str) -> None:
        self._sandbox = sandbox
        self._way = way
        self._mounts: tuple[Mount, ...] = (Bind("/ro", shared),)
        # A root with these is used once, and not by a fork.
        self._mounts += () if way == "from a template" else (Sys(), DevPts())
        self.answers: dict[tuple[str, str, int], str] = {}
        self.slots: dict[int, tuple[str, str]] = {}
        for user in USERS:
            before = self._run(user, *NAMESPACE)
            for what in ("direct", "nested"):
                self._note(user, what, self._run(user, "/escape", what, NAME_ON_HOST))
            self.slots[user] = before, self._run(user, *NAMESPACE)
            if way == "from a template":
                for what in ("template", "owned template"):
                    self._note(user, what, self._run(user, "/escape", what))
        control = self._run(1000, "/escape", "direct", NAME_ON_HOST, network=Network.LOCAL)
        self._note(1000, "on the host's network", control)
        if way != "from a template":
            self._note(0, "owned", self._run(0, "/escape", "owned", has_powers=True))

    def _note(self, user: int, way: str, lines: str) -> None:
        for line in lines.splitlines():
            name, _, answer = line.rpartition("=")
            self.answers[way, name, user] = answer

    def _run(self, user: int, *command: str, **fields: Any) -> str:
        outcome: Outcome = self._sandbox.run_so(
            self._way,
            *command,
            layers=("shell", "small0", "escape"),
            user=user,
            group=user,
            mounts=self._mounts,
            timeout_s=60.0,
            **fields,
        )
        return text(outcome)


def _look(directory: Path) -> dict[Path, tuple[object, ...]]:
    """Return all of a tree that an attempt may have changed."""
    found: dict[Path, tuple[object, ...]] = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[path] = (status.st_mode, status.st_mtime_ns, status.st_nlink, content)
    return found


@pytest.fixture(scope="module", params=WAYS)
def attempts(
    sandbox: Sandbox, layers_root: Path, must_sandbox: bool, request: pytest.FixtureRequest
) -> Iterator[Attempts]:
    """Make all attempts; see afterwards that neither the layers nor the bind were changed."""
    if request.param == "with identities":
        needs_identities(must_sandbox)
    with (
        socket.socket(socket.AF_UNIX) as listener,
        tempfile.TemporaryDirectory(dir="/var/tmp") as directory,
    ):
        listener.bind(f"\0{NAME_ON_HOST}")
        listener.listen()
        shared = Path(directory)
        (shared / "inner").mkdir()
        for path in (shared / "given", shared / "inner/given"):
            path.write_text("given\n")
        program = shared / "of-owner"
        shutil.copy(layers_root / "escape/escape", program)
        user = service_user()
        if user is not None:
            for path in (shared, *shared.rglob("*")):
                os.chown(path, *user)
        # Whoever a job is, nothing but the mount keeps him from it.
        for path in (shared, *shared.rglob("*")):
            path.chmod(0o777)
        program.chmod(0o6755)
        before = _look(layers_root), _look(shared)
        made = Attempts(sandbox, directory, request.param)
        assert (_look(layers_root), _look(shared)) == before
        yield made


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", DIRECT)
def test_an_attempt_fails(attempts: Attempts, name: str, user: int) -> None:
    assert attempts.answers["direct", name, user] in ANSWERS.get(name, REFUSED)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", NESTED)
def test_an_attempt_with_all_powers_over_namespaces_of_its_own_fails(
    attempts: Attempts, name: str, user: int
) -> None:
    # User 0 cannot map himself, and so owns nothing in there.
    unmapped = {"EOVERFLOW"} if user == 0 else set()
    assert attempts.answers["nested", name, user] in ANSWERS.get(name, REFUSED) | unmapped


def test_an_attempt_succeeds_where_it_should(attempts: Attempts) -> None:
    name = "reach an abstract socket of the host"
    assert attempts.answers["on the host's network", name, 1000] == "ESCAPED"


# There the parent is the job itself.
@pytest.mark.parametrize("attempts", ["spawned", "with identities"], indirect=True)
@pytest.mark.parametrize("name", [name for name in NESTED if "parent" not in name])
def test_an_attempt_of_a_job_with_all_capabilities_fails(attempts: Attempts, name: str) -> None:
    assert attempts.answers["owned", name, 0] in ANSWERS.get(name, REFUSED)


@pytest.mark.parametrize("attempts", ["from a template"], indirect=True)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("way", ["template", "owned template"])
@pytest.mark.parametrize("name", _names("slot.c", table="at_template"))
def test_an_attempt_at_the_template_of_a_fork_fails(
    attempts: Attempts, name: str, way: str, user: int
) -> None:
    assert attempts.answers[way, name, user] in ANSWERS.get(name, REFUSED)


@pytest.mark.parametrize("user", USERS)
def test_the_slot_outlives_all_of_it(attempts: Attempts, user: int) -> None:
    before, after = attempts.slots[user]
    assert before == after


def test_the_slot_tells_nothing_of_the_host(sandbox: Sandbox) -> None:
    found = text(sandbox.run("cat", "/proc/1/cmdline"))
    assert found.rstrip("\0") == "maelstrom-slot"


def test_a_job_that_takes_its_own_output_away_does_not_hold_the_slot_up(sandbox: Sandbox) -> None:
    outcome = sandbox.run("/t", "take-output", timeout_s=0.3, grace_s=0.0)
    assert isinstance(outcome, TimedOut)


def test_memory_that_is_no_processes_is_counted_and_given_back(sandbox: Sandbox) -> None:
    for _ in range(2):
        outcome = sandbox.run("/t", "leave-memory", limits=Limits(memory_bytes_max=32 * MIB))
        assert isinstance(outcome, LimitExceeded)
        assert outcome.limit == "memory"
    lines = text(sandbox.run("cat", "/proc/sysvipc/shm")).splitlines()
    assert len(lines) == 1


def test_files_on_their_way_do_not_keep_others_from_their_slots(
    layers_root: Path, shared: str
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    # What the sandbox should not be content with.
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, before[1]))
    made = Sandbox(layers_root, slots=2)
    try:
        made.start()
        with files_on_their_way(made, shared, FILES):
            assert isinstance(made.run("/t", "true", user=8), Exited)
    finally:
        made.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
