"""What a host should have, from the inventory alone. Pure; the plan compares it with the facts."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from provision import layout
from provision.inventory import Host, Inventory


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that should be there."""

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True)
class File:
    """A file that should be there."""

    path: str
    content: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True)
class Release:
    """A version of ours with all it needs, for one kind of host."""

    name: str
    archive_sha256: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that should run; `started` is the digest of what it should have been started with."""

    name: str
    role: str
    started: str

    @property
    def path(self) -> str:
        """Return its file."""
        return f"{layout.UNITS}/{self.name}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that a host should have."""

    users: tuple[tuple[str, str], ...]  # Name and home.
    directories: tuple[Directory, ...]
    files: tuple[File, ...]
    release: Release
    units: tuple[Unit, ...]  # In the order in which they start.


@dataclass(frozen=True, slots=True)
class Templates:
    """The texts that the wanted state is made from: unit files by name."""

    units: Mapping[str, str]


def wanted(host: Host, inventory: Inventory, release: Release, templates: Templates) -> Wanted:
    """Return what a host should have."""
    configs = [
        File(layout.config(role), _config(role, host, inventory), 0o640, "root", layout.user(role))
        for role in host.roles
    ]
    unit_files = [
        File(f"{layout.UNITS}/{name}", text) for name, text in _unit_texts(host, templates).items()
    ]
    by_path = {file.path: file.content for file in (*configs, *unit_files)}
    units = [Unit(layout.PROC_MOUNT, "", "")] if host.worker else []
    if host.worker and host.worker.has_identities:
        units.append(Unit(layout.IDENTITIES_SOCKET, "", ""))
    for role in host.roles:
        contents = (by_path[layout.config(role)], by_path[f"{layout.UNITS}/{layout.unit(role)}"])
        units.append(Unit(layout.unit(role), role, started_with(release.name, *contents)))
    return Wanted(
        users=tuple((layout.user(role), layout.state(role)) for role in host.roles),
        directories=_directories(host),
        files=(*configs, *unit_files),
        release=release,
        units=tuple(units),
    )


def started_with(release: str, config: str, unit: str) -> str:
    """Return what a unit's own record says when it was started with these."""
    return hashlib.sha256(f"releases/{release}\n{config}{unit}".encode()).hexdigest()


def record_command(role: str) -> str:
    """Return the command with which a unit records what it is started with."""
    sources = f"{layout.config(role)} {layout.UNITS}/{layout.unit(role)}"
    return (
        f"mkdir -p -m 0755 {layout.RUN}; {{ readlink {layout.CURRENT}; cat {sources}; }}"
        f" | sha256sum > {layout.started(role)}"
    )


def _directories(host: Host) -> tuple[Directory, ...]:
    roles = host.roles
    return (
        Directory(layout.ROOT),
        Directory(layout.RELEASES),
        Directory(layout.INCOMING, 0o700),
        Directory(layout.ETC),
        *(
            Directory(path(role), 0o700, layout.user(role), layout.user(role))
            for role in roles
            for path in (layout.state, layout.tls)
        ),
    )


def _unit_texts(host: Host, templates: Templates) -> dict[str, str]:
    has_identities = host.worker is not None and host.worker.has_identities
    texts = {
        layout.unit(role): _fill(
            templates.units[layout.unit(role)], role, has_identities=has_identities
        )
        for role in host.roles
    }
    if host.worker:
        texts[layout.PROC_MOUNT] = templates.units[layout.PROC_MOUNT]
    if has_identities:
        for name in (layout.IDENTITIES_SOCKET, layout.IDENTITIES_SERVICE):
            texts[name] = _fill(templates.units[name], "worker", has_identities=True)
    return texts


def _fill(template: str, role: str, *, has_identities: bool) -> str:
    values = {
        "identities": layout.IDENTITIES if has_identities else "",
        "python": f"{layout.CURRENT}/venv/bin/python",
        "start": f"{layout.CURRENT}/venv/bin/maelstrom-{role} --config-file {layout.config(role)}",
        "record": record_command(role),
    }
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template


def _config(role: str, host: Host, inventory: Inventory) -> str:
    values: dict[str, str | int]
    if role == "broker":
        assert host.broker is not None, "only brokers have a broker's configuration"
        everywhere = "[::]" if ":" in host.broker.address else "0.0.0.0"
        size = host.broker.store_size_bytes
        values = {"listen": f"{everywhere}:{host.broker.port}"}
    else:
        assert host.worker is not None, "only workers have a worker's configuration"
        values = {"broker": inventory.broker_place}
        size = host.worker.store_size_bytes
        if host.worker.slots:
            values["slots"] = host.worker.slots
        if host.worker.resources:
            values["resources"] = ",".join(f"{name}={n}" for name, n in host.worker.resources)
        if host.worker.labels:
            values["labels"] = ",".join(host.worker.labels)
    values |= {
        "identity": layout.tls(role),
        "store": f"{layout.state(role)}/store",
        "store-size": size,
    }
    # JSON's strings and numbers are TOML's.
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    head = "# Written by `nox -s cluster_up`: change `cluster.toml` instead, and run it again."
    return "\n".join([head, *lines, ""])
