"""Read what `facts.sh` says about a host. Pure: text in, Facts out."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from maelstrom.errors import InfrastructureError

MACHINES = ("x86_64", "aarch64")
PYTHON_MIN = (3, 11)


@dataclass(frozen=True, slots=True)
class Python:
    """A Python that the host has; a version of nothing means that it does not work."""

    path: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.path} ({'.'.join(map(str, self.version)) or 'broken'})"


@dataclass(frozen=True, slots=True)
class Range:
    """Users or groups that somebody may have in his containers."""

    user: str
    first: int
    count: int

    @property
    def last(self) -> int:
        """Return the last of them."""
        return self.first + self.count - 1


@dataclass(frozen=True, slots=True)
class PathState:
    """What is at a path; a link's content is where it leads."""

    kind: str
    mode: int
    owner: str
    group: str
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd says about a unit."""

    load: str = "not-found"
    active: str = "inactive"
    sub: str = "dead"
    file: str = ""
    needs_reload: bool = False
    restarts: int = 0
    process: int = 0
    status: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it runs."""
        return self.active == "active"


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens on a port."""

    address: str
    port: int
    program: str
    process: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a plan needs to know about one host."""

    os: str = ""
    machine: str = ""
    linux: tuple[int, ...] = ()
    clock_s: float = 0.0
    cpus: int = 1
    memory_bytes: int = 0
    systemd: int = 0
    container: str = ""
    pythons: tuple[Python, ...] = ()
    disk_free_bytes: Mapping[str, int] = field(default_factory=dict)
    users: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # Home and shell.
    subuids: tuple[Range, ...] = ()
    subgids: tuple[Range, ...] = ()
    paths: Mapping[str, PathState] = field(default_factory=dict)
    releases: tuple[str, ...] = ()
    units: Mapping[str, UnitState] = field(default_factory=dict)
    started: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[str, str] = field(default_factory=dict)  # PEM by role.
    listeners: tuple[Listener, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Python | None:
        """Return the first Python that is new enough."""
        return next((python for python in self.pythons if python.version >= PYTHON_MIN), None)

    @property
    def current(self) -> str:
        """Return the release that is in use, or nothing."""
        link = self.paths.get("/opt/maelstrom/current")
        return link.content.decode().removeprefix("releases/") if link else ""


def read_facts(text: str) -> Facts:
    """Return what the text says; raises InfrastructureError when its end is missing."""
    parts = _parts(text)
    if "end" not in parts:
        raise InfrastructureError("the host broke off while it told what it has")
    return Facts(
        os=read_os(parts["os"]),
        machine=parts["machine"].strip(),
        linux=_numbers(parts["linux"]),
        clock_s=float(parts["clock"] or 0),
        cpus=int(parts["cpus"] or 1),
        memory_bytes=_memory(parts["memory"]),
        systemd=next(iter(_numbers(parts["systemd"].removeprefix("systemd "))), 0),
        container=parts["container"].strip().removeprefix("none"),
        pythons=read_pythons(parts["pythons"]),
        disk_free_bytes=read_disks(parts["disks"]),
        users=read_users(parts["users"]),
        subuids=read_ranges(parts["subuids"]),
        subgids=read_ranges(parts["subgids"]),
        paths=read_paths(parts["paths"]),
        releases=tuple(parts["releases"].split()),
        units=read_units(parts["units"]),
        started=_pairs(parts["started"]),
        certificates={
            role: base64.b64decode(text).decode(errors="replace")
            for role, text in _pairs(parts["certificates"]).items()
        },
        listeners=read_listeners(parts["ports"]),
        settings=_pairs(parts["settings"]),
        addresses=_pairs(parts["names"]),
    )


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("@@ "):
            lines = parts.setdefault(line[3:].strip(), [])
        else:
            lines.append(line)
    return {name: "".join(lines) for name, lines in parts.items()}


def _numbers(text: str) -> tuple[int, ...]:
    """Return the version that a text begins with."""
    match = re.match(r"\d+(\.\d+)*", text.strip())
    return tuple(int(word) for word in match[0].split(".")) if match else ()


def _pairs(text: str) -> dict[str, str]:
    pairs = (line.partition(" ") for line in text.splitlines() if line)
    return {name: value.strip() for name, _, value in pairs}


def _memory(text: str) -> int:
    match = re.search(r"^MemTotal:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) << 10 if match else 0


def read_os(text: str) -> str:
    """Return the name of the system that an os-release file tells."""
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    name = pairs.get("PRETTY_NAME") or pairs.get("NAME") or "an unknown system"
    return name.strip("\"'")


def read_pythons(text: str) -> tuple[Python, ...]:
    """Return the Pythons of lines `PATH 3 11 2`, each once."""
    found: dict[str, Python] = {}
    for line in text.splitlines():
        path, *words = line.split()
        version = tuple(map(int, words)) if all(word.isdecimal() for word in words) else ()
        found.setdefault(path, Python(path, version))
    return tuple(found.values())


def read_disks(text: str) -> dict[str, int]:
    """Return the bytes that are free for /opt and for /var/lib, as `df -PB1` tells."""
    rows = [line.split() for line in text.splitlines()[1:]]
    free = [int(row[3]) for row in rows if len(row) >= 6 and row[3].isdecimal()]
    return dict(zip(("/opt", "/var/lib"), free, strict=False))


def read_users(text: str) -> dict[str, tuple[str, str]]:
    """Return home and shell of each user of a passwd file."""
    rows = [line.split(":") for line in text.splitlines()]
    return {row[0]: (row[5], row[6]) for row in rows if len(row) == 7}


def read_ranges(text: str) -> tuple[Range, ...]:
    """Return the ranges of a subuid file; lines that are none are no ranges."""
    rows = [line.split(":") for line in text.splitlines()]
    return tuple(
        Range(row[0], int(row[1]), int(row[2]))
        for row in rows
        if len(row) == 3 and row[1].isdecimal() and row[2].isdecimal()
    )


def read_paths(text: str) -> dict[str, PathState]:
    """Return the state of each path: a line of stat, then its content where that matters."""
    states: dict[str, PathState] = {}
    name = ""
    for line in text.splitlines():
        if not line.startswith("  "):
            name, mode, owner, group, kind = line.split(" ", 4)
            kind = {"regular empty file": "regular file"}.get(kind, kind)
            states[name] = PathState(kind, int(mode, 8), owner, group)
            continue
        old = states[name]
        content = line[2:].encode()
        if old.kind == "regular file":
            content = base64.b64decode(content)
        states[name] = PathState(old.kind, old.mode, old.owner, old.group, content)
    return states


def read_units(text: str) -> dict[str, UnitState]:
    """Return the state of each unit, as `systemctl show` tells."""
    states = {}
    for block in re.split(r"\n\s*\n", text.strip()):
        pairs = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if not pairs.get("Id"):
            continue
        states[pairs["Id"]] = UnitState(
            load=pairs.get("LoadState", ""),
            active=pairs.get("ActiveState", ""),
            sub=pairs.get("SubState", ""),
            file=pairs.get("UnitFileState", ""),
            needs_reload=pairs.get("NeedDaemonReload") == "yes",
            restarts=int(pairs.get("NRestarts") or 0),
            process=int(pairs.get("MainPID") or 0),
            status=pairs.get("StatusText", ""),
        )
    return states


def read_listeners(text: str) -> tuple[Listener, ...]:
    """Return who listens, as `ss -Hltnp` tells."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4:
            continue
        address, _, port = words[3].rpartition(":")
        who = re.search(r'users:\(\("([^"]*)",pid=(\d+)', line)
        if port.isdecimal():
            program, process = (who[1], int(who[2])) if who else ("", 0)
            found.append(Listener(address, int(port), program, process))
    return tuple(found)
