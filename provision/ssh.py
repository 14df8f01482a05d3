"""Reach a host with fabric, and run scripts there; the host's key is always checked.

Fabric accepts any host key, feeds standard input a character at a time, and leaves a command
running when its time is up: so only its way of connecting is used here.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
from fabric import Config, Connection

from maelstrom.errors import InfrastructureError, UserError
from provision.inventory import Login

CONNECT_S_MAX = 10
AUTHENTICATION_S_MAX = 20
# A worker may take 900 s to end what it runs.
SILENCE_S_MAX = 1200.0
KEEPALIVE_S = 5
# GCM first: it does without a MAC, which costs both ends as much as the cipher.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr",
           "aes256-ctr")  # fmt: skip
# A host that acknowledges nothing for so long is gone.
DEAD_AFTER_MS = 20_000
_TCP_USER_TIMEOUT = 18


class UnknownHostKey(UserError):
    """A host that was never met: its key has to be compared with what its owner says."""

    def __init__(self, name: str, key: paramiko.PKey) -> None:
        self.name = name
        self.key = key
        super().__init__(
            f"the host key of `{name}` is not known: {key.get_name()} {key.fingerprint}",
            hint="compare it with the host's own, then accept it: `--accept-new HOST`",
        )

    def line(self) -> str:
        """Return what a known_hosts file says about it."""
        return f"{self.name} {self.key.get_name()} {self.key.get_base64()}\n"


class Unreachable(InfrastructureError):
    """No connection, or none any more."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """What is known before a connection: the ssh configuration, and the keys of hosts."""

    known_hosts: tuple[Path, ...]
    config: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


class _Refuse:
    """What paramiko asks about a host whose key it does not know."""

    def missing_host_key(self, _: paramiko.SSHClient, name: str, key: paramiko.PKey) -> None:
        raise UnknownHostKey(name, key)


class Remote:
    """A connection to one host; safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(
        self,
        command: str,
        stdin: bytes = b"",
        on_line: Callable[[str], None] | None = None,
        silence_s: float | None = SILENCE_S_MAX,
    ) -> Done:
        """Run a command to its end; `on_line` gets each line of its output as it comes."""
        try:
            channel = self._connection.transport.open_session(timeout=CONNECT_S_MAX)
            with contextlib.closing(channel):
                channel.settimeout(silence_s)
                channel.exec_command(command)
                feeder = threading.Thread(target=_feed, args=(channel, stdin), daemon=True)
                feeder.start()
                errors: list[bytes] = []
                reader = threading.Thread(target=_drain, args=(channel, errors), daemon=True)
                reader.start()
                lines = []
                for line in channel.makefile("rb"):
                    lines.append(line.decode(errors="replace"))
                    if on_line is not None:
                        on_line(lines[-1].rstrip("\n"))
                reader.join()
                status = channel.recv_exit_status()
        except TimeoutError as error:
            raise Unreachable(f"it said nothing for {silence_s:g} s") from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise Unreachable(f"the connection was lost: {_reason(error)}") from error
        if status < 0:
            raise Unreachable("the connection was lost")
        return Done(status, "".join(lines), b"".join(errors).decode(errors="replace"))

    @contextlib.contextmanager
    def held(self, command: str) -> Iterator[paramiko.Channel]:
        """Run a command for as long as the context lasts."""
        try:
            channel = self._connection.transport.open_session(timeout=CONNECT_S_MAX)
            channel.settimeout(CONNECT_S_MAX)
            channel.exec_command(command)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise Unreachable(f"the connection was lost: {_reason(error)}") from error
        with contextlib.closing(channel):
            yield channel

    @property
    def name(self) -> str:
        """Return the user and the address that were used."""
        return f"{self._connection.user}@{self._connection.host}"

    def close(self) -> None:
        """End it."""
        self._connection.close()


def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
    # A command that ends early needs no more of it; how it ended tells.
    with contextlib.suppress(OSError, paramiko.SSHException):
        channel.sendall(stdin)
        channel.shutdown_write()


def _drain(channel: paramiko.Channel, errors: list[bytes]) -> None:
    with contextlib.suppress(OSError, paramiko.SSHException):
        errors.append(channel.makefile_stderr("rb").read())


