"""Where things are on a host, and what they are called."""

ROOT = "/opt/maelstrom"
RELEASES = f"{ROOT}/releases"
INCOMING = f"{ROOT}/incoming"
CURRENT = f"{ROOT}/current"
ETC = "/etc/maelstrom"
UNITS = "/etc/systemd/system"
RUN = "/run/maelstrom"
SYSCTL = "/etc/sysctl.d/60-maelstrom.conf"
PROFILE = "/etc/apparmor.d/maelstrom-worker"
PROC_MOUNT = "run-maelstrom-proc.mount"
IDENTITIES_SOCKET = "maelstrom-identities.socket"
IDENTITIES_SERVICE = "maelstrom-identities@.service"
IDENTITIES = "/run/maelstrom-identities"

ROLES = ("broker", "worker")


def user(role: str) -> str:
    """Return the user as whom a daemon runs; each has its own, so that neither reads the other."""
    return f"maelstrom-{role}"


def unit(role: str) -> str:
    """Return the name of a daemon's unit."""
    return f"maelstrom-{role}.service"


def state(role: str) -> str:
    """Return the directory in which a daemon keeps what it has."""
    return f"/var/lib/maelstrom-{role}"


def config(role: str) -> str:
    """Return a daemon's configuration."""
    return f"{ETC}/{role}.toml"


def tls(role: str) -> str:
    """Return the directory of a daemon's key and certificates, which it renews itself."""
    return f"{state(role)}/tls"


def started(role: str) -> str:
    """Return the file that holds the digest of what a daemon was started with."""
    return f"{RUN}/{role}.started"
