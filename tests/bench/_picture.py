"""Draw what the benchmark of the sandbox has measured, as bars: pure, from its rows."""

from html import escape
from typing import Any, NamedTuple

WIDTH, LABEL, GAP = 860, 220, 12
BAR, PITCH, HEAD = 16, 24, 40
# Room behind the longest bar for its figure.
FIGURE = 165
LEGEND = "A line across a bar: what is promised at most, by what others took in the same run."
STYLE = """\
text{font:13px sans-serif;fill:#1f2933}.small{font-size:11px;fill:#52606d}
.head{font-weight:bold}.back{fill:#fff}
.ours{fill:#2f7d4f}.other{fill:#9fb3c8}.bound{stroke:#c2410c;stroke-width:2.5}
@media (prefers-color-scheme:dark){text{fill:#e4e7eb}.back{fill:#131416}.small{fill:#a3b1bf}
.ours{fill:#4fb37b}.other{fill:#52667a}.bound{stroke:#fb923c}}"""


class Bar(NamedTuple):
    """What one way took for a job, and what it may take."""

    what: str
    median: float
    bound: float | None

    @property
    def is_ours(self) -> bool:
        """Whether it is a slot's."""
        return self.what.startswith("slot")


def draw(measured: dict[str, Any]) -> str:
    """Return an SVG with a panel for each number of jobs at once."""
    rows = [row for row in measured["rows"] if row["bench"] == "sandbox"]
    medians = {row["what"]: row["median"] for row in rows if " against " not in row["what"]}
    bounds = _bounds(rows, medians)
    panels: dict[str, list[Bar]] = {}
    for what, median in medians.items():
        way, at_once = _split(what)
        panels.setdefault(at_once, []).append(Bar(way, median, bounds.get(what)))
    lines: list[str] = []
    top = 0
    for at_once, bars in panels.items():
        lines += _panel(f"Milliseconds for one job, {at_once}", bars, top)
        top += HEAD + PITCH * len(bars)
    lines += [
        f'<text class="small" x="{GAP}" y="{top + 30 + 16 * number}">{escape(note)}</text>'
        for number, note in enumerate((LEGEND, measured["conditions"]))
    ]
    return _page(lines, top + 60)


def _bounds(rows: list[dict[str, Any]], medians: dict[str, float]) -> dict[str, float]:
    """Return what each way may take at most, by the hardest of its promises."""
    bounds: dict[str, float] = {}
    for row in rows:
        sign, _, factor = row.get("target", "").partition(" ")
        if sign == "<=":
            what, bound = row["what"], medians[row["peer"]] * float(factor)
        elif sign == ">=" and " against slot" in row["what"]:
            what, bound = row["what"].partition(" against ")[2], row["median"] / float(factor)
        else:
            continue
        bounds[what] = min(bound, bounds.get(what, bound))
    return bounds


def _split(what: str) -> tuple[str, str]:
    way, _, at_once = what.rpartition(", ")
    return (way, at_once) if at_once.endswith(" at once") else (what, "one at a time")


def _panel(title: str, bars: list[Bar], top: int) -> list[str]:
    scale = (WIDTH - LABEL - FIGURE) / max(bar.median for bar in bars)
    lines = [f'<text class="head" x="{GAP}" y="{top + 26}">{escape(title)}</text>']
    for number, bar in enumerate(bars):
        y = top + HEAD + PITCH * number
        width = bar.median * scale
        kind = "ours" if bar.is_ours else "other"
        ratio = f" ({bar.median / bars[0].median:.1f} x bare)" if number else ""
        end = LABEL + max(width, (bar.bound or 0.0) * scale) + 8
        lines += [
            f'<text x="{GAP}" y="{y + 13}">{escape(bar.what)}</text>',
            f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}"/>',
            f'<text x="{end:.1f}" y="{y + 13}">{bar.median:.2f} ms{ratio}</text>',
        ]
        if bar.bound is not None:
            x = LABEL + bar.bound * scale
            lines.append(f'<path class="bound" d="M{x:.1f} {y - 3}V{y + BAR + 3}"/>')
    return lines


def _page(lines: list[str], height: int) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
            "<title>What a job costs in a slot, as a bare process, and in other containers</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="back" width="{WIDTH}" height="{height}"/>',
            *lines,
            "</svg>\n",
        ]
    )
