"""One host as root: its facts, its lock, and the changes to it. Only this file knows sudo."""

import getpass
import os
import platform
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from maelstrom.errors import InfrastructureError, UserError
from provision import layout, script
from provision.actions import Action, InstallRelease
from provision.facts import Facts, read_facts
from provision.inventory import Host
from provision.script import ChangeFailed
from provision.ssh import Done, Remote, Unreachable

_FACTS = Path(__file__).with_name("facts.sh")
# A lock is given up when its holder's machine was not heard of for so long.
LOCK_HEARD_S_MAX = 30
BEAT_S = 5.0
_LOCK = "/run/lock/maelstrom-provision"
# Waits for beats on its standard input; bash, because other shells cannot wait for so long only.
# Who has the lock removes its file: so it counts only if it is still there when it is locked.
_HOLD = (
    'exec 9>>"$0"; if flock -n 9 && [ "$0" -ef /proc/$$/fd/9 ]; then'
    ' printf "%s\\n" "$1" > "$0"; echo held;'
    f' while read -r -t {LOCK_HEARD_S_MAX} _; do :; done; rm -f "$0";'
    ' else echo taken; cat "$0"; fi'
)
_MANAGED = (
    layout.ROOT, layout.RELEASES, layout.INCOMING, layout.CURRENT, layout.ETC, layout.RUN,
    layout.SYSCTL, layout.PROFILE, f"{layout.UNITS}/{layout.PROC_MOUNT}",
    *(f"{layout.UNITS}/{layout.unit(role)}" for role in layout.ROLES),
    f"{layout.UNITS}/{layout.IDENTITIES_SOCKET}", f"{layout.UNITS}/{layout.IDENTITIES_SERVICE}",
    *(place(role) for role in layout.ROLES for place in (layout.state, layout.config, layout.tls)),
    *(f"{layout.tls(role)}/{name}.pem" for role in layout.ROLES for name in ("ca", "crl")),
)  # fmt: skip
_UNITS = (
    *(layout.unit(role) for role in layout.ROLES),
    layout.PROC_MOUNT,
    layout.IDENTITIES_SOCKET,
)
SETTINGS = (
    "user/max_user_namespaces",
    "kernel/unprivileged_userns_clone",
    "kernel/apparmor_restrict_unprivileged_userns",
)


class HostTaken(InfrastructureError):
    """Somebody else is changing a host."""


@dataclass(slots=True)
class Passwords:
    """The password for sudo, asked for once, when a host first wants it."""

    may_ask: bool
    _known: str | None = None
    # Hosts are reached at the same time.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, who: str) -> str:
        """Return it."""
        if not self.may_ask:
            raise UserError(
                f"sudo wants a password of {who}", hint="say `--ask-sudo`, and it is asked for"
            )
        with self._lock:
            if self._known is None:
                self._known = getpass.getpass(f"password of {who} for sudo: ")
            return self._known


