"""What hosts say about themselves, as commands of several systems print it."""

import base64

import pytest

from maelstrom.errors import InfrastructureError
from provision.facts import (
    Facts,
    Listener,
    PathState,
    Python,
    UnitState,
    read_disks,
    read_facts,
    read_listeners,
    read_os,
    read_paths,
    read_pythons,
    read_units,
    read_users,
)

OS = {
    "Debian": ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
               "Debian GNU/Linux 12 (bookworm)"),
    "one without quotes": ("NAME=Arch\n", "Arch"),
    "one that says nothing": ("", "an unknown system"),
}  # fmt: skip


@pytest.mark.parametrize("case", OS)
def test_the_system_has_a_name(case: str) -> None:
    text, name = OS[case]
    assert read_os(text) == name


PYTHONS = {
    "Debian 12's": ("/usr/bin/python3 3 11 2\n/usr/bin/python3.11 3 11 2\n", "/usr/bin/python3"),
    "an old one beside a new one": (
        "/usr/bin/python3 3 10 12\n/usr/bin/python3.11 3 11 0\n", "/usr/bin/python3.11",
    ),
    "an old one": ("/usr/bin/python3 3 9 2\n", None),
    "one that does not start": ("/usr/bin/python3 broken\n", None),
    "none": ("", None),
}  # fmt: skip


@pytest.mark.parametrize("case", PYTHONS)
def test_the_first_python_that_is_new_enough_is_taken(case: str) -> None:
    text, path = PYTHONS[case]
    found = Facts(pythons=read_pythons(text)).python
    assert (found.path if found else None) == path


def test_a_python_is_told_with_its_version() -> None:
    assert [str(python) for python in read_pythons("/usr/bin/python3 3 9 2\n/x broken\n")] == [
        "/usr/bin/python3 (3.9.2)",
        "/x (broken)",
    ]
    assert read_pythons("/x broken") == (Python("/x", ()),)


def test_free_space_is_told_for_programs_and_for_state() -> None:
    text = (
        "Filesystem      1-blocks      Used  Available Capacity Mounted on\n"
        "overlay       2147483648 524288000 1623195648      25% /\n"
        "/dev/loop1     704643072  17825792  671088640       3% /var\n"
    )
    assert read_disks(text) == {"/opt": 1623195648, "/var/lib": 671088640}


def test_users_are_told_with_home_and_shell() -> None:
    text = "maelstrom-worker:x:999:995::/var/lib/maelstrom-worker:/usr/sbin/nologin\n"
    assert read_users(text) == {
        "maelstrom-worker": ("/var/lib/maelstrom-worker", "/usr/sbin/nologin")
    }


def test_paths_are_told_with_mode_owner_and_content() -> None:
    content = base64.b64encode(b"slots = 4\n").decode()
    text = (
        "/opt/maelstrom 755 root root directory\n"
        "/opt/maelstrom/current 777 root root symbolic link\n"
        "  releases/1.0-aaaa\n"
        f"/etc/maelstrom/worker.toml 640 root maelstrom-worker regular file\n  {content}\n"
        "/etc/maelstrom/broker.toml 600 root root regular empty file\n  \n"
        "/var/lib/maelstrom-worker 1777 UNKNOWN UNKNOWN directory\n"
    )
    found = read_paths(text)
    assert found["/opt/maelstrom"] == PathState("directory", 0o755, "root", "root")
    assert found["/opt/maelstrom/current"].content == b"releases/1.0-aaaa"
    assert found["/etc/maelstrom/worker.toml"] == PathState(
        "regular file", 0o640, "root", "maelstrom-worker", b"slots = 4\n"
    )
    assert found["/etc/maelstrom/broker.toml"].kind == "regular file"
    assert found["/var/lib/maelstrom-worker"].mode == 0o1777


