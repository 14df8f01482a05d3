import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maelstrom.errors import LayerError
from maelstrom.layers.pattern import Glob, Ignore, expand_braces, globs, unescape

UNSAVED = settings(database=None, max_examples=300)

MATCHES = [
    ("*.c", "a.c", True),
    ("*.c", ".c", True),
    ("*.c", "d/a.c", False),
    ("**/*.c", "a.c", True),
    ("**/*.c", "d/e/a.c", True),
    ("d/**", "d/a", True),
    ("d/**", "d/e/a", True),
    ("d/**", "d", False),
    ("**", "a/b", True),
    ("d/**/e", "d/e", True),
    ("d/**/e", "d/x/y/e", True),
    ("a?c", "abc", True),
    ("a?c", "a/c", False),
    ("[a-c]x", "bx", True),
    ("[!a-c]x", "bx", False),
    ("[]x]", "]", True),
    ("./a", "a", True),
    (r"\*", "*", True),
    (r"\*", "a", False),
    ("{a,b/**}/c", "b/x/c", True),
    ("{a,b}.{c,h}", "b.h", True),
    ("a*", "a\nb", True),
    ("a.c", "abc", False),
    ("**a", "xa", True),
]


@pytest.mark.parametrize(("pattern", "path", "is_match"), MATCHES)
def test_a_glob_matches_as_told(pattern: str, path: str, is_match: bool) -> None:
    assert any(glob.matches(path) for glob in globs(pattern)) is is_match


def reference(pattern: str) -> re.Pattern[str]:
    """The same language as one regular expression over the whole path."""
    names = pattern.split("/")
    text = ""
    for number, name in enumerate(names):
        is_last = number == len(names) - 1
        if name == "**":
            text += "[^/]+(/[^/]+)*" if is_last else "([^/]+/)*"
            continue
        for char in name:
            text += {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char))
        text += "" if is_last else "/"
    return re.compile(text, re.DOTALL)


NAME = st.text("ab", min_size=1, max_size=3)
WILD = st.one_of(st.just("**"), st.text("ab*?", min_size=1, max_size=3))


@UNSAVED
@given(st.lists(WILD, min_size=1, max_size=4), st.lists(NAME, min_size=1, max_size=5))
def test_a_glob_agrees_with_a_regular_expression(names: list[str], parts: list[str]) -> None:
    pattern, path = "/".join(names), "/".join(parts)
    expected = reference(pattern).fullmatch(path) is not None
    assert Glob(pattern).matches(path) is expected


@UNSAVED
@given(st.lists(WILD, min_size=1, max_size=4), st.lists(NAME, min_size=2, max_size=5))
def test_no_directory_with_a_match_in_it_is_given_up(names: list[str], parts: list[str]) -> None:
    glob = Glob("/".join(names))
    if glob.matches("/".join(parts)):
        states = glob.start
        for part in parts[:-1]:
            states = glob.step(states, part)
            assert states


@pytest.mark.parametrize(
    ("pattern", "expanded"),
    [
        ("/{proc,sys}/", ["/proc/", "/sys/"]),
        ("{a,b}{c,d}", ["ac", "ad", "bc", "bd"]),
        ("{a,{b,c}d}", ["a", "bd", "cd"]),
        ("{,x}", ["", "x"]),
        ("{a,a}", ["a"]),
        (r"\{a,b}", None),
        (r"\{a,b\}", [r"\{a,b\}"]),
        ("{a", None),
        ("a}", None),
        ("{a,b}" * 20, None),
    ],
)
def test_braces_stand_for_each_of_their_parts(pattern: str, expanded: list[str] | None) -> None:
    if expanded is None:
        with pytest.raises(LayerError):
            expand_braces(pattern)
    else:
        assert expand_braces(pattern) == expanded


def test_a_backslash_is_removed_at_the_end() -> None:
    assert unescape(r"\{a\\b\}") == r"{a\b}"


@pytest.mark.parametrize("pattern", ["", "/", "../x", "a/../b", "[a", "[z-a]"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(LayerError):
        Glob(pattern)


IGNORED = [
    (["*.o"], "a/b.o", False, True),
    (["*.o", "!keep.o"], "a/keep.o", False, False),
    (["build/"], "x/build", True, True),
    (["build/"], "x/build", False, False),
    (["/top"], "top", False, True),
    (["/top"], "x/top", False, False),
    (["a/b"], "a/b", False, True),
    (["a/b"], "x/a/b", False, False),
    (["{x,y}"], "d/y", False, True),
    ([], "a", False, False),
    (["", "!"], "a", False, False),
]


@pytest.mark.parametrize(("lines", "path", "is_directory", "is_ignored"), IGNORED)
def test_ignore_rules_are_those_of_gitignore(
    lines: list[str], path: str, is_directory: bool, is_ignored: bool
) -> None:
    assert Ignore(lines).matches(path, is_directory=is_directory) is is_ignored


def test_rules_for_an_absolute_directory_start_there() -> None:
    ignore = Ignore(["/x"], base="/srv/data")
    assert ignore.matches("/srv/data/x", is_directory=False)
    assert not ignore.matches("/srv/data/y/x", is_directory=False)
