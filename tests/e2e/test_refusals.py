"""Real programs that cannot be let in, or cannot begin: each is told why, and harms nobody else.

The words are compared, because they are all that whoever is at fault has.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from maelstrom.wire.framing import frame
from maelstrom.wire.greeting import Hello, Role, encode_hello
from tests.support.cluster import ROOT, WAIT_S
from tests.support.secured import Trust

BROKER, WORKER = "maelstrom.cli.broker", "maelstrom.cli.worker"


class Program:
    """A program of ours, and what it says."""

    def __init__(self, told: Path, *command: object) -> None:
        self.told = told
        with told.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *map(str, command)],
                cwd=ROOT,
                stdout=out,
                stderr=out,
                env={**os.environ, "NO_COLOR": "1"},
            )

    def says(self, pattern: str) -> str:
        """Wait until it says something like that; return it."""
        end = time.monotonic() + WAIT_S
        while not (found := re.search(pattern, self.told.read_text())):
            assert time.monotonic() < end, f"{pattern} is not in: {self.told.read_text()}"
            time.sleep(0.02)
        return found[0]

    def ends(self) -> tuple[int, str]:
        """Return its exit status, and all it said."""
        status = self.process.wait(WAIT_S)
        told = self.told.read_text()
        assert "Traceback" not in told, told
        return status, told

    def close(self) -> None:
        """End it as an operator would."""
        if self.process.poll() is None:
            self.process.terminate()
        self.ends()


class House:
    """A broker with TLS, and whoever comes; `close` sees that all end well."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.trust = Trust(directory)
        self.programs: list[Program] = []
        self.broker = self.add(
            *(BROKER, "--listen", "127.0.0.1:0", "--store", directory / "store"),
            *("--identity", self.trust.issue("broker/main")),
        )
        self.address = self.broker.says(r"127\.0\.0\.1:\d+")

    def add(self, *command: object) -> Program:
        """Start a program."""
        program = Program(self.directory / f"{len(self.programs)}.told", *command)
        self.programs.append(program)
        return program

    def worker(self, identity: Path, *first: object) -> Program:
        """Start a worker with a certificate."""
        store = self.directory / f"worker{len(self.programs)}"
        words = ("--broker", self.address, "--identity", identity, "--store", store)
        return self.add(*first, WORKER, "--slots", 1, *words)

    def admin(self) -> str:
        """Return what an operator hears, who is welcome."""
        identity = self.trust.issue("admin/eve")
        command = ("status", "--broker", self.address, "--identity", identity)
        status, told = self.add("maelstrom.cli.admin", *command).ends()
        assert status == 0, told
        return told

    def close(self) -> None:
        """End all."""
        for program in reversed(self.programs):
            program.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def test_who_has_the_wrong_certificate_is_told_so_on_both_ends(house: House) -> None:
    status, told = house.worker(house.trust.issue("client/ann")).ends()
    assert status != 0
    assert "of client/ann has the wrong role: this needs worker" in told
    (house.directory / "others").mkdir()
    stranger = Trust(house.directory / "others").issue("worker/alpha")
    worker = house.worker(stranger)
    worker.says("has a certificate of another authority than ours")
    worker.close()
    status, told = house.worker(house.trust.issue("worker/old", begun=timedelta(days=9))).ends()
    assert status != 0
    assert re.search(r"of worker/old expired at .* UTC; it is .* here, 2 d 0 h later", told), told
    assert "0 running" in house.admin()


@pytest.mark.parametrize(
    ("skew_s", "reason"),
    [
        (3600 * 24 * 8, r"expired at .* here, 1 d 0 h later"),
        (-4800, r"is not valid before .* here, 1 h \d+ min earlier"),
    ],
)
def test_a_worker_whose_clock_is_wrong_is_told_by_how_much(
    skew_s: int, reason: str, house: House
) -> None:
    offset = house.directory / "offset"
    offset.write_text(str(skew_s))
    identity = house.trust.issue("worker/alpha")
    status, told = house.worker(identity, "tests.support.skewed", offset).ends()
    assert status != 0
    assert re.search(reason, told), told
    assert "clock" in told
    assert "0 running" in house.admin()


