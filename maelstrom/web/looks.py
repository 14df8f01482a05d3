"""How numbers look on the page; no I/O."""

import itertools
from collections.abc import Callable, Sequence

from maelstrom.broker.status import Sample

WIDTH, HEIGHT = 600, 80


def seconds(value: float) -> str:
    """`3 d 4 h`, `5 min 6 s`, `7 s`."""
    left = int(value)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def size(value: float) -> str:
    """`12 B`, `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def count(value: float) -> str:
    """`12 345`."""
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


FILTERS: dict[str, Callable[[float], str]] = {"seconds": seconds, "size": size, "count": count}


def line(values: Sequence[float], top: float) -> str:
    """Return the points of a line that fits the frame, the newest value at its right end."""
    if not values or top <= 0:
        return ""
    step = WIDTH / max(len(values) - 1, 1)
    points = (
        f"{number * step:.1f},{HEIGHT - min(value / top, 1) * HEIGHT:.1f}"
        for number, value in enumerate(values)
    )
    return " ".join(points)


def history_lines(history: Sequence[Sample]) -> dict[str, object]:
    """Return what the page draws: slots in use of those there, and jobs that ended each second."""
    rates = [
        max(0.0, (now.ended - before.ended) / max(now.at_s - before.at_s, 0.001))
        for before, now in itertools.pairwise(history)
    ]
    slots = [float(sample.slots) for sample in history]
    running = [float(sample.running) for sample in history]
    slots_top = max([*slots, *running, 1.0])
    rates_top = max([*rates, 1.0])
    return {
        "slots": line(slots, slots_top),
        "running": line(running, slots_top),
        "slots_top": slots_top,
        "rates": line(rates, rates_top),
        "rates_top": rates_top,
        "span_s": history[-1].at_s - history[0].at_s if history else 0.0,
    }
