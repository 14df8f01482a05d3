"""Carry plans out, in an order that keeps the cluster working.

Rules of this file:
1. All hosts are prepared at once: nothing that runs notices it.
2. The broker's host is switched first; a broker speaks with workers of the version before it.
3. Workers that do not run yet are switched at once; those that run, one after the other, each
   stopped only when the one before it is back.
4. A release that runs is not changed anywhere when a host could not be prepared for it.
5. A host stops at its first failure. Where daemons ran before, they get back what they ran with;
   and when a release was changed, so do all hosts that were switched before.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from maelstrom.errors import InfrastructureError, MaelstromError
from provision.actions import (
    Action,
    Certify,
    InstallCertificate,
    InstallRelease,
    RequestCertificate,
    SwitchRelease,
)
from provision.facts import Facts
from provision.parallel import in_parallel
from provision.plan import Change, HostPlan
from provision.script import ChangeFailed, Step

_REQUEST = re.compile(
    "-----BEGIN CERTIFICATE REQUEST-----.*?-----END CERTIFICATE REQUEST-----\n", re.DOTALL
)


class Changing(Protocol):
    """A host that can be changed."""

    def send(self, action: InstallRelease, archive: bytes) -> None:
        """Send a release."""

    def apply(self, actions: list[Action], on_step: Callable[[Step], None]) -> str:
        """Make changes in order until one fails; return what they wrote besides."""


@dataclass(slots=True)
class Rollout:
    """One run of plans over hosts."""

    machines: Mapping[str, Changing]
    facts: Mapping[str, Facts]
    interrupt: Callable[[], None]  # Ends what is being done.
    plans: Mapping[str, HostPlan]
    archives: Mapping[str, Path]  # The releases to send, by host.
    broker: str
    certify: Callable[[str, Certify, str], str]  # Host, what for, request in; certificate out.
    releases: Mapping[str, str]
    trust: tuple[str, str]  # The authority's certificate, and its list of revoked ones.
    say: Callable[[str], None]
    failures: dict[str, MaelstromError] = field(default_factory=dict)
    _done: dict[str, int] = field(default_factory=dict)
    _switched: list[str] = field(default_factory=list)

    def run(self) -> dict[str, MaelstromError]:
        """Do all of it; return what went wrong by host."""
        self._on_all(self._prepare, list(self.plans))
        if self.failures and self._changes_release():
            self._hold(list(self.plans), f"{next(iter(self.failures))} could not be prepared")
            return self.failures
        self._switch_broker()
        at_once, in_turn = self._turns()
        self._on_all(self._switch, at_once)
        for number, name in enumerate(in_turn):
            self._on_all(self._switch, [name])
            if name in self.failures:
                self._hold(in_turn[number + 1 :], f"{name} did not come up")
                break
        if self.failures and self._changes_release():
            self._all_back()
        self._on_all(self._clean, list(self.plans))
        return self.failures

    def _on_all(self, work: Callable[[str], None], names: list[str]) -> None:
        names = [name for name in names if name not in self.failures]
        _, errors = in_parallel(work, names, self.interrupt)
        self.failures |= errors

    def _hold(self, names: list[str], reason: str) -> None:
        for name in names:
            if name not in self.failures and self.plans[name].switch:
                self.failures[name] = InfrastructureError(f"not changed, because {reason}")

    def _turns(self) -> tuple[list[str], list[str]]:
        """Return the hosts that may be switched at once, and those that take turns."""
        others = [name for name in self.plans if name != self.broker]
        in_turn = [
            name
            for name in others
            if any(self._runs(name, unit) for unit in self.plans[name].restarts)
        ]
        return [name for name in others if name not in in_turn], in_turn

    def _runs(self, name: str, unit: str) -> bool:
        state = self.facts[name].units.get(unit)
        return state is not None and state.is_active

    def _prepare(self, name: str) -> None:
        plan = self.plans[name]
        if plan.installs is not None:
            self.machines[name].send(plan.installs, self.archives[name].read_bytes())
        wants = [change.action for change in plan.certify if isinstance(change.action, Certify)]
        release = self.releases.get(name, "")
        # In one go: each script costs some round trips.
        asked = [RequestCertificate(each.role, each.name, release) for each in wants]
        said = self._change(name, plan.prepare, *asked)
        requests = _REQUEST.findall(said)
        if len(requests) != len(wants):
            who = ", ".join(f"{want.role}/{want.name}" for want in wants)
            raise InfrastructureError(f"it made {len(requests)} requests for certificates of {who}")
        for want, request in zip(wants, requests, strict=True):
            signed = self.certify(name, want, request)
            self._do(name, [InstallCertificate(want.role, release, signed, *self.trust)])
            self._done[name] += 1

    def _switch_broker(self) -> None:
        if self.broker not in self.plans:
            return
        if self.broker not in self.failures:
            self._on_all(self._switch, [self.broker])
        if self.broker in self.failures:
            self._hold(list(self.plans), "the broker's host failed")

    def _switch(self, name: str) -> None:
        try:
            self._change(name, self.plans[name].switch)
        except MaelstromError as error:
            raise self._back(name, error) from error
        self._switched.append(name)

    def _back(self, name: str, error: MaelstromError) -> MaelstromError:
        """Give a host back what it ran with; return what to tell."""
        back = self.plans[name].back
        if not back:
            return error
        try:
            self._do(name, list(back))
        except MaelstromError as again:
            return InfrastructureError(
                f"{error.message}; and it cannot go back: {again.message}", hint=error.hint
            )
        return InfrastructureError(f"{error.message}; it runs what it ran before", hint=error.hint)

    def _changes_release(self) -> bool:
        return any(
            isinstance(action, SwitchRelease)
            for plan in self.plans.values()
            for action in plan.back
        )

    def _all_back(self) -> None:
        """Give all that were switched back what they ran with, the broker last."""
        for name in reversed(self._switched):
            if self.plans[name].back:
                why = InfrastructureError("changed, and then put back because another host failed")
                self.failures[name] = self._back(name, why)

    def _clean(self, name: str) -> None:
        self._change(name, self.plans[name].clean)

    def _change(self, name: str, changes: tuple[Change, ...], *more: Action) -> str:
        """Make changes, and do what is only a part of one; return what they wrote."""
        total = len(self.plans[name].changes)
        try:
            said = self._do(name, [*(change.action for change in changes), *more])
        except ChangeFailed as error:
            made = self._done.get(name, 0) + min(error.done, len(changes))
            raise ChangeFailed(
                f"{error.message} (after {made} of {total} changes)",
                done=error.done, hint=error.hint or "mend it and run this again: it goes on there",
            ) from error  # fmt: skip
        self._done[name] = self._done.get(name, 0) + len(changes)
        return said

    def _do(self, name: str, actions: list[Action]) -> str:
        def tell(step: Step) -> None:
            if step.is_done:
                self.say(f"  {name}: {actions[step.number].title}: done")

        return self.machines[name].apply(actions, tell)
