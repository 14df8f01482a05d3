"""The self-test on hosts that forbid something: made in user namespaces of our own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from maelstrom.sandbox.check import check
from tests.sandbox.conftest import Sandbox

PRELUDE = """
import os, sys
from maelstrom.linux import mount, namespace
user, group = os.geteuid(), os.getegid()
namespace.unshare(namespace.NEW_USER | namespace.NEW_MOUNT)
namespace.map_identity(user, group, user, group)
"""
NO_NAMESPACES = "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
COVERED_PROC = "mount.attach(mount.clone_tree('/dev/null'), '/proc/version')\n"
CHECK = "os.execv(sys.executable, [sys.executable, '-m', 'maelstrom.sandbox', '--check'])\n"
START = """
import asyncio
from maelstrom.errors import SandboxUnavailable
from maelstrom.sandbox.pool import SlotPool, service_user
pool = SlotPool(slots=1, layers_root="/", service_user=service_user())
try:
    asyncio.run(pool.start())
except SandboxUnavailable as error:
    print(error)
    sys.exit(error.exit_status)
"""


def _run(program: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + program],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )


def test_a_good_host_passes(sandbox: Sandbox) -> None:
    assert [finding for finding in check() if not finding.is_ok] == []


HOSTS = {
    "no user namespaces": (
        NO_NAMESPACES,
        ["cannot make a user namespace: No space left on device", "user.max_user_namespaces is 0"],
    ),
    "a covered /proc": (
        COVERED_PROC,
        ["cannot mount proc: Operation not permitted", "parts of the host's /proc are covered"],
    ),
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("way", [CHECK, START], ids=["check", "start"])
def test_what_is_forbidden_is_named_with_its_remedy(sandbox: Sandbox, host: str, way: str) -> None:
    forbid, wanted = HOSTS[host]
    found = _run(forbid + way)
    assert found.returncode == 4, found
    for words in wanted:
        assert words in found.stdout
    assert found.stderr == ""


def test_containers_may_be_nested_where_proc_is_whole(sandbox: Sandbox) -> None:
    found = _run(CHECK)
    assert found.returncode == 0, found
    assert found.stdout.endswith("rootless containers work here\n")
