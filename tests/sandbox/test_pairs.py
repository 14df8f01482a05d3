"""Hostile pairs: what one job leaves, the next one in its slot does not find.

For each kind of state there are three looks, by the same code: into a new slot, into the job that
has just left something (the control, without which the third would prove nothing), and into the
next job.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from maelstrom.model.outcome import Outcome, Ran
from maelstrom.model.spec import DevPts, Limits, MessageQueue, Mount, Network, Tmp
from maelstrom.sandbox.launch import linux_version
from maelstrom.sandbox.steps import LINUX_TMPFS_UPPER
from tests.sandbox.conftest import MIB, WAYS, Sandbox, needs_identities, text

# The ways in which a job is started, and who it is: the one that matters most there, or each.
WORLDS = [("spawned", 1000), ("from a template", 1000), ("with identities", 0)]
if os.environ.get("MAELSTROM_EACH"):
    WORLDS = [(way, user) for way in WAYS for user in (1000, 0)]

# What the job itself sees after it has done it.
LEFT = (
    *("files", "fifos, links and sockets", "closed directories", "a changed layer"),
    *("a layer's times", "a layer's modes", "a layer's attributes", "a file of a layer removed"),
    *("a file of a layer renamed", "a file of a layer linked", "a file of a layer reopened"),
    *("a directory of a layer replaced", "times of directories", "modes of directories"),
    *("extended attributes", "access control lists", "flags of directories"),
    *("a working directory removed", "full file systems", "file systems without inodes"),
    *("scratch: files", "scratch: times of directories", "scratch: modes"),
    *("scratch: extended attributes", "scratch: access control lists", "scratch: flags"),
    *("shared memory", "much shared memory", "semaphores", "messages", "message queues"),
    *("room for queues taken", "locked shared memory", "labels of flows"),
    *("abstract sockets", "sockets that hold themselves", "UDP ports", "TCP ports"),
    *("connections that wait", "connections that were reset", "datagrams"),
    *("daemons", "stopped processes", "zombies", "many processes", "limits", "ignored signals"),
    *("blocked signals", "pending signals", "timers", "open descriptors", "watches"),
    *("a mask of modes", "a directory", "a personality", "a reaper", "slack of timers"),
    *("no huge pages", "a policy of memory", "an environment", "a filter of calls", "niceness"),
    *("a badness", "flags of streams", "owners of streams", "locks of streams"),
    *("locks of ranges", "sizes of pipes", "locks of layers", "terminals", "modes of terminals"),
)
# The same, but the kernel gives user 0 without privileges no namespaces of his own.
LEFT_BY_ORDINARY_USERS = (
    *("processes of a nested namespace", "a nested host name", "nested mounts", "offsets of time"),
)
# What leaves nothing to be seen, even to the job itself.
TRACELESS = (
    *("files that come and go", "scratch: files that come and go", "times of access"),
    *("scratch: times of access", "offsets of streams"),
)
READ_ONLY, FORBIDDEN = {"EROFS"}, {"EPERM", "EACCES"}
REFUSED = {
    "a file in /dev": READ_ONLY,
    "a device removed": READ_ONLY,
    "a device's mode": READ_ONLY,
    "times of devices": READ_ONLY,
    # Not every kernel measures it.
    "times of pressure": READ_ONLY | {"ENOENT"},
    "times of streams": READ_ONLY,
    "times of /dev": READ_ONLY,
    "attributes of /dev": READ_ONLY,
    "times of process 1": FORBIDDEN,
    "times of /proc": FORBIDDEN,
    "limits of shared memory": READ_ONLY,
    "limits of message queues": READ_ONLY,
    "keys": FORBIDDEN,
    "session keyrings": FORBIDDEN,
    "sockets without namespaces": {"EAFNOSUPPORT"},
    "packet sockets": FORBIDDEN,
    "routes": FORBIDDEN,
    "addresses": FORBIDDEN,
    "a device that is up": FORBIDDEN,
    "tables of filters": FORBIDDEN,
    "forwarding": READ_ONLY,
    "security bits": FORBIDDEN,
    "a name": FORBIDDEN,
    "a host name": FORBIDDEN,
    # No space is what a limit of namespaces looks like: where the group would be ours to change.
    "control groups": FORBIDDEN | {"ENOSPC", "ENODEV"},
    "a limit of the slot": FORBIDDEN,
    "a limit of the slot's time": FORBIDDEN,
    "the slot's niceness": FORBIDDEN,
    "the user's niceness": FORBIDDEN,
    "the group's niceness": FORBIDDEN | {"ENOENT"},
    "the slot's scheduler": FORBIDDEN,
    "the slot's slice": FORBIDDEN,
    "the slot's processors": FORBIDDEN,
    "the slot's I/O priority": FORBIDDEN,
    "the user's I/O priority": FORBIDDEN,
    "the slot's badness": FORBIDDEN,
    "the slot's filter of dumps": FORBIDDEN | {"ENOENT"},
    "the slot's slack": FORBIDDEN,
    "the slot's name": FORBIDDEN,
    "the slot's cookie": FORBIDDEN | {"EINVAL"},
    "the slot's pages": FORBIDDEN | {"ENOSYS"},
    "the slot's process group": {"ESRCH"},
    "signals to the slot": FORBIDDEN,
}
NAMES = (*LEFT, *LEFT_BY_ORDINARY_USERS, *TRACELESS, *REFUSED)
# With several identities all of the root is user 0's: it is closed to others, as on any host.
REFUSED_TO_OTHERS = (
    *("files", "fifos, links and sockets", "closed directories", "a changed layer"),
    *("a layer's times", "a layer's modes", "a layer's attributes", "a file of a layer removed"),
    *("a file of a layer renamed", "a file of a layer linked", "a file of a layer reopened"),
    *("a directory of a layer replaced", "times of directories", "modes of directories"),
    *("extended attributes", "access control lists", "flags of directories"),
    *("a working directory removed", "full file systems", "files that come and go"),
    *("scratch: times of directories", "scratch: modes", "scratch: extended attributes"),
    *("scratch: access control lists", "scratch: flags", "locks of layers", "modes of terminals"),
)
# And the slot is another user's.
LEFT_BY_OTHERS = ("the user's niceness", "the user's I/O priority")
ON_LOOPBACK = (
    *("UDP ports", "TCP ports", "connections that wait", "connections that were reset"),
    "datagrams",
)
NEEDS_IPV6 = ("labels of flows",)
# On kernels whose memory file systems keep no such attributes, and whose roots are on disk, where
# the room is everybody's.
IS_ON_DISK = linux_version() < LINUX_TMPFS_UPPER
REFUSED_IN_MEMORY = ("extended attributes", "scratch: extended attributes")
SHARED_ROOM = ("full file systems", "file systems without inodes")


class Pairs:
    """Runs the looks, all in one slot as far as the jobs leave it alone."""

    def __init__(self, sandbox: Sandbox, way: str, user: int) -> None:
        self._sandbox = sandbox
        self.way = way
        self.user = user
        # What is seen in a slot in which nothing was left yet.
        self.new = {name: self.run("find", name) for name in NAMES}
        self.check()

    def check(self) -> None:
        """See to it that jobs are started in the way that is looked at."""
        who = self._sandbox.run_so(self.way, "/bin/sh", "-c", "echo $$ $PPID", layers=("shell",))
        assert text(who) == ("3 2\n" if self.way == "from a template" else "2 1\n")

    def run(self, what: str, name: str) -> str:
        """Run a job that looks, or that leaves and looks."""
        mounts: tuple[Mount, ...] = (Tmp("/mnt", size_bytes=MIB),)
        mounts += (DevPts(),) if "terminals" in name else ()
        mounts += (MessageQueue(),) if "queues" in name else ()
        network = Network.LOOPBACK if name in ON_LOOPBACK else Network.DISABLED
        outcome: Outcome = self._sandbox.run_so(
            *(self.way, "/pair", what, name),
            layers=("shell", "small0", "pair"),
            user=self.user,
            group=self.user,
            working_directory="/work/deep",
            mounts=mounts,
            network=network,
            limits=Limits(write_bytes_max=MIB),
        )
        assert isinstance(outcome, Ran), outcome
        return f"{type(outcome).__name__}\n{outcome.effects.stdout.text()}"


@pytest.fixture(scope="module", params=WORLDS, ids=[f"{way} as {user}" for way, user in WORLDS])
def pairs(sandbox: Sandbox, must_sandbox: bool, request: pytest.FixtureRequest) -> Iterator[Pairs]:
    way, user = request.param
    if way == "with identities":
        needs_identities(must_sandbox)
    made = Pairs(sandbox, way, user)
    yield made
    made.check()


def test_the_table_has_all_that_the_program_can_leave(layers_root: Path) -> None:
    command = [layers_root / "pair/pair", "names"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sorted(listed.splitlines()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_job_leaves_the_next_does_not_find(pairs: Pairs, name: str) -> None:
    if IS_ON_DISK and name in SHARED_ROOM:
        pytest.skip("on this kernel the root's writes go to disk")
    if name in NEEDS_IPV6 and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this kernel has no IPv6")
    seen = pairs.run("both", name)
    refusal = seen.partition("refused ")[2].strip()
    is_other = pairs.way == "with identities" and pairs.user != 0
    if is_other and name in REFUSED_TO_OTHERS:
        assert refusal in FORBIDDEN or (IS_ON_DISK and name in REFUSED_IN_MEMORY), seen
    elif name in REFUSED and not (is_other and name in LEFT_BY_OTHERS):
        assert refusal in REFUSED[name], seen
    elif IS_ON_DISK and name in REFUSED_IN_MEMORY:
        assert refusal == "EOPNOTSUPP"
    elif name in TRACELESS:
        assert seen == pairs.new[name]
    elif name in LEFT_BY_ORDINARY_USERS and pairs.user == 0:
        assert refusal in FORBIDDEN, seen
    else:
        assert not refusal
        assert seen != pairs.new[name], "nothing was left to be found"
    assert pairs.run("find", name) == pairs.new[name]
