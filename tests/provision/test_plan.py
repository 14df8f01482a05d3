"""From what a host should have and what it has to the changes, in order."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from provision import layout
from provision.actions import RestartUnit
from provision.facts import Facts, PathState, UnitState
from provision.plan import plan_host, plan_removal
from provision.script import apply_script
from tests.provision.hosts_as_told import (
    BARE,
    NEWER,
    RELEASE,
    as_wanted,
    inventory,
    titles,
    want,
    worker,
)

WORKER = layout.unit("worker")
CONFIG = layout.config("worker")
UNIT_FILE = f"{layout.UNITS}/{WORKER}"


def _path(name: str, **changes: object) -> Callable[[Facts], Facts]:
    return lambda facts: replace(
        facts,
        paths={**facts.paths, name: replace(facts.paths[name], **changes)},  # type: ignore[arg-type]
    )


def _unit(name: str, **changes: object) -> Callable[[Facts], Facts]:
    return lambda facts: replace(
        facts,
        units={**facts.units, name: replace(facts.units[name], **changes)},  # type: ignore[arg-type]
    )


def _without(name: str) -> Callable[[Facts], Facts]:
    return lambda facts: replace(
        facts, paths={path: state for path, state in facts.paths.items() if path != name}
    )


DRIFT: dict[str, tuple[Callable[[Facts], Facts], list[tuple[str, str]]]] = {
    "a host as wanted": (lambda facts: facts, []),
    "an edited configuration": (
        _path(CONFIG, content=b"slots = 1\n"),
        [(f"write {CONFIG}", "its content differs")],
    ),
    "a configuration that all may write": (
        _path(CONFIG, mode=0o666),
        [(f"set the mode of {CONFIG} to 0640 root:maelstrom-worker",
          "it is 0666 root:maelstrom-worker")],
    ),
    "a configuration that was removed": (
        _without(CONFIG), [(f"write {CONFIG}", "it is not there")],
    ),
    "a configuration that is a link": (
        _path(CONFIG, kind="symbolic link"), [(f"write {CONFIG}", "it is a symbolic link")],
    ),
    "a state directory of somebody else": (
        _path(layout.state("worker"), owner="bob"),
        [("set the mode of /var/lib/maelstrom-worker to 0700 maelstrom-worker:maelstrom-worker",
          "it is 0700 bob:maelstrom-worker")],
    ),
    "an edited unit": (
        _path(UNIT_FILE, content=b"[Service]\nUser=root\n"),
        [(f"write {UNIT_FILE}", "its content differs"),
         ("let systemd read its unit files", "unit files change")],
    ),
    "a unit that systemd has not read": (
        _unit(WORKER, needs_reload=True),
        [("let systemd read its unit files", "unit files have changed since"),
         (f"start {WORKER}", "its unit file has changed since")],
    ),
    "a unit that was stopped": (
        _unit(WORKER, active="inactive"), [(f"start {WORKER}", "it is inactive")],
    ),
    "a unit that fails": (_unit(WORKER, active="failed"), [(f"start {WORKER}", "it is failed")]),
    "a unit that is not started with the host": (
        _unit(WORKER, file="disabled"),
        [(f"start {WORKER} with the host", "it is not enabled"),
         ("let systemd read its unit files", "unit files change")],
    ),
    "a daemon that was started with an edited configuration": (
        lambda facts: replace(facts, started={"worker": "f" * 64 + "  -"}),
        [(f"start {WORKER}", "it was started with something else")],
    ),
    "a user that was removed": (
        lambda facts: replace(facts, users={}), [("make the user maelstrom-worker",
                                                  "it is not there")],
    ),
    "a release whose mark is missing": (
        lambda facts: replace(facts, releases=()),
        [("install the release 1.0-aaaa", "it is not whole")],
    ),
    "releases that nothing uses": (
        lambda facts: replace(facts, releases=("0.8", "0.9", *facts.releases)),
        [("remove /opt/maelstrom/releases/0.8", "nothing uses this release")],
    ),
    "a broker on a host that is a worker only": (
        lambda facts: replace(
            facts,
            units={**facts.units, layout.unit("broker"): UnitState("loaded", "active")},
            users={**facts.users, "maelstrom-broker": ("/", "/bin/sh")},
        ),
        [(f"stop and remove {layout.unit('broker')}", "the inventory wants it no longer"),
         ("let systemd read its unit files", "unit files go"),
         ("remove the user maelstrom-broker", "the inventory wants it no longer")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DRIFT)
def test_only_what_differs_is_changed_and_the_reason_is_what_was_found(case: str) -> None:
    drift, expected = DRIFT[case]
    wanted = want(worker())
    plan = plan_host(wanted, drift(as_wanted(wanted)))
    assert [(change.action.title, change.reason) for change in plan.changes] == expected


def test_a_bare_host_gets_everything_in_an_order_that_works() -> None:
    assert titles(plan_host(want(worker()), BARE)) == [
        "make the user maelstrom-worker",
        "make the directory /opt/maelstrom",
        "make the directory /opt/maelstrom/releases",
        "make the directory /opt/maelstrom/incoming",
        "make the directory /etc/maelstrom",
        "make the directory /var/lib/maelstrom-worker",
        "make the directory /var/lib/maelstrom-worker/tls",
        "install the release 1.0-aaaa",
        f"write {CONFIG}",
        f"write {UNIT_FILE}",
        f"write {layout.UNITS}/{layout.PROC_MOUNT}",
        "switch to the release 1.0-aaaa",
        f"start {layout.PROC_MOUNT} with the host",
        f"start {WORKER} with the host",
        "let systemd read its unit files",
        f"start {layout.PROC_MOUNT}",
        f"start {WORKER}",
    ]


def test_a_newer_release_is_installed_beside_the_running_one_then_switched() -> None:
    plan = plan_host(want(worker(), NEWER), as_wanted(want(worker())))
    assert [change.action.title for change in plan.prepare] == ["install the release 1.1-bbbb"]
    assert [change.action.title for change in plan.switch] == [
        "switch to the release 1.1-bbbb",
        f"start {WORKER}",
    ]
    assert plan.restarts == (WORKER,)


def test_the_way_back_from_a_newer_release_is_the_older_one() -> None:
    plan = plan_host(want(worker(), NEWER), as_wanted(want(worker())))
    assert [action.title for action in plan.back] == [
        f"switch to the release {RELEASE.name}",
        f"start {WORKER}",
    ]


def test_the_way_back_from_another_configuration_is_the_content_before() -> None:
    wanted = want(worker())
    before = replace(as_wanted(wanted), started={"worker": "f" * 64})
    before = _path(CONFIG, content=b"old\n", mode=0o600)(before)
    written, restarted = plan_host(wanted, before).back
    assert (written.content, written.mode) == ("old\n", 0o600)  # type: ignore[union-attr]
    assert restarted == RestartUnit(WORKER)


def test_a_host_on_which_nothing_ran_has_no_way_back() -> None:
    assert plan_host(want(worker()), BARE).back == ()


def test_a_host_of_two_roles_starts_the_broker_first() -> None:
    host = replace(inventory().host("broker"), worker=worker().worker)
    plan = titles(plan_host(want(host), BARE))
    started = [title for title in plan if title.startswith("start m") and "with" not in title]
    assert started == [f"start {layout.unit('broker')}", f"start {WORKER}"]


def test_a_diff_shows_what_of_a_file_changes() -> None:
    wanted = want(worker())
    facts = _path(UNIT_FILE, content=b"[Service]\nUser=root\n")(as_wanted(wanted))
    diff = plan_host(wanted, facts).changes[0].diff.splitlines()
    assert "-User=root" in diff
    assert " [Service]" in diff


def test_labels_that_change_are_written_shown_and_taken_up_by_a_new_start() -> None:
    host = worker()
    assert host.worker is not None
    labelled = replace(host, worker=replace(host.worker, labels=("arch=x86", "fast")))
    plan = plan_host(want(labelled), as_wanted(want(host)))
    assert titles(plan) == [f"write {CONFIG}", f"start {WORKER}"]
    assert '+labels = "arch=x86,fast"' in plan.changes[0].diff.splitlines()


def test_nothing_is_removed_from_a_host_that_has_nothing() -> None:
    assert plan_removal(BARE).changes == ()


def test_all_is_removed_units_first_and_users_before_what_they_own_goes() -> None:
    facts = as_wanted(want(worker()))
    assert titles(plan_removal(facts)) == [
        f"stop and remove {WORKER}",
        f"stop and remove {layout.PROC_MOUNT}",
        "let systemd read its unit files",
        "remove /var/lib/maelstrom-worker",
        f"remove {CONFIG}",
        "remove the user maelstrom-worker",
        "remove /opt/maelstrom",
        "remove /etc/maelstrom",
    ]


def test_what_is_left_of_a_removal_is_removed_by_the_next() -> None:
    left = replace(BARE, paths={layout.ROOT: PathState("directory", 0o755, "root", "root")})
    assert titles(plan_removal(left)) == ["remove /opt/maelstrom"]


@pytest.mark.parametrize("facts", [BARE, as_wanted(want(worker()))], ids=["bare", "as wanted"])
def test_no_script_has_anything_secret_in_it(facts: Facts) -> None:
    actions = [change.action for change in plan_host(want(worker()), facts).changes]
    assert "PRIVATE" not in apply_script(actions)
