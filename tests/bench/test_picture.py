"""The picture of a benchmark's rows."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.bench._picture import LABEL, draw

IMAGES = Path(__file__).parents[2] / "docs/images"
ROWS = (
    ("bare posix_spawn and wait", 1.0, "", ""),
    ("slot, fresh root", 2.0, "bare posix_spawn and wait", "<= 2.2"),
    ("bare posix_spawn and wait, 2 at once", 1.0, "", ""),
    ("slot, fresh root, 2 at once", 2.0, "", ""),
    ("crun, 2 at once", 10.0, "", ""),
    ("bwrap against slot, fresh root, 2 at once", 6.0, "a slot", ">= 3"),
    ("crun against slot, fresh root, 2 at once", 10.0, "a slot", ">= 4"),
)
NAMES = ("what", "median", "peer", "target")
MEASURED = {
    "conditions": "here & now",
    "rows": [{"bench": "sandbox", **dict(zip(NAMES, row, strict=True))} for row in ROWS],
}


def _found(picture: str, tag: str) -> list[ET.Element]:
    return ET.fromstring(picture).findall(f"{{http://www.w3.org/2000/svg}}{tag}")


def test_each_way_has_a_bar_as_long_as_it_took() -> None:
    _, *bars = _found(draw(MEASURED), "rect")
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert [bar.attrib["class"] for bar in bars] == ["other", "ours", "other", "ours", "other"]
    assert [round(width / widths[0], 1) for width in widths[:2]] == [1.0, 2.0]
    assert [round(width / widths[2], 1) for width in widths[2:]] == [1.0, 2.0, 10.0]


def test_the_hardest_promise_is_a_line() -> None:
    picture = draw(MEASURED)
    bars = [float(bar.attrib["width"]) for bar in _found(picture, "rect")[1:]]
    lines = [float(line.attrib["d"][1:].split()[0]) - LABEL for line in _found(picture, "path")]
    assert [round(line, 0) for line in lines] == [round(bars[0] * 2.2, 0), round(bars[2] * 2.0, 0)]


def test_what_it_was_measured_on_is_told() -> None:
    assert "here & now" in [text.text for text in _found(draw(MEASURED), "text")]


def test_the_picture_of_the_book_is_that_of_its_rows() -> None:
    rows = json.loads((IMAGES / "benchmarks.json").read_text())
    assert (IMAGES / "benchmarks.svg").read_text() == draw(rows)
