"""The changes that can be made to a host, each with the shell script that makes it.

Rules of this file:
1. A script may run twice: what an interrupted run has done already does no harm.
2. Each change is there as a whole or not at all: files are renamed into place, a release counts
   when its mark is written.
3. No secret is ever part of an action.
"""

import base64
import shlex
from dataclasses import dataclass

from provision import layout
from provision.environment import NOT_COMPILED, PYTHON

_REMOVABLE = ("/opt/maelstrom", "/etc/maelstrom", "/var/lib/maelstrom-", "/run/maelstrom",
              "/etc/sysctl.d/60-maelstrom", "/etc/apparmor.d/maelstrom-")  # fmt: skip
JOURNAL_LINES = 15


@dataclass(frozen=True, slots=True)
class MakeUser:
    """A user for a daemon, who cannot log in."""

    name: str
    home: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"make the user {self.name}"

    def script(self) -> str:
        """Do it."""
        name = shlex.quote(self.name)
        return (
            f"id -u {name} >/dev/null 2>&1 || useradd --system --user-group --no-create-home"
            f" --home-dir {shlex.quote(self.home)} --shell /usr/sbin/nologin {name}"
        )


@dataclass(frozen=True, slots=True)
class GrantIdentities:
    """A range of users and groups for the containers of a user, in /etc/subuid and /etc/subgid."""

    user: str
    first: int
    last: int

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"grant {self.user} the users and groups {self.first} to {self.last}"

    def script(self) -> str:
        """Do it."""
        span = f"{self.first}-{self.last}"
        return "\n".join(
            f"[ -e {path} ] || install -m 0644 /dev/null {path}\n"
            f"grep -q '^{self.user}:{self.first}:' {path} || usermod {option} {span} {self.user}"
            for path, option in (
                ("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids"),
            )
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RevokeIdentities:
    """Ranges that a user is to have no longer."""

    user: str
    users: tuple[tuple[int, int], ...]
    groups: tuple[tuple[int, int], ...]

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"take the users and groups for containers away from {self.user}"

    def script(self) -> str:
        """Do it; usermod will not for a user who runs something."""
        return "\n".join(
            f"sed -i '/^{self.user}:{first}:{last - first + 1}$/d' {path}"
            for path, ranges in (("/etc/subuid", self.users), ("/etc/subgid", self.groups))
            for first, last in ranges
        )


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """A directory with its mode and owner."""

    path: str
    mode: int
    owner: str = "root"
    group: str = "root"

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"make the directory {self.path}"

    def script(self) -> str:
        """Do it."""
        return (
            f"install -d -m {self.mode:04o} -o {self.owner} -g {self.group}"
            f" {shlex.quote(self.path)}"
        )


@dataclass(frozen=True, slots=True)
class SetMode:
    """The mode and owner of what is there already."""

    path: str
    mode: int
    owner: str
    group: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"set the mode of {self.path} to {self.mode:04o} {self.owner}:{self.group}"

    def script(self) -> str:
        """Do it."""
        path = shlex.quote(self.path)
        return f"chown -h {self.owner}:{self.group} {path}\nchmod {self.mode:04o} {path}"


@dataclass(frozen=True, slots=True)
class WriteFile:
    """A file with its content, mode and owner."""

    path: str
    content: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"write {self.path}"

    def script(self) -> str:
        """Do it."""
        path, part = shlex.quote(self.path), shlex.quote(f"{self.path}.new")
        return "\n".join((
            f"(umask 077; printf %s '{_encoded(self.content)}' | base64 -d > {part})",
            f"chown {self.owner}:{self.group} {part}",
            f"chmod {self.mode:04o} {part}",
            f"sync {part}",
            f"mv -f -T {part} {path}",
        ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class InstallRelease:
    """A version of ours with all it needs, unpacked from what was sent before."""

    name: str
    python: str
    archive_sha256: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"install the release {self.name}"

    @property
    def archive(self) -> str:
        """Return where it is sent to."""
        return f"{layout.INCOMING}/{self.name}.tar.gz"

    def script(self) -> str:
        """Do it; the mark is written last."""
        path, archive = f"{layout.RELEASES}/{self.name}", self.archive
        venv = f"{path}/venv"
        return "\n".join((
            f"if [ ! -e {path}/.complete ]; then",
            f"echo '{self.archive_sha256}  {archive}' | sha256sum --check --quiet",
            f"rm -rf --one-file-system {path}",
            f"mkdir -p -m 0755 {path}",
            f"{shlex.quote(self.python)} -I -m venv --without-pip {venv}",
            f"tar -x -z -f {archive} -C {venv} --no-same-owner --no-same-permissions",
            f"sed -i '1s#{PYTHON}#{venv}/bin/python#' $(grep -l '^#!{PYTHON}' {venv}/bin/*)",
            # Daemons may not write there, so what they load is compiled now, if it did not come so.
            f"{venv}/bin/python -I -m compileall -q -x '{NOT_COMPILED}' {venv}/lib/python3.*",
            f"{venv}/bin/python -I -c 'import maelstrom.cli.commands'",
            f"sync -f {path}",
            f"touch {path}/.complete",
            f"sync {path}/.complete",
            "fi",
            f"rm -f {archive}",
        ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Certify:
    """A certificate for a daemon; the operator's authority signs it in between."""

    role: str
    name: str
    addresses: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"make a certificate for {self.role}/{self.name}"

    def script(self) -> str:
        """Never do it as a whole: it takes two scripts, with the authority between them."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class RequestCertificate:
    """A key, made on the host and kept there; the request for its certificate is printed."""

    role: str
    name: str
    release: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"make a key for {self.role}/{self.name}"

    def script(self) -> str:
        """Do it."""
        return (
            f"{_as_daemon(self.role, self.release)} ca request {layout.tls(self.role)} {self.name}"
        )


@dataclass(frozen=True, slots=True)
class InstallCertificate:
    """The certificate that answers the last request."""

    role: str
    release: str
    certificate: str
    authority: str
    revoked: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"install the certificate of the {self.role}"

    def script(self) -> str:
        """Do it; nothing here is secret."""
        admin = _as_daemon(self.role, self.release)
        pems = (("cert", self.certificate), ("ca", self.authority), ("crl", self.revoked))
        return "\n".join((
            "place=$(mktemp -d)",
            "chmod 0755 $place",
            *(f"printf %s '{_encoded(pem)}' | base64 -d > $place/{name}" for name, pem in pems),
            f"set -- --authority $place/ca --revoked $place/crl {layout.tls(self.role)}",
            f'{admin} ca install "$@" < $place/cert',
            "rm -r $place",
        ))  # fmt: skip


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _as_daemon(role: str, release: str) -> str:
    program = f"{layout.RELEASES}/{release}/venv/bin/maelstrom-admin"
    return f"runuser -u {layout.user(role)} -- {program}"


@dataclass(frozen=True, slots=True)
class SwitchRelease:
    """The release that the daemons start from, changed at once."""

    name: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"switch to the release {self.name}"

    def script(self) -> str:
        """Do it."""
        return (
            f"ln -sfn releases/{self.name} {layout.CURRENT}.new\n"
            f"mv -f -T {layout.CURRENT}.new {layout.CURRENT}"
        )


@dataclass(frozen=True, slots=True)
class ReloadUnits:
    """What systemd knows of its unit files."""

    title: str = "let systemd read its unit files"

    def script(self) -> str:
        """Do it."""
        return "systemctl daemon-reload"


@dataclass(frozen=True, slots=True)
class EnableUnit:
    """A unit that is started with the host."""

    name: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"start {self.name} with the host"

    def script(self) -> str:
        """Do it; systemd reads its unit files once for all, later."""
        return f"systemctl enable --quiet --no-reload {self.name}"


@dataclass(frozen=True, slots=True)
class RestartUnit:
    """A unit that runs, and with what is there now; stopping lets it end its jobs."""

    name: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"start {self.name}"

    def script(self) -> str:
        """Do it; why it fails is in its journal."""
        return (
            f"if ! systemctl restart {self.name}; then\n"
            f"journalctl --no-pager -o cat -n {JOURNAL_LINES} -u {self.name} >&2 || true\n"
            "false\nfi"
        )


@dataclass(frozen=True, slots=True)
class RemoveUnit:
    """A unit that is no longer wanted."""

    name: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"stop and remove {self.name}"

    def script(self) -> str:
        """Do it; systemd reads its unit files once for all, later."""
        return "\n".join((
            f"systemctl stop --quiet {self.name} 2>/dev/null || true",
            f"systemctl disable --quiet --no-reload {self.name} 2>/dev/null || true",
            f"rm -f {layout.UNITS}/{self.name}",
            f"systemctl reset-failed --quiet {self.name} 2>/dev/null || true",
        ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class RemovePath:
    """A file or a tree that is no longer wanted."""

    path: str

    def __post_init__(self) -> None:
        assert self.path.startswith(_REMOVABLE), f"not ours to remove: {self.path}"
        assert ".." not in self.path, f"not a plain path: {self.path}"

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"remove {self.path}"

    def script(self) -> str:
        """Do it."""
        return f"rm -rf --one-file-system {shlex.quote(self.path)}"


@dataclass(frozen=True, slots=True)
class RemoveUser:
    """A user that is no longer wanted."""

    name: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"remove the user {self.name}"

    def script(self) -> str:
        """Do it."""
        name = shlex.quote(self.name)
        return (
            f"if id -u {name} >/dev/null 2>&1; then\n"
            f"pkill -KILL -u {name} || true\nuserdel {name}\nfi"
        )


@dataclass(frozen=True, slots=True)
class ApplySettings:
    """The kernel settings of our file."""

    path: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"let the kernel take the settings of {self.path}"

    def script(self) -> str:
        """Do it."""
        return f"sysctl --quiet --load={shlex.quote(self.path)}"


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """An AppArmor profile of ours."""

    path: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"load the AppArmor profile {self.path}"

    def script(self) -> str:
        """Do it."""
        return f"apparmor_parser --replace {shlex.quote(self.path)}"


@dataclass(frozen=True, slots=True)
class RemoveProfile:
    """An AppArmor profile of ours that is no longer wanted."""

    path: str

    @property
    def title(self) -> str:
        """Say what is done."""
        return f"remove the AppArmor profile {self.path}"

    def script(self) -> str:
        """Do it."""
        path = shlex.quote(self.path)
        return f"apparmor_parser --remove {path} || true\nrm -f {path}"


Action = (
    MakeUser
    | GrantIdentities
    | RevokeIdentities
    | MakeDirectory
    | SetMode
    | WriteFile
    | InstallRelease
    | RequestCertificate
    | InstallCertificate
    | Certify
    | SwitchRelease
    | ReloadUnits
    | EnableUnit
    | RestartUnit
    | RemoveUnit
    | RemovePath
    | RemoveUser
    | ApplySettings
    | LoadProfile
    | RemoveProfile
)
