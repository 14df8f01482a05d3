"""Hosts, inventories and facts for tables: short to write, easy to vary."""

from dataclasses import replace

from provision import layout
from provision.facts import Facts, PathState, Python, UnitState
from provision.inventory import Host, Inventory, read_inventory
from provision.plan import HostPlan
from provision.wanted import Release, Templates, Wanted, wanted

INVENTORY = """\
format = 1
[broker]
host = "10.0.0.1"
[workers.w1]
host = "10.0.0.2"
[workers.w2]
host = "10.0.0.3"
slots = 8
"""
RELEASE = Release("1.0-aaaa", "0" * 64)
NEWER = Release("1.1-bbbb", "1" * 64)
TEMPLATES = Templates({
    layout.unit("broker"): "[Service]\nExecStart=@start@\n",
    layout.unit("worker"): "[Service]\nExecStart=@start@\n",
    layout.PROC_MOUNT: "[Mount]\n",
    layout.IDENTITIES_SOCKET: "[Socket]\n",
    layout.IDENTITIES_SERVICE: "[Service]\nExecStart=@python@\n",
})  # fmt: skip
BARE = Facts(
    os="Debian GNU/Linux 12 (bookworm)",
    machine="x86_64",
    systemd=252,
    cpus=4,
    pythons=(Python("/usr/bin/python3", (3, 11, 2)),),
    disk_free_bytes={"/opt": 10 << 30, "/var/lib": 2 << 30},
    addresses={"10.0.0.1": "10.0.0.1"},
)


def inventory() -> Inventory:
    """Return a broker and two workers."""
    return read_inventory(INVENTORY)


def worker() -> Host:
    """Return a host that is a worker only."""
    return inventory().host("w1")


def want(host: Host, release: Release = RELEASE) -> Wanted:
    """Return what a host should have."""
    return wanted(host, inventory(), release, TEMPLATES)


def as_wanted(wanted: Wanted, facts: Facts = BARE) -> Facts:
    """Return the facts of a host that is just as it should be, and runs."""
    paths = {
        each.path: PathState("directory", each.mode, each.owner, each.group)
        for each in wanted.directories
    }
    paths |= {
        file.path: PathState(
            "regular file", file.mode, file.owner, file.group, file.content.encode()
        )
        for file in wanted.files
    }
    link = f"releases/{wanted.release.name}".encode()
    paths[layout.CURRENT] = PathState("symbolic link", 0o777, "root", "root", link)
    return replace(
        facts,
        users={name: (home, "/usr/sbin/nologin") for name, home in wanted.users},
        paths=paths,
        releases=(*facts.releases, wanted.release.name),
        units={
            unit.name: UnitState("loaded", "active", "running", "enabled", process=100)
            for unit in wanted.units
        },
        started={unit.role: f"{unit.started}  -" for unit in wanted.units if unit.role},
    )


def titles(plan: HostPlan) -> list[str]:
    """Return what a plan does, in order."""
    return [change.action.title for change in plan.changes]
