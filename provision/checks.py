"""What keeps a host from being in a cluster: found before anything is changed. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from provision import layout
from provision.facts import MACHINES, PYTHON_MIN, Facts
from provision.inventory import Host, Inventory

SYSTEMD_MIN = 247
DISK_BYTES_MIN = 300 << 20
# Certificates begin ten minutes before they are made.
CLOCK_OFF_S_MAX = 300.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that has to be mended by a person."""

    message: str
    hint: str


def problems(host: Host, inventory: Inventory, facts: Facts, offset_s: float) -> list[Problem]:
    """Return all that keeps this host from being as the inventory wants it."""
    return [
        *_system(facts),
        *_python(facts),
        *_disk(facts),
        *_clock(offset_s),
        *_port(host, facts),
        *_names(inventory, facts),
    ]


def _system(facts: Facts) -> Iterator[Problem]:
    if facts.machine not in MACHINES:
        yield Problem(
            f"it is a {facts.machine}", f"we have wheels for {' and '.join(MACHINES)} only"
        )
    if not facts.systemd:
        yield Problem("it has no systemd", "take a Debian 12, an Ubuntu 22.04, or what is newer")
    elif facts.systemd < SYSTEMD_MIN:
        yield Problem(
            f"its systemd is {facts.systemd}",
            f"{SYSTEMD_MIN} is needed: Debian 11, Ubuntu 22.04, or what is newer",
        )


def _python(facts: Facts) -> Iterator[Problem]:
    if facts.python is not None:
        return
    wanted = ".".join(map(str, PYTHON_MIN))
    if not facts.pythons:
        yield Problem("it has no Python", "`apt-get install python3`")
    else:
        found = ", ".join(map(str, facts.pythons))
        yield Problem(
            f"its Python is too old: {found}",
            f"Python {wanted} or newer is needed, at /usr/bin or /usr/local/bin, beside the"
            " system's own: Debian 12 and Ubuntu 24.04 have it; on Ubuntu 22.04 `apt-get install"
            " python3.11`",
        )


def _disk(facts: Facts) -> Iterator[Problem]:
    for place, free in facts.disk_free_bytes.items():
        if free < DISK_BYTES_MIN:
            yield Problem(
                f"{free >> 20} MiB are free for {place}",
                f"at least {DISK_BYTES_MIN >> 20} MiB are needed; `df -h {place}`",
            )


def _clock(offset_s: float) -> Iterator[Problem]:
    if abs(offset_s) > CLOCK_OFF_S_MAX:
        way = "ahead of" if offset_s > 0 else "behind"
        yield Problem(
            f"its clock is {abs(offset_s):.0f} s {way} ours",
            "certificates would not be valid; set it right: `timedatectl set-ntp true`",
        )


def _port(host: Host, facts: Facts) -> Iterator[Problem]:
    if host.broker is None:
        return
    unit = facts.units.get(layout.unit("broker"))
    ours = unit.process if unit else 0
    for listener in facts.listeners:
        if listener.port == host.broker.port and (not ours or listener.process != ours):
            who = (
                f"`{listener.program}`, process {listener.process}"
                if listener.program
                else "another"
            )
            yield Problem(
                f"port {listener.port} is taken by {who}",
                "stop that, or give the broker another `port` in the inventory",
            )
            return


def _names(inventory: Inventory, facts: Facts) -> Iterator[Problem]:
    name = inventory.broker.address
    if name in facts.addresses and not facts.addresses[name]:
        yield Problem(
            f"the broker's address `{name}` does not resolve there",
            "give `[broker]` an `address` that every host knows",
        )
