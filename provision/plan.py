"""Compare what a host should have with what it has: the changes, in order, each with a reason.

Pure. Rules of this file:
1. Nothing that is as it should be is touched: a plan for a host as wanted is empty.
2. What a running daemon may notice is in `switch`; `prepare` and `clean` may be done at any time.
3. A reason says what was found, not what will be done.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from provision import layout
from provision.actions import (
    Action,
    EnableUnit,
    InstallRelease,
    MakeDirectory,
    MakeUser,
    ReloadUnits,
    RemovePath,
    RemoveProfile,
    RemoveUnit,
    RemoveUser,
    RestartUnit,
    SetMode,
    SwitchRelease,
    WriteFile,
)
from provision.facts import Facts, PathState, UnitState
from provision.wanted import Directory, File, Unit, Wanted

_IDENTITIES = (layout.IDENTITIES_SOCKET, layout.IDENTITIES_SERVICE)
RELEASES_KEPT = 2  # The one in use and the one before it, for a way back.


@dataclass(frozen=True, slots=True)
class Change:
    """One change to a host, why, and what of a file it changes."""

    action: Action
    reason: str
    diff: str = ""


@dataclass(frozen=True, slots=True)
class HostPlan:
    """The changes to one host: before its daemons change, these, and afterwards.

    `back` undoes `switch`, for when the daemons do not come up.
    """

    prepare: tuple[Change, ...] = ()
    certify: tuple[Change, ...] = ()
    switch: tuple[Change, ...] = ()
    clean: tuple[Change, ...] = ()
    back: tuple[Action, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return all of them."""
        return (*self.prepare, *self.certify, *self.switch, *self.clean)

    @property
    def restarts(self) -> tuple[str, ...]:
        """Return the units that are stopped and started again."""
        actions = (change.action for change in self.switch)
        return tuple(action.name for action in actions if isinstance(action, RestartUnit))

    @property
    def installs(self) -> InstallRelease | None:
        """Return the release that has to be sent before, if there is one."""
        actions = (change.action for change in self.prepare)
        return next((action for action in actions if isinstance(action, InstallRelease)), None)


def plan_host(wanted: Wanted, facts: Facts) -> HostPlan:
    """Return what makes the host as it should be."""
    prepare = [
        *_users(wanted, facts),
        *(change for each in wanted.directories for change in _directory(each, facts)),
        *_install(wanted, facts),
    ]
    files = [change for file in wanted.files for change in _file(file, facts)]
    switch = [*files, *_switch(wanted, facts, files)]
    clean = [*_unwanted_roles(wanted, facts), *_old_releases(wanted, facts)]
    return HostPlan(
        prepare=tuple(prepare),
        switch=tuple(switch),
        clean=tuple(clean),
        back=tuple(_back(switch, facts)),
    )


def _users(wanted: Wanted, facts: Facts) -> Iterator[Change]:
    for name, home in wanted.users:
        if name not in facts.users:
            yield Change(MakeUser(name, home), "it is not there")


def _directory(want: Directory, facts: Facts) -> Iterator[Change]:
    state = facts.paths.get(want.path)
    if state is None:
        yield Change(MakeDirectory(want.path, want.mode, want.owner, want.group), "it is not there")
    else:
        yield from _mode(want, state)


def _file(want: File, facts: Facts) -> Iterator[Change]:
    state = facts.paths.get(want.path)
    action = WriteFile(want.path, want.content, want.mode, want.owner, want.group)
    if state is None:
        yield Change(action, "it is not there", _diff("", want.content))
    elif state.kind != "regular file":
        yield Change(action, f"it is a {state.kind}")
    elif state.content != want.content.encode():
        old = state.content.decode(errors="replace")
        yield Change(action, "its content differs", _diff(old, want.content))
    else:
        yield from _mode(want, state)


def _mode(want: Directory | File, state: PathState) -> Iterator[Change]:
    found = (state.mode, state.owner, state.group)
    if found != (want.mode, want.owner, want.group):
        action = SetMode(want.path, want.mode, want.owner, want.group)
        yield Change(action, f"it is {state.mode:04o} {state.owner}:{state.group}")


def _diff(old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm="")
    return "\n".join(list(lines)[2:])


def _install(wanted: Wanted, facts: Facts) -> Iterator[Change]:
    release = wanted.release
    if release.name in facts.releases:
        return
    assert facts.python is not None, "a host without Python is refused before"
    action = InstallRelease(release.name, facts.python.path, release.archive_sha256)
    have = f"it has {facts.current}" if facts.current else "it has none"
    if facts.current == release.name:
        have = "it is not whole"
    yield Change(action, have)