def test_a_worker_that_comes_from_the_future_is_told_what_time_it_is_here(house: House) -> None:
    """Its certificate is good by its own clock, as the authority's is as wrong."""
    offset = house.directory / "offset"
    offset.write_text("3600")
    identity = house.trust.issue("worker/alpha", begun=timedelta(hours=-1))
    told = house.worker(identity, "tests.support.skewed", offset)
    told.says(r"of worker/alpha is not valid before .* UTC; it is .* here, (50|4\d) min earlier")
    house.broker.says(r"of worker/alpha is not valid before .* min earlier")
    assert told.ends()[0] != 0


def test_a_second_worker_of_one_name_is_refused_and_the_first_stays(house: House) -> None:
    identity = house.trust.issue("worker/alpha")
    first = house.worker(identity)
    house.broker.says("worker joined")
    status, told = house.worker(identity).ends()
    assert status != 0
    assert re.search(r"worker/alpha is here already, from worker/alpha at 127\.0\.0\.1:", told), (
        told
    )
    assert "every worker needs a certificate of its own" in told
    assert re.search(r"worker +alpha .*0/1 slots", house.admin())
    assert first.process.poll() is None


def test_a_broker_of_an_older_version_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"plain:127.0.0.1:{listening.getsockname()[1]}"
        words = ("--broker", address, "--slots", 1, "--store", tmp_path / "store")
        worker = Program(tmp_path / "told", WORKER, *words)
        listening.settimeout(WAIT_S)
        sock, _ = listening.accept()
        with sock:
            sock.sendall(frame(encode_hello(Hello(0, 0, Role.BROKER, "0.0.1"))))
            status, told = worker.ends()
    assert status != 0
    assert re.search(r"worker .* and broker 0\.0\.1 \(protocol 0\) do not understand", told), told
    assert "upgrade the broker to" in told


def test_a_taken_port_is_named(house: House) -> None:
    identity = house.trust.issue("broker/main")
    words = ("--listen", house.address, "--identity", identity)
    status, told = house.add(BROKER, *words, "--store", house.directory / "other").ends()
    assert (status, f"cannot listen on {house.address}: Address already in use" in told) == (
        3,
        True,
    )
    assert "0 running" in house.admin()


def test_a_store_that_another_broker_uses_is_refused(house: House) -> None:
    words = ("--listen", "plain:127.0.0.1:0", "--store", house.directory / "store")
    status, told = house.add(BROKER, *words).ends()
    assert status == 3
    assert "is another broker using it?" in told
    assert "0 running" in house.admin()


def test_a_store_of_another_format_is_made_anew_only_if_nobody_uses_it(tmp_path: Path) -> None:
    first = House(tmp_path)
    (tmp_path / "store" / "format").write_text("999")
    journal = ("--journal", tmp_path / "journal.sqlite")
    words = ("--listen", "plain:127.0.0.1:0", "--store", tmp_path / "store", *journal)
    status, told = first.add(BROKER, *words).ends()
    assert status == 3
    assert "of format 999 is in use by another program" in told
    first.close()
    second = first.add(BROKER, *words)
    second.says("listening")
    first.close()
    assert (tmp_path / "store" / "format").read_text() != "999"


def test_a_directory_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    words = ("--listen", "plain:127.0.0.1:0", "--store", tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path))
        status, told = Program(tmp_path / "told", BROKER, *words).ends()
    assert status == 3
    assert "is not empty and not a store of ours" in told
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_damaged_journal_is_named_with_the_remedy(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    journal.write_bytes(b"SQLite format 3\0" + b"noise" * 3000)
    words = ("--listen", "plain:127.0.0.1:0", "--store", tmp_path / "store", "--journal", journal)
    status, told = Program(tmp_path / "told", BROKER, *words).ends()
    assert status == 3
    assert f"cannot use `{journal}`" in told
    assert "hint" in told
