"""What operators read: plans, failures, the table of hosts."""

from dataclasses import replace
from datetime import UTC, datetime

from maelstrom.errors import UserError
from provision import layout
from provision.checks import Problem
from provision.facts import PathState, UnitState
from provision.plan import HostPlan, plan_host
from provision.status import plain, rows, table
from provision.telling import DIFF_LINES_MAX, failure_lines, plan_lines, problem_lines
from provision.wanted import File
from tests.provision.hosts_as_told import BARE, as_wanted, inventory, want, worker

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_plan_without_changes_says_so() -> None:
    plans = {"broker": HostPlan(), "w1": HostPlan()}
    assert list(plan_lines(plans, with_diffs=True)) == ["nothing to change on 2 hosts"]


def test_a_plan_tells_each_change_with_mark_reason_and_diff() -> None:
    wanted = want(worker())
    facts = as_wanted(wanted)
    stopped = {layout.unit("worker"): UnitState("loaded", "failed", "failed", "enabled")}
    facts = replace(facts, units={**facts.units, **stopped})
    path = layout.config("worker")
    old = replace(facts.paths[path], content=b"slots = 1\n")
    facts = replace(facts, paths={**facts.paths, path: old}, users={})
    lines = list(plan_lines({"w1": plan_host(wanted, facts), "w2": HostPlan()}, with_diffs=True))
    assert lines[:3] == [
        "w1:",
        "  + make the user maelstrom-worker  (it is not there)",
        "  ~ write /etc/maelstrom/worker.toml  (its content differs)",
    ]
    assert "      -slots = 1" in lines
    assert lines[-2:] == [
        "  ~ start maelstrom-worker.service  (it is failed)",
        "3 changes on 1 host; nothing to change on w2",
    ]


def test_diffs_may_be_left_out() -> None:
    lines = plan_lines({"w1": plan_host(want(worker()), BARE)}, with_diffs=False)
    assert not [line for line in lines if line.startswith("      ")]


def test_a_new_file_is_shown_if_it_is_short() -> None:
    files = (File("/etc/maelstrom/short", "a\nb\n"), File("/etc/maelstrom/long", "line\n" * 40))
    plan = plan_host(replace(want(worker()), files=files), BARE)
    lines = list(plan_lines({"w1": plan}, with_diffs=True))
    first = lines.index("  + write /etc/maelstrom/short  (it is not there)")
    assert lines[first + 1 : first + 5] == [
        "      +a",
        "      +b",
        "  + write /etc/maelstrom/long  (it is not there)",
        "      40 lines",
    ]


def test_a_long_diff_is_cut() -> None:
    wanted = replace(want(worker()), files=(File("/etc/maelstrom/long", "line\n" * 100),))
    old = {"/etc/maelstrom/long": PathState("regular file", 0o644, "root", "root", b"other\n")}
    plan = plan_host(wanted, replace(BARE, paths=old))
    lines = list(plan_lines({"w1": plan}, with_diffs=True))
    assert len([line for line in lines if line == "      +line"]) == DIFF_LINES_MAX - 2
    assert "      ... and 42 lines more" in lines


def test_failures_and_problems_come_with_their_hints() -> None:
    failures = {"w1": UserError("it is off", hint="switch it on"), "w2": UserError("no")}
    assert list(failure_lines(failures)) == ["w1: it is off", "  hint: switch it on", "w2: no"]
    found = {"w1": [Problem("it is full", "make room")]}
    assert list(problem_lines(found)) == ["w1: it is full", "  hint: make room"]


TABLE = """\
host    role    version   unit              restarts  clock   certificate  slots  free     \
labels
broker  broker  -         not there         0         +0.0 s  -            -      2.0 GiB  \
-
w2      worker  1.0-aaaa  active (running)  0         -1.2 s  -            8      2.0 GiB  \
arch=x86
w2: runs jobs
"""


def test_the_status_of_hosts_is_a_table() -> None:
    cluster = inventory()
    host = cluster.host("w2")
    assert host.worker is not None
    labelled = replace(host.worker, labels=("arch=x86",))
    facts = as_wanted(want(host))
    units = {
        **facts.units,
        layout.unit("worker"): replace(facts.units[layout.unit("worker")], status="runs jobs"),
    }
    found = [
        *rows(cluster.host("broker"), BARE, 0.0, NOW),
        *rows(replace(host, worker=labelled), replace(facts, units=units), -1.25, NOW),
    ]
    assert table(found) == TABLE.splitlines()
    assert [row["is_well"] for row in plain(found)] == [False, False]


def test_a_worker_without_slots_has_one_for_each_cpu() -> None:
    (row,) = rows(worker(), as_wanted(want(worker())), 0.0, NOW)
    assert row.slots == 4
