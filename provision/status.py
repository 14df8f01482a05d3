"""Tell how each host is: a table for people, rows for programs. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from provision import layout
from provision.certificates import days_left, warning
from provision.facts import Facts, UnitState
from provision.inventory import Host

_HEADS = ("host", "role", "version", "unit", "restarts", "clock", "certificate", "slots", "free",
          "labels")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """How one daemon on one host is."""

    host: str
    role: str
    version: str
    unit: str
    restarts: int
    clock_offset_s: float
    certificate_days: float | None
    slots: int | None
    free_bytes: int
    status: str
    warning: str = ""
    labels: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether it runs and goes on to."""
        return self.unit == "active (running)" and (self.certificate_days or 0) > 0


def rows(host: Host, facts: Facts, offset_s: float, now: datetime) -> list[Row]:
    """Return how the daemons of a host are."""
    found = []
    for role in host.roles:
        unit = facts.units.get(layout.unit(role), UnitState())
        state = f"{unit.active} ({unit.sub})" if unit.load == "loaded" else "not there"
        slots = (host.worker.slots or facts.cpus) if role == "worker" and host.worker else None
        found.append(
            Row(
                host=host.name,
                role=role,
                version=facts.current,
                unit=state,
                restarts=unit.restarts,
                clock_offset_s=round(offset_s, 3),
                certificate_days=days_left(facts.certificates.get(role, ""), now),
                slots=slots,
                free_bytes=facts.disk_free_bytes.get("/var/lib", 0),
                status=unit.status,
                warning=_warning(role, facts, now),
                labels=host.worker.labels if role == "worker" and host.worker else (),
            )
        )
    return found


def table(found: list[Row]) -> list[str]:
    """Return the rows as aligned lines under a head."""
    cells = [_HEADS, *(_cells(row) for row in found)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADS))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    notes = [f"{row.host}: {row.status}" for row in found if row.status]
    warnings = [f"{row.host}: {row.warning}" for row in found if row.warning]
    return [*lines, *notes, *warnings]


def _warning(role: str, facts: Facts, now: datetime) -> str:
    found = warning(facts.certificates.get(role, ""), now)
    return f"the {role}'s certificate: {found}; `nox -s cluster_up` renews it" if found else ""


def _cells(row: Row) -> tuple[str, ...]:
    days = row.certificate_days
    return (
        row.host,
        row.role,
        row.version or "-",
        row.unit,
        str(row.restarts),
        f"{row.clock_offset_s:+.1f} s",
        "-" if days is None else "expired" if days <= 0 else f"{days:.0f} days",
        "-" if row.slots is None else str(row.slots),
        f"{row.free_bytes / (1 << 30):.1f} GiB",
        " ".join(row.labels) or "-",
    )


def plain(found: list[Row]) -> list[Mapping[str, object]]:
    """Return the rows as JSON has them."""
    return [{**asdict(row), "is_well": row.is_well} for row in found]