class Machine:
    """A host that is connected, and may be changed."""

    def __init__(self, host: Host, remote: Remote, passwords: Passwords) -> None:
        self.host = host
        self._remote = remote
        self._become, self._first_line = _ways_to_be_root(remote, passwords)

    def facts(self, addresses: tuple[str, ...]) -> Facts:
        """Ask what the host has; the names are looked up there."""
        text = script.facts_script(
            _FACTS.read_text(),
            paths=_MANAGED,
            units=_UNITS,
            users=[layout.user(role) for role in layout.ROLES],
            settings=SETTINGS,
            names=addresses,
        )
        return read_facts(self.run(text).stdout)

    def run(self, text: str, on_line: Callable[[str], None] | None = None) -> Done:
        """Run a shell script as root."""
        return self._as_root("sh -s", text.encode(), on_line)

    def follow(self, command: str, on_line: Callable[[str], None]) -> Done:
        """Run a command as root that may be silent for as long as it likes."""
        return self._remote.run(self._become + command, self._first_line, on_line, silence_s=None)

    def _as_root(
        self, command: str, stdin: bytes, on_line: Callable[[str], None] | None = None
    ) -> Done:
        return self._remote.run(self._become + command, self._first_line + stdin, on_line)

    def send(self, action: InstallRelease, archive: bytes) -> None:
        """Send a release; what arrives in part does not count."""
        path = action.archive
        place = (
            f"mkdir -p -m 0755 {layout.ROOT} && mkdir -p -m 0700 {layout.INCOMING}"
            f" && cat > {path}.part && sync {path}.part && mv -f {path}.part {path}"
        )
        done = self._as_root(f"sh -c {shlex.quote(place)}", archive)
        if done.status:
            raise ChangeFailed(f"cannot send {action.archive}: {_last(done.stderr)}", done=0)

    def apply(self, actions: list[Action], on_step: Callable[[script.Step], None]) -> str:
        """Make changes in order until one fails; return what they wrote besides."""
        count = 0

        def hear(line: str) -> None:
            nonlocal count
            step = script.read_step(line)
            if step is not None:
                count += step.is_done
                on_step(step)

        if not actions:
            return ""
        try:
            done = self.run(script.apply_script(actions), hear)
        except Unreachable as error:
            raise ChangeFailed(error.message, done=count, hint=error.hint) from error
        if done.status == script.BUSY and not count:
            raise ChangeFailed("another run still changes this host", done=0)
        if done.status:
            raise ChangeFailed(f"cannot {actions[count].title}: {_last(done.stderr)}", done=count)
        return done.stdout

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other operators off this host; raises UserError when one is at it."""
        words = shlex.join(["bash", "-c", _HOLD, _LOCK, _operator()])
        with self._remote.held(self._become + words) as channel:
            channel.sendall(self._first_line)
            answer = channel.makefile("r")
            if answer.readline().strip() != "held":
                holder = answer.readline().strip() or "somebody"
                raise HostTaken(
                    f"{holder} is changing {self.host.name} at this moment",
                    hint="wait until that is done; a lock is gone"
                    f" {LOCK_HEARD_S_MAX} s after the last sign of life of its holder",
                )
            stop = threading.Event()
            beats = threading.Thread(target=_beat, args=(channel.sendall, stop), daemon=True)
            beats.start()
            try:
                yield
            finally:
                stop.set()

    def close(self) -> None:
        """End the connection."""
        self._remote.close()


def _ways_to_be_root(remote: Remote, passwords: Passwords) -> tuple[str, bytes]:
    """Return what to put before a command, and before its standard input."""
    done = remote.run("id -u; sudo -n true 2>&1")
    user, _, said = done.stdout.partition("\n")
    if user.strip() == "0":
        return "", b""
    if done.status == 0:
        return "sudo -n -- ", b""
    if "not found" in said:
        raise UserError(
            f"{remote.name} is not root, and there is no sudo",
            hint="install sudo there, or log in as root",
        )
    if "password is required" not in said and "password" not in said:
        raise UserError(f"{remote.name} may not use sudo: {_last(said)}", hint="see visudo(8)")
    first_line = f"{passwords.get(remote.name)}\n".encode()
    # `-k` makes it ask even when it was told lately: the line must not go to the command.
    become = "sudo -k -S -p '' -- "
    tried = remote.run(f"{become}true", first_line)
    if tried.status:
        raise UserError(
            f"{remote.name} may not use sudo: {_last(tried.stderr)}",
            hint="was the password right, and is the user allowed to? see visudo(8)",
        )
    return become, first_line


def _operator() -> str:
    since = time.strftime("%H:%M:%S")
    return f"{getpass.getuser()} on {platform.node()} (process {os.getpid()}, since {since})"


def _beat(send: Callable[[bytes], None], stop: threading.Event) -> None:
    while not stop.wait(BEAT_S):
        try:
            send(b"\n")
        except OSError:
            return


def _last(text: str) -> str:
    """Return the end of what a program said, on one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-4:])[-600:] or "it does not say why"