def _old_releases(wanted: Wanted, facts: Facts) -> Iterator[Change]:
    """Remove releases that nothing starts from, but keep the last one for a way back."""
    kept = {wanted.release.name, facts.current}
    others = [name for name in facts.releases if name not in kept]
    spare = RELEASES_KEPT - len(kept - {""})
    for name in others[: len(others) - spare] if spare > 0 else others:
        yield Change(RemovePath(f"{layout.RELEASES}/{name}"), "nothing uses this release")


def _switch(wanted: Wanted, facts: Facts, files: list[Change]) -> Iterator[Change]:
    if facts.current != wanted.release.name:
        before = facts.current or "none"
        yield Change(SwitchRelease(wanted.release.name), f"it is {before}")
    unit_paths = {unit.path for unit in wanted.units}
    paths = {c.action.path for c in files if isinstance(c.action, WriteFile)}
    written = paths & unit_paths
    states = {unit.name: facts.units.get(unit.name, UnitState()) for unit in wanted.units}
    disabled = [unit for unit in wanted.units if states[unit.name].file != "enabled"]
    for unit in disabled:
        yield Change(EnableUnit(unit.name), "it is not enabled")
    # Once for all of it: systemd reads every unit of the host. It would also read new ones when
    # they are started, but from 257 on says then that they changed since.
    if written or disabled:
        yield Change(ReloadUnits(), "unit files change")
    elif any(state.needs_reload for state in states.values()):
        yield Change(ReloadUnits(), "unit files have changed since")
    for unit in wanted.units:
        is_written = unit.path in written
        reason = _restart_reason(unit, states[unit.name], facts, is_written=is_written)
        if reason:
            yield Change(RestartUnit(unit.name), reason)


def _restart_reason(unit: Unit, state: UnitState, facts: Facts, *, is_written: bool) -> str:
    if not state.is_active:
        return "it does not run" if state.load != "loaded" else f"it is {state.active}"
    if unit.role and facts.started.get(unit.role, "").split(" ")[0] != unit.started:
        return "it was started with something else"
    if is_written and not unit.role:
        return "its unit file changes"
    if state.needs_reload:
        return "its unit file has changed since"
    return ""


def _back(switch: list[Change], facts: Facts) -> Iterator[Action]:
    """Undo a switch, where something ran before that can run again."""
    actions = [change.action for change in switch]
    running = {name for name, state in facts.units.items() if state.is_active}
    if not facts.current or not any(
        isinstance(action, RestartUnit) and action.name in running for action in actions
    ):
        return
    for action in actions:
        match action:
            case WriteFile(path) if path in facts.paths:
                old = facts.paths[path]
                content = old.content.decode(errors="replace")
                yield WriteFile(path, content, old.mode, old.owner, old.group)
            case SwitchRelease():
                yield SwitchRelease(facts.current)
            case ReloadUnits():
                yield action
            case RestartUnit(name) if name in running:
                yield action


def _unwanted_roles(wanted: Wanted, facts: Facts) -> Iterator[Change]:
    """Remove a daemon that the host is no longer wanted for."""
    roles = {unit.role for unit in wanted.units}
    unwanted = [role for role in layout.ROLES if role not in roles]
    reason = "the inventory wants it no longer"
    yield from _without(unwanted, facts, reason)
    names = {unit.name for unit in wanted.units}
    if "worker" in roles and layout.IDENTITIES_SOCKET not in names:
        yield from _without_units(_IDENTITIES, facts, reason)


def _without(roles: Iterable[str], facts: Facts, reason: str) -> Iterator[Change]:
    roles = list(roles)
    names = [layout.unit(role) for role in roles]
    names += [layout.PROC_MOUNT, *_IDENTITIES] if "worker" in roles else []
    yield from _without_units(names, facts, reason)
    for role in roles:
        for path in (layout.state(role), layout.config(role)):
            if path in facts.paths:
                yield Change(RemovePath(path), reason)
    for role in roles:
        if layout.user(role) in facts.users:
            yield Change(RemoveUser(layout.user(role)), reason)


def _without_units(names: Iterable[str], facts: Facts, reason: str) -> Iterator[Change]:
    there = [
        name
        for name in names
        if f"{layout.UNITS}/{name}" in facts.paths or facts.units.get(name, UnitState()).is_active
    ]
    yield from (Change(RemoveUnit(name), reason) for name in there)
    if there:
        yield Change(ReloadUnits(), "unit files go")


def plan_removal(facts: Facts) -> HostPlan:
    """Return what takes everything of ours off a host."""
    reason = "it is there"
    paths = (layout.ROOT, layout.ETC, layout.RUN, layout.SYSCTL)
    changes = [
        *_without(layout.ROLES, facts, reason),
        *(Change(RemovePath(path), reason) for path in paths if path in facts.paths),
    ]
    if layout.PROFILE in facts.paths:
        changes.append(Change(RemoveProfile(layout.PROFILE), reason))
    return HostPlan(switch=tuple(changes))
