"""What goes wrong between an operator and hosts: each is told, harms nothing, and is got over."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.provision.lab.host import Host
from tests.provision.lab.lab import Lab
from tests.provision.lab.operator import Operator

LOCKED_S_MAX = 60


@pytest.fixture
def bare(operator: Operator, lab: Lab) -> Iterator[Operator]:
    """Return an operator whose hosts have nothing of ours; so they are left."""
    operator.user = "admin"
    operator.known_hosts.write_text(lab.known_hosts())
    operator.write(lab.hosts[0], lab.hosts[1:2])
    yield operator
    operator.user = "admin"
    operator.known_hosts.write_text(lab.known_hosts())
    operator.write(lab.hosts[0], lab.hosts[1:2])
    assert operator.run("down", "--yes", "--no-diff").status == 0


def _has_nothing(host: Host) -> bool:
    said = host.run("ls /opt /etc | grep maelstrom; getent passwd | grep maelstrom", check=False)
    return said == ""


def test_an_unreachable_worker_is_left_out_and_the_others_come_up(bare: Operator, lab: Lab) -> None:
    worker = lab.hosts[1]
    worker.set_link("down")
    try:
        said = bare.run("up", "--yes", "--no-diff")
    finally:
        worker.set_link("up")
    assert said.status == 1
    assert f"w1: cannot reach {worker.address} port 22" in said.text
    assert lab.hosts[0].run("systemctl is-active maelstrom-broker").strip() == "active"
    assert bare.run("up", "--yes", "--no-diff").status == 0


def test_without_the_brokers_host_nothing_is_changed(bare: Operator, lab: Lab) -> None:
    lab.hosts[0].set_link("down")
    try:
        said = bare.run("up", "--yes", "--no-diff")
    finally:
        lab.hosts[0].set_link("up")
    assert said.status == 3
    assert "nothing is changed" in said.text
    assert _has_nothing(lab.hosts[1])


def test_a_host_with_another_key_is_not_spoken_to(bare: Operator, lab: Lab) -> None:
    stranger = lab.hosts[2].host_key
    lines = bare.known_hosts.read_text().splitlines()
    address = lab.hosts[1].address
    changed = [f"{address} {stranger}" if line.startswith(address) else line for line in lines]
    bare.known_hosts.write_text("\n".join([*changed, ""]))
    said = bare.run("up", "--yes", "--no-diff")
    assert said.status == 1
    assert f"w1: the host key of `{address}` has changed" in said.text
    assert "ssh-keygen -R" in said.text
    assert _has_nothing(lab.hosts[1])


def test_a_host_that_was_never_met_has_to_be_accepted_by_name(bare: Operator, lab: Lab) -> None:
    bare.known_hosts.write_text("")
    said = bare.run("up", "--yes", "--no-diff")
    assert said.status == 3
    assert "broker: the host key of `10.213.0.11` is not known: ssh-ed25519 SHA256:" in said.text
    assert "--accept-new" in said.text
    said = bare.run("up", "--yes", "--no-diff", "--accept-new=broker")
    assert "w1: the host key of `10.213.0.12` is not known" in said.text
    said = bare.run("up", "--yes", "--no-diff", "--accept-new=w1")
    assert said.status == 0
    known = bare.inventory.parent / ".cluster/known_hosts"
    assert known.read_text() == "".join(
        f"{host.address} {host.host_key}\n" for host in lab.hosts[:2]
    )
    known.unlink()


def test_a_user_without_sudo_is_told(bare: Operator, lab: Lab) -> None:
    bare.user = "guest"
    bare.write(lab.hosts[0], lab.hosts[1:2])
    said = bare.run("up", "--yes", "--no-diff", "--ask-sudo", stdin="wrong\n")
    assert said.status == 3
    assert "guest@10.213.0.11 may not use sudo" in said.text
    assert _has_nothing(lab.hosts[0])


def test_sudo_with_a_password_is_asked_for_once_and_never_shown(bare: Operator, lab: Lab) -> None:
    bare.user = "pat"
    bare.write(lab.hosts[0], lab.hosts[1:2])
    said = bare.run("up", "--yes", "--no-diff")
    assert "sudo wants a password of pat@10.213.0.11" in said.text
    assert "--ask-sudo" in said.text
    said = bare.run("up", "--yes", "--no-diff", "--ask-sudo", stdin="correct horse\n")
    assert said.status == 0
    assert said.text.count("for sudo:") == 1
    assert "correct" not in said.text
    for host in lab.hosts[:2]:
        assert "correct" not in host.run("journalctl --no-pager", check=False)


def test_a_disk_that_fills_up_stops_its_host_and_a_second_run_goes_on(
    bare: Operator, lab: Lab
) -> None:
    place = "/opt/maelstrom/releases"
    lab.hosts[1].run(f"mkdir -p {place} && mount -t tmpfs -o size=10m,mode=755 small {place}")
    try:
        said = bare.run("up", "--yes", "--no-diff")
        assert said.status == 1
        assert "w1: cannot install the release" in said.text
        assert "No space left on device" in said.text
        assert "changes)" in said.text
        assert lab.hosts[0].run("systemctl is-active maelstrom-broker").strip() == "active"
    finally:
        lab.hosts[1].run(f"umount {place}")
    assert bare.run("up", "--yes", "--no-diff").status == 0


def test_too_little_room_is_told_before_anything_is_changed(bare: Operator, lab: Lab) -> None:
    lab.hosts[0].run("fallocate -l 500M /var/big")
    try:
        said = bare.run("up", "--yes", "--no-diff")
    finally:
        lab.hosts[0].run("rm /var/big")
    assert said.status == 3
    assert "are free for /var/lib" in said.text
    assert _has_nothing(lab.hosts[0])
    assert _has_nothing(lab.hosts[1])


def test_an_old_python_is_told_with_the_remedy(bare: Operator, lab: Lab) -> None:
    worker = lab.hosts[1]
    hide = "for f in /usr/bin/python3*; do mv $f $f.hidden; done"
    fake = "printf '#!/bin/sh\\necho 3 9 2\\n' > /usr/bin/python3; chmod +x /usr/bin/python3"
    worker.run(f"{hide}; {fake}")
    try:
        said = bare.run("up", "--yes", "--no-diff")
    finally:
        worker.run("rm /usr/bin/python3; for f in /usr/bin/*.hidden; do mv $f ${f%.hidden}; done")
    assert said.status == 1
    assert "w1: its Python is too old: /usr/bin/python3 (3.9.2)" in said.text
    assert _has_nothing(worker)


def test_a_port_that_is_taken_is_told_with_who_has_it(bare: Operator, lab: Lab) -> None:
    lab.hosts[0].run("systemd-run --quiet --unit=thief python3 -m http.server 9001")
    lab.hosts[0].run("until ss -Hltn | grep -q :9001; do sleep 0.05; done")
    try:
        said = bare.run("up", "--yes", "--no-diff")
    finally:
        lab.hosts[0].run("systemctl stop thief")
    assert said.status == 3
    assert "port 9001 is taken by `python3`" in said.text
    assert _has_nothing(lab.hosts[0])


def test_a_locked_package_manager_is_no_matter(bare: Operator, lab: Lab) -> None:
    lock = "flock /var/lib/dpkg/lock-frontend flock /var/lib/dpkg/lock sleep 600"
    lab.hosts[1].run(f"systemd-run --quiet --unit=apt-at-work {lock}")
    try:
        assert bare.run("up", "--yes", "--no-diff").status == 0
    finally:
        lab.hosts[1].run("systemctl stop apt-at-work")


def _begin(operator: Operator, until: str) -> subprocess.Popen[str]:
    """Start `up`, and return when it has said something."""
    process = operator.start("up", "--yes", "--no-diff")
    assert process.stdout is not None
    for line in process.stdout:
        if until in line:
            return process
    raise AssertionError(f"it never said {until!r}")


def _up_when_unlocked(operator: Operator) -> None:
    """Run `up` until locks of a lost connection are given up."""
    end = time.monotonic() + LOCKED_S_MAX
    while True:
        said = operator.run("up", "--yes", "--no-diff")
        if said.status == 0 or time.monotonic() > end:
            assert said.status == 0
            return
        time.sleep(1)


def test_a_connection_that_is_cut_in_the_middle_is_told_and_a_second_run_completes(
    bare: Operator, lab: Lab
) -> None:
    process = _begin(bare, "w1: make the directory /opt/maelstrom/incoming: done")
    lab.hosts[1].set_link("down")
    text, _ = process.communicate(timeout=120)
    lab.hosts[1].set_link("up")
    assert process.returncode == 1, text
    assert "w1: the connection was lost" in text
    _up_when_unlocked(bare)
    assert bare.run("status").status == 0


def test_an_interruption_leaves_every_host_before_or_after_a_change(
    bare: Operator, lab: Lab
) -> None:
    process = _begin(bare, "broker: make the directory /opt/maelstrom/incoming: done")
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 130, text
    assert "run it again to go on" in text
    for host in lab.hosts[:2]:
        assert host.run("find /etc/maelstrom /opt -name '*.new'", check=False) == ""
    _up_when_unlocked(bare)
    assert "nothing to change" in bare.run("up", "--yes").text


def _is_whole(host: Host) -> bool:
    """Whether a host is before or after each change: nothing is there in part."""
    # A change that was under way is made to its end, under this lock.
    halves = host.run(
        "exec 8</run/lock; flock -w 60 8;"
        " find /etc/maelstrom /etc/systemd/system /opt/maelstrom -maxdepth 1 -name '*.new';"
        " [ ! -L /opt/maelstrom/current ] || ls -d /opt/maelstrom/current/.complete >/dev/null;"
        " systemctl list-units --failed --plain --no-legend 'maelstrom-*'",
        check=False,
    )
    return halves == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_after_each_change_in_turn_gets_there(
    bare: Operator, lab: Lab, number: signal.Signals
) -> None:
    made: list[str] = []
    for _ in range(60):
        process = bare.start("up", "--yes", "--no-diff")
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith(": done\n") and line not in made:
                made.append(line)
                process.send_signal(number)
                break
        text, _ = process.communicate(timeout=120)
        for host in lab.hosts[:2]:
            assert _is_whole(host), made
        if process.returncode == 0:
            break
        ends = {signal.SIGINT: 130, signal.SIGTERM: 130, signal.SIGKILL: -signal.SIGKILL}
        assert process.returncode in (ends[number], 1), text
    # Some changes are made before one hears of them.
    assert len(made) > 8
    assert "nothing to change" in bare.run("up", "--yes").text
    assert bare.run("status").status == 0


def test_of_two_operators_one_is_refused_and_told_who_is_at_it(
    bare: Operator, lab: Lab, tmp_path: Path
) -> None:
    other = Operator(lab, tmp_path / "other")
    other.write(lab.hosts[0], lab.hosts[1:2])
    process = _begin(bare, "broker: make the user maelstrom-broker: done")
    said = other.run("up", "--yes", "--no-diff")
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text
    assert said.status == 3
    assert "is changing broker at this moment" in said.text
    assert f"process {process.pid}" in said.text
    assert bare.run("status").status == 0
