"""Match paths against patterns: globs and ignore rules.

In a pattern `*` and `?` stand for anything but a slash, `[ab]`, `[a-z]` and `[!a]` for one
character, `**` as a whole name for any number of names, `{a,b}` for either; a backslash takes the
next character as it is. A `**` at the end stands for at least one name.
"""

import re
from collections.abc import Iterable, Sequence

from maelstrom.errors import LayerError

EXPANSIONS_MAX = 10_000
ANY_DEPTH = "**"


def expand_braces(pattern: str) -> list[str]:
    """Return the patterns that `{a,b}` stands for, in order; backslashes stay."""
    results, rest = _expand(pattern, 0, nested=False)
    assert rest == len(pattern), "an expansion ends at the end"
    return list(dict.fromkeys(results))


def _expand(pattern: str, at: int, *, nested: bool) -> tuple[list[str], int]:
    """Expand up to the end, or to the comma or brace that ends a nested part."""
    results = [""]
    while at < len(pattern):
        char = pattern[at]
        if nested and char in ",}":
            return results, at
        if char == "{":
            choices, at = _expand_choices(pattern, at + 1)
            if len(results) * len(choices) > EXPANSIONS_MAX:
                raise LayerError(f"`{pattern[:80]}` stands for more than {EXPANSIONS_MAX} paths")
            results = [left + right for left in results for right in choices]
            continue
        if char == "}":
            raise LayerError(f"`{pattern}` has a `}}` without its `{{`")
        if char == "\\" and at + 1 < len(pattern):
            char = pattern[at : at + 2]
        results = [left + char for left in results]
        at += len(char)
    if nested:
        raise LayerError(f"`{pattern}` has a `{{` without its `}}`")
    return results, at


def _expand_choices(pattern: str, at: int) -> tuple[list[str], int]:
    choices: list[str] = []
    while True:
        some, at = _expand(pattern, at, nested=True)
        choices += some
        at += 1
        if pattern[at - 1] == "}":
            return choices, at


def unescape(text: str) -> str:
    """Remove the backslashes that take the next character as it is."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _name_regex(pattern: str) -> re.Pattern[str]:
    """Translate the pattern of one name."""
    parts = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            parts.append(".*")
        elif char == "?":
            parts.append(".")
        elif char == "\\" and at < len(pattern):
            parts.append(re.escape(pattern[at]))
            at += 1
        elif char == "[":
            end = pattern.find("]", at + 1 + (pattern[at : at + 1] in ("!", "^")))
            if end < 0:
                raise LayerError(f"`{pattern}` has a `[` without its `]`")
            parts.append(_class_regex(pattern[at:end]))
            at = end + 1
        else:
            parts.append(re.escape(char))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error as error:
        raise LayerError(f"`{pattern}` is not a pattern: {error}") from error


def _class_regex(inner: str) -> str:
    negation = "^" if inner[:1] in ("!", "^") else ""
    inner = inner[1:] if negation else inner
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner)
    return f"[{negation}{escaped}]"


States = frozenset[int]


class Glob:
    """One pattern without braces, matched name by name so that hopeless directories are skipped."""

    def __init__(self, pattern: str) -> None:
        self._names = [part for part in pattern.split("/") if part not in ("", ".")]
        if not self._names or ".." in self._names:
            raise LayerError(f"`{pattern}` is not a pattern of paths", hint="`..` is not possible")
        self._regexes = [None if name == ANY_DEPTH else _name_regex(name) for name in self._names]

    @property
    def start(self) -> States:
        """The states before the first name."""
        return self._closed({0})

    def _closed(self, states: set[int]) -> States:
        last = len(self._names) - 1
        for state in range(last):
            if state in states and self._regexes[state] is None:
                states.add(state + 1)
        return frozenset(states)

    def step(self, states: States, name: str) -> States:
        """Return the states after one more name; none means that nothing below can match."""
        after: set[int] = set()
        for state in states:
            if state == len(self._names):
                continue
            regex = self._regexes[state]
            if regex is None:
                after.add(state)
                if state == len(self._names) - 1:
                    after.add(state + 1)
            elif regex.fullmatch(name):
                after.add(state + 1)
        return self._closed(after)

    def accepts(self, states: States) -> bool:
        """Whether the names so far are a match."""
        return len(self._names) in states

    def matches(self, path: str) -> bool:
        """Whether a relative path matches."""
        states = self.start
        for name in path.split("/"):
            states = self.step(states, name)
        return self.accepts(states)


class _Rule:
    def __init__(self, line: str) -> None:
        self.is_kept = line.startswith("!")
        text = line[1:] if self.is_kept else line
        self.is_directory_only = text.endswith("/")
        text = text.rstrip("/")
        is_anywhere = "/" not in text
        self.globs = [
            Glob(f"{ANY_DEPTH}/{item}" if is_anywhere else item) for item in expand_braces(text)
        ]

    def matches(self, path: str, is_directory: bool) -> bool:
        if self.is_directory_only and not is_directory:
            return False
        return any(glob.matches(path) for glob in self.globs)


class Ignore:
    """Rules as in .gitignore; the last one that matches decides, and `!` takes a path back.

    A rule with a slash before its end starts at `base`, other rules match a name at any depth; a
    slash at the end means directories only.
    """

    def __init__(self, lines: Iterable[str], *, base: str = "") -> None:
        self._rules = [_Rule(line) for line in lines if line.strip("/!")]
        self._base = base.rstrip("/") + "/" if base else ""

    def matches(self, path: str, *, is_directory: bool) -> bool:
        """Whether this path is left out."""
        path = path.removeprefix(self._base).strip("/")
        for rule in reversed(self._rules):
            if rule.matches(path, is_directory):
                return not rule.is_kept
        return False


def globs(pattern: str) -> Sequence[Glob]:
    """Return the globs a pattern with braces stands for."""
    return [Glob(item) for item in expand_braces(pattern)]