def test_units_are_told_even_those_that_are_not_there() -> None:
    text = (
        "Id=maelstrom-worker.service\nLoadState=loaded\nActiveState=active\nSubState=running\n"
        "UnitFileState=enabled\nNeedDaemonReload=yes\nNRestarts=2\nMainPID=47\n"
        "StatusText=4 slots = all of them\n\n"
        "NRestarts=\nMainPID=0\nId=maelstrom-broker.service\nLoadState=not-found\n"
        "ActiveState=inactive\nSubState=dead\nUnitFileState=\nNeedDaemonReload=no\n\n"
    )
    assert read_units(text) == {
        "maelstrom-worker.service": UnitState(
            "loaded", "active", "running", "enabled",
            needs_reload=True, restarts=2, process=47, status="4 slots = all of them",
        ),
        "maelstrom-broker.service": UnitState(),
    }  # fmt: skip


def test_no_systemd_means_no_units() -> None:
    assert read_units("") == {}


def test_listeners_are_told_with_their_programs() -> None:
    text = (
        'LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=31,fd=3))\n'
        "LISTEN 0 100 [::]:9001 [::]:*\n"
        "LISTEN 0 4096 127.0.0.53%lo:53 0.0.0.0:*\n"
    )
    assert read_listeners(text) == (
        Listener("0.0.0.0", 22, "sshd", 31),
        Listener("[::]", 9001, "", 0),
        Listener("127.0.0.53%lo", 53, "", 0),
    )


EMPTY = "".join(
    f"@@ {name}\n"
    for name in (
        "os", "machine", "linux", "clock", "cpus", "memory", "systemd", "container", "pythons",
        "disks", "users", "subuids", "subgids", "paths", "releases", "units", "started", "ports",
        "settings", "names", "certificates", "end",
    )
)  # fmt: skip


def test_a_host_that_has_nothing_is_told_too() -> None:
    facts = read_facts(EMPTY)
    assert (facts.python, facts.systemd, facts.current, facts.releases) == (None, 0, "", ())


def test_what_a_host_has_is_read_part_by_part() -> None:
    certificate = base64.b64encode(b"-----BEGIN CERTIFICATE-----\n").decode()
    text = EMPTY
    for name, said in {
        "machine": "aarch64\n",
        "linux": "6.1.0-18-arm64\n",
        "clock": "1700000000.25\n",
        "cpus": "16\n",
        "memory": "MemTotal:       16384 kB\n",
        "systemd": "systemd 252 (252.38-1~deb12u1)\n",
        "container": "systemd-nspawn\n",
        "releases": "0.9-a\n1.0-b\n",
        "started": "worker 0123abcd  -\n",
        "settings": "user/max_user_namespaces 0\n",
        "subuids": "ann:100000:65536\n# nobody\nbob:x:1\n",
        "names": "b.example 10.0.0.1\nnowhere \n",
        "certificates": f"worker {certificate}\n",
    }.items():
        text = text.replace(f"@@ {name}\n", f"@@ {name}\n{said}")
    facts = read_facts(text)
    assert (facts.machine, facts.linux, facts.clock_s) == ("aarch64", (6, 1, 0), 1700000000.25)
    assert (facts.cpus, facts.memory_bytes, facts.systemd) == (16, 16 << 20, 252)
    assert facts.container == "systemd-nspawn"
    assert facts.releases == ("0.9-a", "1.0-b")
    assert facts.started == {"worker": "0123abcd  -"}
    assert [(r.user, r.first, r.last) for r in facts.subuids] == [("ann", 100000, 165535)]
    assert facts.settings == {"user/max_user_namespaces": "0"}
    assert facts.addresses == {"b.example": "10.0.0.1", "nowhere": ""}
    assert facts.certificates == {"worker": "-----BEGIN CERTIFICATE-----\n"}


def test_no_container_is_no_container() -> None:
    assert read_facts(EMPTY.replace("@@ container\n", "@@ container\nnone\n")).container == ""


def test_a_host_that_broke_off_is_not_believed() -> None:
    with pytest.raises(InfrastructureError, match="broke off"):
        read_facts(EMPTY.removesuffix("@@ end\n"))
