"""Changes to `cluster.toml` that keep all else as it is."""

import pytest

from maelstrom.errors import UserError
from provision.inventory import read_inventory
from provision.inventory_text import TEMPLATE, with_worker, without_worker

TEXT = """\
format = 1
[broker]
host = "a"  # mine
[workers.w1]
host = "b"
# the big one
[workers.w2]
host = "c"
slots = 64
"""


def test_what_is_written_to_begin_with_is_an_inventory() -> None:
    assert [host.name for host in read_inventory(TEMPLATE).hosts] == ["broker", "w1", "w2"]


def test_each_optional_key_of_the_template_may_be_taken_as_it_stands() -> None:
    lines = [
        line.removeprefix("#") if line[:1] == "#" and line[1:2] != " " else line
        for line in TEMPLATE.splitlines()
    ]
    assert read_inventory("\n".join(lines)).host("w1").login.port == 22


def test_a_worker_is_added_at_the_end() -> None:
    text = with_worker(TEXT, "w3", "d", 4)
    assert text.startswith(TEXT)
    assert read_inventory(text).host("w3").worker.slots == 4  # type: ignore[union-attr]


def test_a_worker_that_is_there_is_not_added() -> None:
    with pytest.raises(UserError, match="a worker `w1` already"):
        with_worker(TEXT, "w1", "d", 0)


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("w1", '[workers.w1]\nhost = "b"\n'),
        ("w2", '[workers.w2]\nhost = "c"\nslots = 64\n'),
    ],
)
def test_a_worker_is_removed_with_its_table_only(name: str, gone: str) -> None:
    assert without_worker(TEXT, name) == TEXT.replace(gone, "")


def test_a_worker_that_is_added_and_removed_leaves_nothing() -> None:
    assert without_worker(with_worker(TEXT, "w3", "d", 0), "w3") == TEXT


def test_a_worker_that_is_not_there_is_not_removed() -> None:
    with pytest.raises(UserError, match=r"no table `\[workers.w7\]`"):
        without_worker(TEXT, "w7")