def connect(login: Login, keyring: Keyring) -> Remote:
    """Connect to a host; raises UnknownHostKey, UserError or Unreachable."""
    connection = _connection(login, keyring)
    _check_key_files(connection)
    _be_strict(connection, keyring)
    try:
        connection.open()
    except UnknownHostKey as error:
        raise error from None
    except paramiko.BadHostKeyException as error:
        raise UserError(
            f"the host key of `{error.hostname}` has changed: {error.key.get_name()}"
            f" {error.key.fingerprint}",
            hint="somebody may be between you and it; if it was installed anew, remove its old"
            f" key: `ssh-keygen -R {error.hostname} -f KNOWN_HOSTS`",
        ) from None
    except paramiko.PasswordRequiredException:
        raise UserError(
            "the ssh key has a passphrase", hint="give the key to ssh-agent: `ssh-add`"
        ) from None
    except paramiko.AuthenticationException:
        raise UserError(
            f"{connection.user}@{connection.host} does not accept our ssh keys",
            hint="does `ssh` with the same user and key log in? see `user` and `key`",
        ) from None
    except socket.gaierror:
        raise UserError(
            f"`{connection.host}` does not resolve",
            hint="write an address, a name that DNS knows, or a `Host` of your ssh configuration",
        ) from None
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise Unreachable(
            f"cannot reach {connection.host} port {connection.port}: {_reason(error)}",
            hint="is it on, and does ssh listen there?",
        ) from None
    _watch(connection)
    return Remote(connection)


def _connection(login: Login, keyring: Keyring) -> Connection:
    settings = {"timeouts": {"connect": CONNECT_S_MAX}}
    if keyring.config:
        config = Config(overrides=settings, runtime_ssh_path=str(Path(keyring.config).expanduser()))
    else:
        config = Config(overrides=settings)
    arguments: dict[str, object] = {
        "banner_timeout": AUTHENTICATION_S_MAX,
        "auth_timeout": AUTHENTICATION_S_MAX,
        "transport_factory": _transport,
    }
    if login.key:
        arguments["key_filename"] = [str(Path(login.key).expanduser())]
        arguments["look_for_keys"] = False
    gateway = _jump(login, keyring) if login.jump else None
    return Connection(
        login.host,
        user=login.user or None,
        port=login.port or None,
        config=config,
        gateway=gateway,
        connect_kwargs=arguments,
    )


def _transport(sock: socket.socket, **options: object) -> paramiko.Transport:
    transport = paramiko.Transport(sock, **options)
    transport.get_security_options().ciphers = CIPHERS
    return transport


def _jump(login: Login, keyring: Keyring) -> Connection:
    user, _, place = login.jump.rpartition("@")
    host, colon, port = place.rpartition(":")
    if not colon or not port.isdecimal():
        host, port = place, "0"
    return _connection(Login(host, user=user, port=int(port), key=login.key), keyring)


def _chain(connection: Connection) -> Iterator[Connection]:
    """Yield the connection and each one it goes through; fabric makes some of them itself."""
    while isinstance(connection, Connection):
        yield connection
        connection = connection.gateway


def _be_strict(connection: Connection, keyring: Keyring) -> None:
    for each in _chain(connection):
        for path in keyring.known_hosts:
            if path.exists():
                each.client.load_system_host_keys(str(path))
        each.client.set_missing_host_key_policy(_Refuse())


def _check_key_files(connection: Connection) -> None:
    for each in _chain(connection):
        for name in each.connect_kwargs.get("key_filename") or ():
            path = Path(name)
            if not path.exists():
                raise UserError(f"there is no ssh key `{path}`", hint="see `key` in the inventory")
            mode = path.stat().st_mode & 0o777
            if mode & 0o077:
                raise UserError(
                    f"others may read the ssh key `{path}`: its mode is {mode:04o}",
                    hint=f"`chmod 600 {path}`",
                )


def _watch(connection: Connection) -> None:
    """See to it that a dead host is noticed."""
    for each in _chain(connection):
        each.transport.set_keepalive(KEEPALIVE_S)
        sock = each.transport.sock
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, DEAD_AFTER_MS)


def _reason(error: BaseException) -> str:
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        error = next(iter(error.errors.values()))
    if isinstance(error, TimeoutError):
        return "no answer"
    if "protocol banner" in str(error):
        return "nothing there speaks ssh"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
