"""The self-test on hosts that lack one thing: made really, in user namespaces of our own."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from maelstrom.sandbox.check import GROUPS, IDENTITIES, TITLES, Finding, check
from maelstrom.sandbox.identities import GRANTOR_VARIABLE
from maelstrom.sandbox.launch import linux_version
from maelstrom.sandbox.steps import LINUX_LAYER_LIST
from tests.sandbox.conftest import Sandbox
from tests.sandbox.hosts import HOSTS, UNKNOWN

ROOT = str(Path(__file__).parents[2])
UNAVAILABLE = 4
NO_PROGRAM = 126


def _findings() -> dict[str, Finding]:
    findings = {finding.what: finding for finding in check()}
    if linux_version() < LINUX_LAYER_LIST:
        assert not findings.pop(TITLES["layer list"]).is_ok
    return findings


def test_a_good_host_passes(sandbox: Sandbox) -> None:
    findings = _findings()
    # What only an administrator can grant is told with its remedy where it lacks.
    for grant in (findings.pop(IDENTITIES), findings.pop(GROUPS)):
        assert not grant.is_needed
        assert grant.is_ok == (not grant.message) == (not grant.remedy)
    assert [finding for finding in findings.values() if not finding.is_ok] == []


def test_a_host_without_newuidmap_gives_no_identities_and_all_else(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(GRANTOR_VARIABLE, raising=False)
    findings = _findings()
    lacking = findings.pop(IDENTITIES)
    assert not lacking.is_ok
    assert not lacking.is_needed
    assert "`newuidmap` is not installed" in lacking.message
    assert "install the package uidmap" in lacking.remedy
    del findings[GROUPS]
    assert all(finding.is_ok for finding in findings.values())


def test_a_host_that_hands_over_no_control_group_gives_all_else(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A directory that is no group, let alone one of ours.
    monkeypatch.setenv("MAELSTROM_CGROUP", str(tmp_path))
    findings = _findings()
    lacking = findings.pop(GROUPS)
    assert not lacking.is_ok
    assert not lacking.is_needed
    assert "Delegate=yes" in lacking.remedy
    del findings[IDENTITIES]
    assert all(finding.is_ok for finding in findings.values())


# What is said where containers cannot be made: the failure, and a part of the remedy.
LACKING = {
    "user namespaces": (
        "cannot make a user namespace: No space left on device",
        "user.max_user_namespaces is 0",
    ),
    "mount namespaces": (
        "cannot make mount, PID, IPC and UTS namespaces: No space left on device",
        "raise the sysctls user.max_*_namespaces",
    ),
    "network namespaces": (
        "cannot make a network namespace: No space left on device",
        "raise the sysctls user.max_*_namespaces",
    ),
    "a whole /proc": (
        "cannot mount proc: Operation not permitted",
        "parts of the host's /proc are covered",
    ),
    "writable settings": (
        "cannot mount proc: Operation not permitted",
        "parts of the host's /proc are covered",
    ),
    "a disk for layers": (
        "cannot mount an overlay: Invalid argument",
        "put the store on a plain disk",
    ),
    "overlay": ("cannot mount an overlay: No such device", "the kernel has no overlay file system"),
    "overlay for ordinary users": ("cannot mount an overlay: Operation not permitted", "forbids"),
    "unshare": ("cannot make a user namespace: Operation not permitted", "forbids it"),
    "mount": ("cannot copy the mount of the layers: Operation not permitted", "forbids it"),
    "the mount API": (
        "cannot copy the mount of the layers: Function not implemented",
        "a system call filter hides calls of this kernel",
    ),
    "a root that is a mount": (
        "cannot make a user namespace: Operation not permitted",
        "the kernel forbids it within a chroot",
    ),
    "open files": ("Too many open files", "the host is short of memory, processes or open files"),
    "temporary files": ("No usable temporary directory found", "TMPDIR must name a directory"),
    "/dev/null": ("there is no /dev/null", "mknod -m 666 /dev/null c 1 3"),
}
# What only some jobs need.
OPTIONAL = {
    "lists of layers": "cannot mount layers from a list: Function not implemented",
    "message queues": "cannot mount message queues on `/mqueue`: No such device",
    "sysfs": "cannot mount the kernel's objects on `/sys`: Operation not permitted",
    "pseudo-terminals": "cannot mount pseudo-terminals on `/pts`: No such device",
}
# What we do not need.
NEEDLESS = (
    *("nothing", "room in /dev/shm", "a writable home", "/dev/tty", "/dev/full", "new privileges"),
    "calls newer than Linux 5.12",
)


# Hosts that cannot be made where the settings are covered already, as in a unit of systemd, which
# also leaves a whole /proc hidden below the root.
WITH_SETTINGS = {
    *("user namespaces", "mount namespaces", "network namespaces", "a whole /proc"),
    "writable settings",
}
TOLD_UNASKED = ("user namespaces", "a whole /proc", "mount", "temporary files")
RUNNING = (
    *("room in /dev/shm", "a writable home", "/dev/tty", "sysfs", "lists of layers"),
    "calls newer than Linux 5.12",
)
# On a host whose /dev has neither.
DEVICES_LACKING = ("tty", "fuse")
VISITS = (
    *((host, "check") for host in (*LACKING, *OPTIONAL, *NEEDLESS)),
    *((host, "run") for host in (*TOLD_UNASKED, *RUNNING)),
    *(("/dev/tty", device) for device in DEVICES_LACKING),
)


class Answer(NamedTuple):
    """What was said on a host."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def visits(sandbox: Sandbox) -> dict[tuple[str, str], Answer]:
    """Make all hosts, in one process of its own."""
    found = subprocess.run(
        [sys.executable, "-m", "tests.sandbox.hosts", *itertools.chain.from_iterable(VISITS)],
        env={**os.environ, "PYTHONPATH": ROOT},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(VISITS, itertools.starmap(Answer, json.loads(found.stdout)), strict=True))


