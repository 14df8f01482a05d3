"""Make hostile text fit to be printed: names on one line, outputs cut and without escapes."""

import re

NAME_LENGTH_MAX = 500
SHOWN_LINES_MAX = 200
SHOWN_LINE_LENGTH_MAX = 2_000
SHOWN_LENGTH_MAX = 60_000

# Colours, cursor movements, window titles, links and what else terminals obey.
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]+[0-~]"  # character sets and the like
    r"|\x1b[0-Z\\^-~]"  # two characters
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
# What is left of control characters, and the invisible ones that reorder or hide text.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200c\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_NO_XML = re.compile("[\ufffe\uffff]")
_SPACE = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def name(text: str, *, length_max: int = NAME_LENGTH_MAX) -> str:
    """Return a name as one line that can be printed, with everything else written as an escape."""
    if len(text) > length_max:
        text = text[: length_max - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    for raw, escaped in _SPACE.items():
        text = text.replace(raw, escaped)
    return _UNSAFE.sub(_escape, text)


def built(text: str) -> str:
    """Return a line that a build printed, of whose sequences only the colours are left."""
    kept = []
    end = 0
    for found in _COLOUR.finditer(text):
        kept += [_plain(text[end : found.start()]), found[0]]
        end = found.end()
    kept.append(_plain(text[end:]))
    return "".join(kept) + ("\x1b[0m" if end else "")


def whole(text: str) -> str:
    """Return all of an output without its sequences, its control characters as escapes."""
    return _NO_XML.sub(_escape, _plain(text.replace("\r\n", "\n").replace("\r", "\n")))


def output(text: str) -> list[str]:
    """Return the lines of an output fit to be printed; the middle of a long one is cut out."""
    lines = _cut_length(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    while lines and not lines[0].strip():
        lines.pop(0)
    return [_line(line) for line in _cut_lines(lines)]


def _plain(text: str) -> str:
    return _UNSAFE.sub(_escape, _SEQUENCE.sub("", text))


def _cut_length(text: str) -> str:
    if len(text) <= SHOWN_LENGTH_MAX:
        return text
    head, tail = SHOWN_LENGTH_MAX // 4, SHOWN_LENGTH_MAX - SHOWN_LENGTH_MAX // 4
    dropped = len(text) - head - tail
    return f"{text[:head]}\n[... {dropped} characters not shown ...]\n{text[-tail:]}"


def _cut_lines(lines: list[str]) -> list[str]:
    if len(lines) <= SHOWN_LINES_MAX:
        return lines
    # The end of an output tells more of a failure than its beginning.
    head, tail = SHOWN_LINES_MAX // 4, SHOWN_LINES_MAX - SHOWN_LINES_MAX // 4
    gap = f"[... {len(lines) - head - tail} lines not shown ...]"
    return [*lines[:head], gap, *lines[-tail:]]


def _line(text: str) -> str:
    line = _plain(text).expandtabs()
    if len(line) <= SHOWN_LINE_LENGTH_MAX:
        return line
    dropped = len(line) - SHOWN_LINE_LENGTH_MAX
    return f"{line[:SHOWN_LINE_LENGTH_MAX]} [... {dropped} characters not shown ...]"


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if 0xDC80 <= number <= 0xDCFF:  # A byte that was no UTF-8.
        return f"\\x{number - 0xDC00:02x}"
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
