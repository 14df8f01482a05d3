"""Kernel settings that keep containers from working on a worker's host, and what is done about it.

Pure. A remedy is a change like any other: shown in the plan with its reason, and kept in a file of
our own, which goes when we go. What is set by others is left to them.
"""

from collections.abc import Iterator

from provision import layout
from provision.actions import ApplySettings, LoadProfile, WriteFile
from provision.facts import Facts
from provision.inventory import Host
from provision.plan import Change

# What the kernel says when a setting forbids containers, and what it has to be instead.
_SETTINGS = {
    "user/max_user_namespaces": ("0", "15000"),
    "kernel/unprivileged_userns_clone": ("0", "1"),
}
_RESTRICTS = "kernel/apparmor_restrict_unprivileged_userns"
_HEAD = "# Written by `nox -s cluster_up`: workers make containers as an ordinary user."
PROFILE = """\
# Written by `nox -s cluster_up`: the worker, and nothing else, may make user namespaces.
abi <abi/4.0>,
include <tunables/global>
profile maelstrom-worker flags=(unconfined) {
  userns,
}
"""


def plan_remedies(host: Host, facts: Facts) -> Iterator[Change]:
    """Yield what has to be set before a worker can make containers."""
    if host.worker is None:
        return
    yield from _settings(facts)
    if facts.settings.get(_RESTRICTS) == "1":
        yield from _profile(facts)


def _settings(facts: Facts) -> Iterator[Change]:
    bad = {name for name, (found, _) in _SETTINGS.items() if facts.settings.get(name) == found}
    if not bad:
        return
    state = facts.paths.get(layout.SYSCTL)
    kept = state.content.decode(errors="replace") if state else ""
    wanted = [name for name in _SETTINGS if name in bad or _line(name) in kept.splitlines()]
    content = "\n".join([_HEAD, *map(_line, wanted), ""])
    reason = ", ".join(f"{_dotted(name)} is {facts.settings[name]}" for name in sorted(bad))
    if content != kept:
        diff = "\n".join(f"+{_line(name)}" for name in wanted)
        yield Change(WriteFile(layout.SYSCTL, content), reason, diff)
    yield Change(ApplySettings(layout.SYSCTL), reason)


def _profile(facts: Facts) -> Iterator[Change]:
    state = facts.paths.get(layout.PROFILE)
    if state is not None and state.content == PROFILE.encode():
        return
    reason = f"{_dotted(_RESTRICTS)} is 1"
    diff = "\n".join(f"+{line}" for line in PROFILE.splitlines())
    yield Change(WriteFile(layout.PROFILE, PROFILE), reason, diff)
    yield Change(LoadProfile(layout.PROFILE), reason)


def _dotted(name: str) -> str:
    return name.replace("/", ".")


def _line(name: str) -> str:
    return f"{_dotted(name)} = {_SETTINGS[name][1]}"
