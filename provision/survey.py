"""Connect to hosts and ask what they have, all at the same time; who fails is left out."""

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from maelstrom.errors import MaelstromError
from provision.facts import Facts
from provision.inventory import Host, Inventory
from provision.machine import HostTaken, Machine, Passwords
from provision.parallel import in_parallel
from provision.ssh import Keyring, UnknownHostKey, connect


@dataclass(slots=True)
class Survey:
    """What is known of the hosts: those that answered, and why the others did not."""

    machines: dict[str, Machine] = field(default_factory=dict)
    facts: dict[str, Facts] = field(default_factory=dict)
    offsets_s: dict[str, float] = field(default_factory=dict)
    failures: dict[str, MaelstromError] = field(default_factory=dict)

    def fail(self, name: str, error: MaelstromError) -> None:
        """Leave a host out from now on."""
        self.failures.setdefault(name, error)
        self.facts.pop(name, None)

    def close(self) -> None:
        """End all connections: what runs on the hosts ends after the change it is at."""
        for machine in self.machines.values():
            machine.close()


def connect_all(
    hosts: Iterable[Host],
    keyring: Keyring,
    passwords: Passwords,
    accept: Callable[[Host, UnknownHostKey], bool],
    stack: ExitStack,
) -> Survey:
    """Connect to the hosts; `accept` is asked about each one that was never met."""
    survey = Survey()
    by_name = {host.name: host for host in hosts}

    def reach(name: str) -> Machine:
        host = by_name[name]
        remote = connect(host.login, keyring)
        stack.callback(remote.close)
        return Machine(host, remote, passwords)

    names = list(by_name)
    while names:
        machines, errors = in_parallel(reach, names)
        survey.machines |= machines
        names = []
        for name, error in errors.items():
            if isinstance(error, UnknownHostKey) and accept(by_name[name], error):
                names.append(name)
            else:
                survey.fail(name, error)
    # In the inventory's order, whichever was the quickest.
    survey.machines = {name: survey.machines[name] for name in by_name if name in survey.machines}
    return survey


def ask_all(survey: Survey, inventory: Inventory) -> None:
    """Gather the facts of all hosts that are connected."""

    def ask(name: str) -> tuple[Facts, float]:
        before = time.time()
        facts = survey.machines[name].facts((inventory.broker.address,))
        # It looked at its clock at some moment between these two: no difference can be seen there.
        return facts, facts.clock_s - min(max(facts.clock_s, before), time.time())

    results, errors = in_parallel(ask, survey.machines)
    for name, (facts, offset_s) in results.items():
        survey.facts[name] = facts
        survey.offsets_s[name] = offset_s
    for name, error in errors.items():
        survey.fail(name, error)


def lock_all(survey: Survey, stack: ExitStack) -> None:
    """Keep other operators off all hosts that are connected; raises when one is at it."""

    def lock(name: str) -> None:
        stack.enter_context(survey.machines[name].locked())

    _, errors = in_parallel(lock, survey.machines)
    for name, error in errors.items():
        if isinstance(error, HostTaken):
            raise error
        survey.fail(name, error)
