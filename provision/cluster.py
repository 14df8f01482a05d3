"""A run over the whole cluster: connect, ask, plan, show, confirm, apply.

Everything here does; what is decided is decided in plan, checks and wanted.
"""

import contextlib
import getpass
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from maelstrom.errors import InfrastructureError, UserError
from provision import telling
from provision.actions import Certify
from provision.certificates import identity, plan_certificates, plan_revocations
from provision.checks import problems
from provision.identities import plan_identities, plan_revocation
from provision.inventory import Host, Inventory
from provision.local_state import LocalState
from provision.machine import Passwords
from provision.parallel import in_parallel
from provision.plan import HostPlan, plan_host, plan_removal
from provision.remedies import plan_remedies
from provision.rollout import Rollout
from provision.signer import Signer
from provision.ssh import Keyring, UnknownHostKey
from provision.survey import Survey, ask_all, connect_all, lock_all
from provision.wanted import Templates, wanted
from provision.wheelhouse import Archive, Target, gather

_UNITS = Path(__file__).with_name("units")


@dataclass(frozen=True, slots=True)
class Options:
    """How the operator wants it."""

    shows_only: bool = False
    is_confirmed: bool = False
    with_diffs: bool = True
    may_ask: bool = True
    asks_sudo: bool = False
    accepts_new: frozenset[str] = frozenset()
    limit: frozenset[str] = frozenset()


