"""Time the operator on hosts booted here: `python -m tests.provision.lab.measure HOSTS DELAY_S`.

Prints seconds as JSON: of the clock, of the processors for the operator's program (`up operator`),
and of those for all hosts (`up hosts`). The hosts share the processors of this machine with one
another and with the operator, which real ones do not.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from provision.wheelhouse import Target, gather
from tests.provision.lab import cgroups
from tests.provision.lab.delay import FIRST_PORT
from tests.provision.lab.image import image
from tests.provision.lab.lab import Lab
from tests.provision.lab.operator import PROJECT, Operator

PASSES = 3


def measure(count: int, delay_s: float) -> dict[str, list[float]]:
    """Return how long each command took, each time."""
    # Here is a network; the controller has none.
    gather(Target((3, 11), "x86_64"))
    times: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as directory,
        Lab([image("bookworm")] * count) as lab,
        _delay(lab, delay_s) as relay,
    ):
        try:
            operator = Operator(lab, Path(directory, "cluster"))
            _write(operator, lab)
            for _ in range(PASSES):
                for name, verb, *words in (
                    ("up", "up", "--yes", "--no-diff"),
                    ("unchanged", "up", "--yes", "--no-diff"),
                    ("status", "status"),
                    ("down", "down", "--yes", "--no-diff"),
                ):
                    before = _used(lab)
                    said = operator.run(verb, *words)
                    assert said.status == 0, said
                    used = (after - then for after, then in zip(_used(lab), before, strict=True))
                    for key, seconds in zip(
                        (name, f"{name} operator", f"{name} hosts"), (said.seconds, *used),
                        strict=True,
                    ):  # fmt: skip
                        times.setdefault(key, []).append(seconds)
        finally:
            relay.kill()
    return times


def _used(lab: Lab) -> tuple[float, float]:
    """Return the seconds of processors of our children that have ended, and of all hosts."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime, cgroups.cpu_s(lab.network.prefix)


def _delay(lab: Lab, delay_s: float) -> subprocess.Popen[str]:
    addresses = [host.address for host in lab.hosts]
    command = [sys.executable, "-m", "tests.provision.lab.delay", str(delay_s), *addresses]
    relay = subprocess.Popen(lab.command(*command), cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert relay.stdout is not None
    relay.stdout.readline()
    return relay


def _write(operator: Operator, lab: Lab) -> None:
    """Write an inventory of hosts that are reached by way of the delay."""
    lines = ["format = 1", "[ssh]", 'user = "admin"', f'key = "{lab.key}"',
             f'known_hosts = "{operator.known_hosts}"']  # fmt: skip
    known = []
    for number, host in enumerate(lab.hosts):
        lines += ["[broker]", f'address = "{host.address}"'] if not number else []
        lines += [f"[workers.w{number}]", "slots = 2"] if number else []
        lines += ['host = "127.0.0.1"', f"ssh_port = {FIRST_PORT + number}"]
        known.append(f"[127.0.0.1]:{FIRST_PORT + number} {host.host_key}\n")
    operator.known_hosts.write_text("".join(known))
    operator.inventory.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    found = measure(int(sys.argv[1]), float(sys.argv[2]))
    print(json.dumps(found), file=sys.stderr)