def _skip_where_settings_are_covered(host: str) -> None:
    if host in WITH_SETTINGS and os.statvfs("/proc/sys").f_flag & os.ST_RDONLY:
        pytest.skip("the kernel's settings are covered here already")


def test_the_table_has_all_hosts() -> None:
    assert {*LACKING, *OPTIONAL, *NEEDLESS} == {*HOSTS, *UNKNOWN}


@pytest.mark.parametrize("host", LACKING)
def test_what_is_lacking_is_named_with_its_remedy(
    visits: dict[tuple[str, str], Answer], host: str
) -> None:
    _skip_where_settings_are_covered(host)
    answer = visits[host, "check"]
    assert answer.status == UNAVAILABLE, answer
    for words in LACKING[host]:
        assert words in answer.stdout
    assert answer.stdout.endswith("no rootless containers here\n")
    assert answer.stderr == ""


@pytest.mark.parametrize("host", OPTIONAL)
def test_what_some_jobs_lack_is_named_too(visits: dict[tuple[str, str], Answer], host: str) -> None:
    answer = visits[host, "check"]
    assert answer.status == 0, answer
    assert OPTIONAL[host] in answer.stdout
    assert answer.stdout.endswith("rootless containers work here\n")


@pytest.mark.parametrize("host", NEEDLESS)
def test_what_is_not_needed_is_not_missed(visits: dict[tuple[str, str], Answer], host: str) -> None:
    answer = visits[host, "check"]
    assert (answer.status, answer.stderr) == (0, ""), answer
    # What follows is for an administrator to grant.
    remedies = answer.stdout.partition(IDENTITIES)[0].count("remedy")
    assert remedies == (linux_version() < LINUX_LAYER_LIST)


@pytest.mark.parametrize("host", TOLD_UNASKED)
def test_who_does_not_ask_is_told_all_the_same(
    visits: dict[tuple[str, str], Answer], host: str
) -> None:
    _skip_where_settings_are_covered(host)
    answer = visits[host, "run"]
    assert answer.status == UNAVAILABLE, answer
    assert LACKING[host][0] in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("host", RUNNING)
def test_what_the_check_does_not_miss_no_job_does(
    visits: dict[tuple[str, str], Answer], host: str
) -> None:
    answer = visits[host, "run"]
    assert answer.status == NO_PROGRAM, answer
    assert "program `/nowhere` is not in the container" in answer.stderr


@pytest.mark.parametrize("device", DEVICES_LACKING)
def test_a_device_that_the_host_lacks_is_named(
    visits: dict[tuple[str, str], Answer], device: str
) -> None:
    answer = visits["/dev/tty", device]
    assert answer.status == NO_PROGRAM, answer
    assert answer.stderr.endswith(f"{device}: the host has no such device: `/dev/{device}`\n")