@dataclass(slots=True)
class Run:
    """One run of the operator's; `say` prints a line, `ask` gets a yes or no."""

    inventory: Inventory
    state: LocalState
    options: Options
    say: Callable[[str], None]
    ask: Callable[[str], bool]
    authority: Signer
    is_declined: bool = False
    _archives: dict[Target, Archive] = field(default_factory=dict)

    def up(self) -> bool:
        """Make the hosts as the inventory wants them; return whether all are."""
        with self.connected(is_locked=not self.options.shows_only) as survey:
            self._refuse_problems(survey)
            is_whole = self._carry_out(survey, self._plan(survey, is_forced=False))
        if is_whole and not self.options.shows_only:
            self._introduce()
        return is_whole

    def _introduce(self) -> None:
        """See to it that tests find the cluster from here."""
        identity = self.authority.client(self.state.directory / "client", getpass.getuser())
        path = self.state.write_environment(self.inventory.broker_place, identity)
        self.say(f"`. {path}`, and `scons test --maelstrom` runs on {self.inventory.broker_place}")

    def rotate(self) -> bool:
        """Give all daemons new keys and certificates; return whether that is done."""
        with self.connected(is_locked=not self.options.shows_only) as survey:
            self._refuse_problems(survey)
            return self._carry_out(survey, self._plan(survey, is_forced=True))

    def down(self) -> bool:
        """Take everything of ours off the hosts; return whether that is done."""
        with self.connected(is_locked=not self.options.shows_only) as survey:
            plans = {name: plan_removal(facts) for name, facts in survey.facts.items()}
            return self._carry_out(survey, plans)

    def remove(self, worker: str, *, is_gone: bool) -> bool:
        """Take a worker off its host, and believe its certificate no more."""
        host = next((h for h in self.inventory.hosts if h.worker and h.worker.name == worker), None)
        if host is None:
            raise UserError(f"the inventory has no worker `{worker}`")
        if host.broker is not None:
            raise UserError(
                f"worker `{worker}` is on the broker's host",
                hint="remove its table from the inventory, then `nox -s cluster_up`",
            )
        if not self.options.shows_only:
            self.authority.unlock()  # Before the worker goes, so that what follows can be done.
        if is_gone:
            question = f"is {worker} gone for good? then its certificates are revoked"
            is_meant = self.options.is_confirmed or self.options.shows_only or self.ask(question)
            if not is_meant:
                return False
        else:
            self.options = replace(self.options, limit=frozenset({host.name}))
            if not self.down():
                return False
        if not self.options.shows_only:
            self._revoke(host)
        return True

    def _revoke(self, host: Host) -> None:
        who = identity("worker", host)
        revoked = self.authority.revoke(who)
        self.say(f"{host.name}: {revoked} certificates of {who} are believed no more")

    @contextlib.contextmanager
    def connected(self, *, is_locked: bool) -> Iterator[Survey]:
        with ExitStack() as stack:
            if is_locked:
                stack.enter_context(self.state.locked())
            passwords = Passwords(may_ask=self.options.asks_sudo)
            survey = connect_all(self._chosen(), self._keyring(), passwords, self._accept, stack)
            if is_locked:
                lock_all(survey, stack)
            ask_all(survey, self.inventory)
            for line in telling.failure_lines(survey.failures):
                self.say(line)
            if not survey.facts:
                raise InfrastructureError("no host can be worked on")
            yield survey

    def _chosen(self) -> tuple[Host, ...]:
        limit = self.options.limit
        for name in limit:
            self.inventory.host(name)
        return tuple(host for host in self.inventory.hosts if not limit or host.name in limit)

    def _keyring(self) -> Keyring:
        known = [self.state.known_hosts, Path("~/.ssh/known_hosts").expanduser()]
        if self.inventory.known_hosts:
            known.append(Path(self.inventory.known_hosts).expanduser())
        known.append(Path("/etc/ssh/ssh_known_hosts"))
        return Keyring(tuple(known), self.inventory.ssh_config)

    def _accept(self, host: Host, error: UnknownHostKey) -> bool:
        is_wanted = host.name in self.options.accepts_new
        if not is_wanted and self.options.may_ask:
            self.say(f"{host.name}: {error.message}")
            is_wanted = self.ask(f"is this the key of {host.name}? then it is remembered")
        if is_wanted:
            self.state.accept(error.line())
            self.say(f"{host.name}: from now on its key is {error.key.fingerprint}")
        return is_wanted

    def _refuse_problems(self, survey: Survey) -> None:
        """Leave out hosts that cannot be what they should; without the broker nothing goes on."""
        for host in self.inventory.hosts:
            if host.name not in survey.facts:
                continue
            facts, offset_s = survey.facts[host.name], survey.offsets_s[host.name]
            found = problems(host, self.inventory, facts, offset_s)
            for line in telling.problem_lines({host.name: found}):
                self.say(line)
            if found:
                survey.fail(host.name, UserError(found[0].message, hint=found[0].hint))
        first = self.inventory.hosts[0].name
        if first in survey.failures:
            raise InfrastructureError(
                "the broker's host cannot be worked on, so nothing is changed",
                hint=f"mend what is said about {first}, then run this again",
            )

    def _plan(self, survey: Survey, *, is_forced: bool) -> dict[str, HostPlan]:
        templates = Templates({path.name: path.read_text() for path in _UNITS.iterdir()})
        self.state.open()  # The authority is made in it, if there is none.
        trust = self.authority.trust(is_forced=is_forced)
        self._gather({self._target(survey, name) for name in survey.facts})
        plans = {}
        for name, facts in survey.facts.items():
            host = self.inventory.host(name)
            release = self._archive(self._target(survey, name)).release
            plan = plan_host(wanted(host, self.inventory, release, templates), facts)
            plans[name] = replace(
                plan,
                prepare=(
                    *plan_remedies(host, facts),
                    *plan.prepare,
                    *plan_identities(host, facts),
                ),
                certify=tuple(plan_certificates(host, facts, trust)),
                switch=(*plan_revocations(host, facts, trust), *plan.switch),
                clean=(*plan.clean, *plan_revocation(host, facts)),
            )
        return plans

    def _target(self, survey: Survey, name: str) -> Target:
        facts = survey.facts[name]
        assert facts.python is not None, "hosts without Python are left out"
        major, minor = facts.python.version[:2]
        return Target((major, minor), facts.machine)

    def _gather(self, targets: Iterable[Target]) -> None:
        by_name = {str(target): target for target in targets}

        def gather_one(name: str) -> Archive:
            return gather(by_name[name], self.inventory.wheel, say=self.say)

        archives, errors = in_parallel(gather_one, sorted(by_name))
        for error in errors.values():
            raise error
        for name, archive in archives.items():
            found, wanted_version = archive.version, self.inventory.version
            if wanted_version and found != wanted_version:
                raise UserError(
                    f"the inventory wants version {wanted_version}, and this is {found}",
                    hint="change `version` in the inventory, or take another checkout or `wheel`",
                )
            self._archives[by_name[name]] = archive

    def _archive(self, target: Target) -> Archive:
        return self._archives[target]

    def _carry_out(self, survey: Survey, plans: dict[str, HostPlan]) -> bool:
        for line in telling.plan_lines(plans, with_diffs=self.options.with_diffs):
            self.say(line)
        is_whole = not survey.failures
        if self.options.shows_only or not any(plan.changes for plan in plans.values()):
            return is_whole
        if not self.options.is_confirmed and not self.ask("make these changes?"):
            self.say("nothing was changed")
            self.is_declined = True
            return False
        if any(plan.certify for plan in plans.values()):
            self.authority.unlock()
        rollout = Rollout(
            machines=survey.machines,
            facts=survey.facts,
            interrupt=survey.close,
            plans=plans,
            archives={
                name: self._archive(self._target(survey, name)).path
                for name, plan in plans.items()
                if plan.installs is not None
            },
            broker=self.inventory.hosts[0].name,
            certify=self._certify,
            releases={
                name: self._archive(self._target(survey, name)).release.name
                for name, plan in plans.items()
                if plan.certify
            },
            trust=self.authority.pems(),
            say=self.say,
        )
        failures = rollout.run()
        for line in telling.failure_lines(failures):
            self.say(line)
        return is_whole and not failures

    def _certify(self, name: str, action: Certify, request: str) -> str:
        days = self.inventory.certificate_days
        return self.authority.sign(self.inventory.host(name), action, request, days)
