"""Settings of hosts that forbid containers, and what the plan does about them."""

from dataclasses import replace

import pytest

from provision import layout
from provision.facts import Facts, PathState
from provision.plan import plan_removal
from provision.remedies import PROFILE, plan_remedies
from tests.provision.hosts_as_told import BARE, inventory, titles, worker

RESTRICTS = "kernel/apparmor_restrict_unprivileged_userns"
OURS = b"# Written\nuser.max_user_namespaces = 15000\n"


def _settings(**settings: str) -> Facts:
    return replace(BARE, settings={k.replace("__", "/"): v for k, v in settings.items()})


def _file(path: str, content: bytes) -> dict[str, PathState]:
    return {path: PathState("regular file", 0o644, "root", "root", content)}


WRITE, APPLY = f"write {layout.SYSCTL}", f"let the kernel take the settings of {layout.SYSCTL}"
TABLE: dict[str, tuple[Facts, list[tuple[str, str]]]] = {
    "a host that allows it": (
        _settings(user__max_user_namespaces="62954", kernel__unprivileged_userns_clone="1"), [],
    ),
    "no user namespaces": (
        _settings(user__max_user_namespaces="0"),
        [(WRITE, "user.max_user_namespaces is 0"), (APPLY, "user.max_user_namespaces is 0")],
    ),
    "an old Debian kernel": (
        _settings(kernel__unprivileged_userns_clone="0"),
        [(WRITE, "kernel.unprivileged_userns_clone is 0"),
         (APPLY, "kernel.unprivileged_userns_clone is 0")],
    ),
    "AppArmor": (
        _settings(kernel__apparmor_restrict_unprivileged_userns="1"),
        [(f"write {layout.PROFILE}", "kernel.apparmor_restrict_unprivileged_userns is 1"),
         (f"load the AppArmor profile {layout.PROFILE}",
          "kernel.apparmor_restrict_unprivileged_userns is 1")],
    ),
    "AppArmor, seen to before": (
        replace(_settings(kernel__apparmor_restrict_unprivileged_userns="1"),
                paths=_file(layout.PROFILE, PROFILE.encode())),
        [],
    ),
    "a setting that was seen to before": (
        replace(_settings(user__max_user_namespaces="15000"), paths=_file(layout.SYSCTL, OURS)), [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_what_forbids_containers_is_set_right_and_told(case: str) -> None:
    facts, expected = TABLE[case]
    found = [(c.action.title, c.reason) for c in plan_remedies(worker(), facts)]
    assert found == expected


def test_a_setting_that_was_seen_to_before_stays_when_another_comes() -> None:
    facts = replace(
        _settings(kernel__unprivileged_userns_clone="0"), paths=_file(layout.SYSCTL, OURS)
    )
    write, _ = plan_remedies(worker(), facts)
    assert write.action.content.splitlines()[1:] == [  # type: ignore[union-attr]
        "user.max_user_namespaces = 15000",
        "kernel.unprivileged_userns_clone = 1",
    ]


def test_a_broker_needs_no_containers() -> None:
    facts = _settings(user__max_user_namespaces="0")
    assert list(plan_remedies(inventory().host("broker"), facts)) == []


def test_our_settings_and_profiles_go_when_we_go() -> None:
    facts = replace(BARE, paths=_file(layout.SYSCTL, OURS) | _file(layout.PROFILE, b""))
    assert titles(plan_removal(facts)) == [
        f"remove {layout.SYSCTL}",
        f"remove the AppArmor profile {layout.PROFILE}",
    ]
