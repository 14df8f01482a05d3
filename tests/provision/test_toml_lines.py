"""Where a key stands in a TOML text."""

import pytest

from provision.toml_lines import line_of, lines_of

TEXT = '''\
format = 1
[ssh]  # what holds for all
user = "ann"

[workers.w1]
host = "a"
notes = """
host = "not a key"
[workers.w9]
"""
slots = 2
[workers."w-2"]
login.user = "bob"
'''

TABLE = {
    ("format",): 1,
    ("ssh",): 2,
    ("ssh", "user"): 3,
    ("workers",): 5,
    ("workers", "w1", "host"): 6,
    ("workers", "w1", "slots"): 11,
    ("workers", "w-2"): 12,
    ("workers", "w-2", "login"): 13,
    ("workers", "w-2", "login", "user"): 13,
}


@pytest.mark.parametrize("path", TABLE, ids=".".join)
def test_a_key_is_found_on_its_line(path: tuple[str, ...]) -> None:
    assert lines_of(TEXT)[path] == TABLE[path]


def test_what_looks_like_a_table_in_a_string_is_none() -> None:
    assert ("workers", "w9") not in lines_of(TEXT)


def test_a_key_that_is_not_there_is_looked_for_around_it() -> None:
    assert line_of(lines_of(TEXT), ("workers", "w1", "missing")) == 5
    assert line_of(lines_of(TEXT), ("nothing",)) == 1
