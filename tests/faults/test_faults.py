"""Real programs on a network of their own are harmed while they work: no job is lost or told twice.

Each story takes up to two minutes, so they are not run with the others, but by `nox -s faults`.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.lab import Host, Lab, signal_all, whats_missing
from tests.support.cluster import static_program

COUNT = int(os.environ.get("MAELSTROM_FAULT_JOBS", "10000"))
DONE_S_MAX = 240.0
DAY_S = 24 * 3600
FLOOD = 1_000_000
FLOOD_S_MAX = 200.0
FLOOD_BYTES_MAX = 3 << 30
PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    usleep(1000 * atoi(argv[2]));
    printf("%s\\n", argv[1]);
    return 0;
}
"""

pytestmark = pytest.mark.skipif(bool(whats_missing()), reason=whats_missing())


class Scene:
    """What a story has to do with."""

    def __init__(self, lab: Lab, program: Path) -> None:
        self.lab = lab
        self.broker = lab.broker
        self.program = program
        self.worker, self.other_worker = lab.add_worker(), lab.add_worker()
        self.client = lab.add_client(program, COUNT, 400, 2)

    def restart(self, host: Host, how: signal.Signals, after_s: float = 1.0) -> None:
        """End a program, and start it again."""
        host.send(how)
        time.sleep(after_s)
        host.start()

    def stop(self, host: Host, seconds: float) -> None:
        """Let a program and all it started stand still for a while."""
        pids = host.pids()
        signal_all(pids, signal.SIGSTOP)
        time.sleep(seconds)
        signal_all(pids, signal.SIGCONT)

    def stop_slots(self, seconds: float) -> None:
        """Let the slots of a worker stand still, and nothing else of it."""
        slots = self.worker.slots()
        signal_all(slots, signal.SIGSTOP)
        time.sleep(seconds)
        signal_all(slots, signal.SIGCONT)

    def cut(self, host: Host, seconds: float) -> None:
        """Pull the plug of a host for a while."""
        host.cut()
        time.sleep(seconds)
        host.mend()

    def filter(self, host: Host, seconds: float, rule: str, *, hook: str = "input") -> None:
        """Let the network of a host be bad for a while."""
        host.filter(rule, hook=hook)
        time.sleep(seconds)
        host.mend()

    def kill_slots(self, host: Host, count: int) -> None:
        """Kill a slot, again and again."""
        for number in range(count):
            slots = host.slots()
            if slots:
                signal_all([slots[number % len(slots)]], signal.SIGKILL)
            time.sleep(0.3)

    def fill_disk(self, directory: Path, seconds: float) -> None:
        """Let there be no room where a program keeps its store, and its journal."""
        filler = directory / "filler"
        with filler.open("wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
                    file.flush()
            except OSError:
                pass
        time.sleep(seconds)
        filler.unlink()

    def fill_workers_disk(self) -> None:
        """Let there be no room at a worker when another client comes with a layer of its own."""
        program = self.lab.directory / "other" / "say"
        program.parent.mkdir()
        program.write_bytes(self.program.read_bytes() + bytes(1 << 20))
        program.chmod(0o755)
        other: list[Host] = []
        begin = threading.Timer(
            1.0, lambda: other.append(self.lab.add_client(program, COUNT // 10, 100, 2))
        )
        begin.start()
        self.fill_disk(self.lab.directory / self.worker.name, 15)
        begin.join()
        # What the worker without room failed was tried at the other one.
        found = self.lab.result(other[0], DONE_S_MAX)
        assert found == {"told": COUNT // 10, "twice": [], "wrong": {}}

    def kill_another_client(self) -> None:
        """Let a client come, have much to do, and be gone without a word."""
        other = self.lab.add_client(self.program, COUNT, 400, 2)
        while self.lab.progress(other) < COUNT // 20:
            time.sleep(0.1)
        other.send(signal.SIGKILL)

    def step_clocks(self) -> None:
        """Let the time of day jump at each program in turn, far and back; plugs are pulled too."""
        for host in (self.broker, self.worker, self.client):
            for ahead_s in (3600, -3600, 2 * DAY_S, -DAY_S):
                host.set_clock(ahead_s)
                time.sleep(0.5)
                self.cut(host, 0.5)
                time.sleep(2)
            host.set_clock(0)

    def flood(self) -> None:
        """Let a client submit a million jobs, and read nothing."""
        flooder = self.lab.add_flooder(FLOOD)
        self.lab.wait_for(flooder, "all sent", FLOOD_S_MAX)
        assert self.broker.memory_bytes() < FLOOD_BYTES_MAX, self.broker.memory_bytes()
        flooder.send(signal.SIGKILL)

    def everything(self) -> None:
        """Let it rain for a minute."""
        dice = random.Random(7)
        hosts = [self.broker, self.worker, self.other_worker]
        end = time.monotonic() + 60
        while time.monotonic() < end:
            host = dice.choice(hosts)
            what = dice.randrange(4)
            if what == 0:
                self.restart(host, signal.SIGKILL, dice.random())
            elif what == 1:
                self.cut(dice.choice([*hosts, self.client]), dice.uniform(0.2, 10))
            elif what == 2:
                self.stop(host, dice.uniform(0.2, 10))
            else:
                self.kill_slots(self.worker, 2)
            time.sleep(dice.uniform(0.5, 3))


STORIES: dict[str, Callable[[Scene], None]] = {
    "nothing": lambda s: None,
    "broker killed": lambda s: s.restart(s.broker, signal.SIGKILL),
    "broker killed three times": lambda s: (
        [s.restart(s.broker, signal.SIGKILL, 0.2) or time.sleep(2) for _ in range(3)] and None
    ),
    "broker ended": lambda s: s.restart(s.broker, signal.SIGTERM),
    "broker stopped": lambda s: s.stop(s.broker, 15),
    "worker killed": lambda s: s.restart(s.worker, signal.SIGKILL),
    "worker ended": lambda s: s.restart(s.worker, signal.SIGTERM),
    "worker stopped": lambda s: s.stop(s.worker, 20),
    "slots killed": lambda s: s.kill_slots(s.worker, 8),
    "client's plug pulled for 1 s": lambda s: s.cut(s.client, 1),
    "client's plug pulled for 60 s": lambda s: s.cut(s.client, 60),
    "worker's plug pulled for 1 s": lambda s: s.cut(s.worker, 1),
    "worker's plug pulled for 20 s": lambda s: s.cut(s.worker, 20),
    "broker's plug pulled for 20 s": lambda s: s.cut(s.broker, 20),
    "nothing reaches a worker": lambda s: s.filter(s.worker, 20, "drop"),
    "nothing leaves a worker": lambda s: s.filter(
        s.worker, 20, "tcp dport 9001 drop", hook="output"
    ),
    "a third of all packets lost": lambda s: s.filter(
        s.broker, 20, "numgen random mod 100 < 33 drop"
    ),
    "all connections reset": lambda s: s.filter(
        s.broker, 5, "tcp dport 9001 reject with tcp reset"
    ),
    "another client killed": lambda s: s.kill_another_client(),
    "client stopped": lambda s: s.stop(s.client, 15),
    "slots stopped": lambda s: s.stop_slots(15),
    "all clocks step": lambda s: s.step_clocks(),
    "a million jobs of one who reads nothing": lambda s: s.flood(),
    "worker's disk full": lambda s: s.fill_workers_disk(),
    "broker's disk full": lambda s: s.fill_disk(s.lab.disk, 15),
    "everything": lambda s: s.everything(),
}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    program = static_program(tmp_path, PROGRAM)
    lab = Lab(tmp_path)
    try:
        yield Scene(lab, program)
    finally:
        lab.close()


@pytest.mark.parametrize("story", STORIES)
def test_every_job_is_told_once_and_rightly(story: str, scene: Scene) -> None:
    end = time.monotonic() + 60
    while scene.lab.progress(scene.client) < COUNT // 10:
        assert time.monotonic() < end, scene.client.told.read_text()
        assert scene.client.process is not None
        assert scene.client.process.poll() is None, scene.client.told.read_text()
        time.sleep(0.1)
    STORIES[story](scene)
    assert scene.lab.result(scene.client, DONE_S_MAX) == {"told": COUNT, "twice": [], "wrong": {}}
    for host in (scene.broker, scene.worker, scene.other_worker):
        told = host.told.read_text()
        assert "Traceback" not in told, told
        assert host.process is not None
        assert host.process.poll() is None, f"{host.name} ended: {told}"
