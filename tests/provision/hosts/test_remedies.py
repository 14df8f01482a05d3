"""Kernel settings that forbid containers, as a host has them, and the plan that mends them.

The settings of a lab's host are those of the machine it runs on, which are not ours to change. So
files are mounted over them, on which the same commands work in the same way.
"""

from collections.abc import Iterator

import pytest

from provision.remedies import PROFILE
from tests.provision.lab.host import Host
from tests.provision.lab.lab import Lab
from tests.provision.lab.operator import Operator

KERNEL, NAMESPACES = "/proc/sys/kernel", "/proc/sys/user/max_user_namespaces"
LOADED = "/run/loaded-profiles"
PARSER = "/usr/local/sbin/apparmor_parser"


@pytest.fixture
def strict(operator: Operator, lab: Lab) -> Iterator[Host]:
    """Return a worker's host on which the kernel forbids containers in all ways that we know."""
    host = lab.hosts[2]
    operator.write(lab.hosts[0], [host])
    host.run(
        "mkdir /run/settings && cp -r /proc/sys/kernel /run/settings 2>/dev/null;"
        " echo 0 > /run/settings/users; echo 0 > /run/settings/kernel/unprivileged_userns_clone;"
        " echo 1 > /run/settings/kernel/apparmor_restrict_unprivileged_userns;"
        f" mount --bind /run/settings/users {NAMESPACES};"
        f" mount --bind /run/settings/kernel {KERNEL};"
        # This kernel has no AppArmor to load a profile into.
        f" printf '#!/bin/sh\\necho $* >> {LOADED}\\n' > {PARSER}; chmod 755 {PARSER}"
    )
    yield host
    host.run(f"umount {NAMESPACES} {KERNEL}; rm -r /run/settings {LOADED} {PARSER}")


def test_what_the_kernel_forbids_is_shown_with_its_reason_mended_and_taken_back(
    strict: Host, operator: Operator
) -> None:
    planned = operator.run("plan")
    for told in (
        "write /etc/sysctl.d/60-maelstrom.conf",
        "(kernel.unprivileged_userns_clone is 0, user.max_user_namespaces is 0)",
        "      +user.max_user_namespaces = 15000",
        "      +kernel.unprivileged_userns_clone = 1",
        "let the kernel take the settings of /etc/sysctl.d/60-maelstrom.conf",
        "write /etc/apparmor.d/maelstrom-worker",
        "(kernel.apparmor_restrict_unprivileged_userns is 1)",
        "      +profile maelstrom-worker flags=(unconfined) {",
        "load the AppArmor profile /etc/apparmor.d/maelstrom-worker",
    ):
        assert told in planned.text
    assert strict.run(f"cat {NAMESPACES}") == "0\n", "a plan changes nothing"
    said = operator.run("up", "--yes")
    assert said.status == 0, said
    assert strict.run(f"cat {NAMESPACES} {KERNEL}/unprivileged_userns_clone") == "15000\n1\n"
    assert strict.run(f"cat {LOADED}") == "--replace /etc/apparmor.d/maelstrom-worker\n"
    assert "nothing to change" in operator.run("up", "--yes").text
    assert operator.run("down", "--yes").status == 0
    assert strict.run("ls /etc/sysctl.d /etc/apparmor.d | grep maelstrom", check=False) == ""
    assert strict.run(f"tail -n 1 {LOADED}") == "--remove /etc/apparmor.d/maelstrom-worker\n"


def test_the_profile_is_one_that_apparmor_understands(lab: Lab) -> None:
    newer = lab.hosts[2]
    (newer.root / "run-profile").write_text(PROFILE)
    try:
        newer.run("apparmor_parser --skip-kernel-load --skip-cache /run-profile")
    finally:
        (newer.root / "run-profile").unlink()
