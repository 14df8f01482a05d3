"""Read `cluster.toml`: which hosts there are, how to log in, and what each of them does.

Pure: the text comes in, an Inventory or an error that names line and key goes out.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from maelstrom.errors import UserError
from provision import schema
from provision.schema import Source, read_table
from provision.toml_lines import lines_of

FORMAT = 1
BROKER_PORT = 9001
CERTIFICATE_DAYS = 90
WORKERS_MAX = 10_000
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

_LOGIN = {"user": schema.user_name, "key": schema.path_name, "jump": schema.text(
    r"[^\s]{1,400}", 'write "HOST", or "USER@HOST:PORT"')}  # fmt: skip
_TOP = {
    "format": schema.anything,
    "version": schema.text(r"[0-9][0-9A-Za-z.+-]{0,39}", 'write a version such as "1.2.0"'),
    "wheel": schema.path_name,
    "certificate_days": schema.whole(1, 825),
    "ca_passphrase": schema.text(
        r"ask|(file|env|command):.+", 'write "ask", "file:PATH", "env:NAME" or "command:WORDS"'
    ),
    "ssh": schema.anything,
    "broker": schema.anything,
    "workers": schema.anything,
}
_SSH = {
    **_LOGIN,
    "port": schema.port,
    "config": schema.path_name,
    "known_hosts": schema.path_name,
}
_HOST = {
    **_LOGIN,
    "host": schema.host_name,
    "ssh_port": schema.port,
    "store_size": schema.size,
}
_BROKER = {**_HOST, "address": schema.host_name, "port": schema.port}
_WORKER = {
    **_HOST,
    "slots": schema.slots,
    "resources": schema.resources,
    "labels": schema.labels,
    "identities": schema.flag,
}


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach a host; what is empty or zero is left to the ssh configuration."""

    host: str
    user: str = ""
    port: int = 0
    key: str = ""
    jump: str = ""


@dataclass(frozen=True, slots=True)
class BrokerRole:
    """What the broker is told; `address` is where workers and clients find it."""

    address: str
    port: int = BROKER_PORT
    store_size_bytes: int = 10 << 30


@dataclass(frozen=True, slots=True)
class WorkerRole:
    """What a worker is told; no slots means as many as there are CPUs."""

    name: str
    slots: int = 0
    store_size_bytes: int = 10 << 30
    resources: tuple[tuple[str, int], ...] = ()  # What jobs may ask for besides slots.
    labels: tuple[str, ...] = ()  # What jobs may require its host to be.
    has_identities: bool = False  # Its jobs may have several users and groups.


@dataclass(frozen=True, slots=True)
class Host:
    """A machine, and what it is in the cluster: broker, worker, or both."""

    name: str
    login: Login
    broker: BrokerRole | None = None
    worker: WorkerRole | None = None

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the names of what it does."""
        both = (("broker", self.broker), ("worker", self.worker))
        return tuple(name for name, role in both if role is not None)


@dataclass(frozen=True, slots=True)
class Inventory:
    """All of `cluster.toml`; the broker's host comes first."""

    hosts: tuple[Host, ...]
    version: str = ""
    wheel: str = ""
    ssh_config: str = ""
    known_hosts: str = ""
    certificate_days: int = CERTIFICATE_DAYS
    ca_passphrase: str = ""  # Where it is.

    @property
    def broker(self) -> BrokerRole:
        """Return the broker's role."""
        role = self.hosts[0].broker
        assert role is not None, "the broker's host comes first"
        return role

    @property
    def broker_place(self) -> str:
        """Return where workers and clients find the broker, as they write it."""
        address = self.broker.address
        host = f"[{address}]" if ":" in address else address
        return f"{host}:{self.broker.port}"

    def host(self, name: str) -> Host:
        """Return a host by its name."""
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts)
        raise UserError(f"the inventory has no host `{name}`", hint=f"it has {known}")


def read_inventory(text: str, name: str = "cluster.toml") -> Inventory:
    """Return what the text says; raises UserError."""
    try:
        top = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(name, str(error)) from error
    source = Source(name, lines_of(text))
    _check_format(source, top)
    values = read_table(source, (), top, _TOP, "the inventory")
    ssh = read_table(source, ("ssh",), values.get("ssh", {}), _SSH, "`[ssh]`")
    if "broker" not in values:
        raise source.error((), "there is no broker", 'add `[broker]` with `host = "ADDRESS"`')
    broker = read_table(source, ("broker",), values["broker"], _BROKER, "the broker")
    _need_host(source, ("broker",), broker)
    first = Host(
        name="broker",
        login=_login(broker, ssh),
        broker=BrokerRole(
            address=broker.get("address", broker["host"]),
            **_given(port=broker.get("port"), store_size_bytes=broker.get("store_size")),
        ),
    )
    hosts = _merge(source, first, list(_workers(source, values.get("workers", {}), ssh)))
    return Inventory(
        hosts=tuple(hosts),
        version=values.get("version", ""),
        wheel=values.get("wheel", ""),
        ssh_config=ssh.get("config", ""),
        known_hosts=ssh.get("known_hosts", ""),
        certificate_days=values.get("certificate_days", CERTIFICATE_DAYS),
        ca_passphrase=values.get("ca_passphrase", ""),
    )


def _check_format(source: Source, top: Mapping[str, Any]) -> None:
    found = top.get("format")
    if found is None:
        raise source.error(
            (), "it does not say its `format`", f"write `format = {FORMAT}` at its top"
        )
    if isinstance(found, int) and found > FORMAT:
        raise source.error(
            ("format",), f"format {found} is newer than what this version reads",
            f"update this checkout, or write it in format {FORMAT}",
        )  # fmt: skip
    if found != FORMAT:
        raise source.error(("format",), f"`format = {found!r}` cannot be", f"write `{FORMAT}`")


def _workers(source: Source, tables: object, ssh: Mapping[str, Any]) -> Iterator[Host]:
    hint = 'add `[workers.w1]` with `host = "ADDRESS"`'
    if not isinstance(tables, dict):
        raise source.error(("workers",), "`workers` is not a table of workers", hint)
    if not tables:
        raise source.error(("workers",), "there is a broker but no worker", hint)
    if len(tables) > WORKERS_MAX:
        raise source.error(("workers",), f"{len(tables)} workers", f"at most {WORKERS_MAX} can be")
    for name, table in tables.items():
        path = ("workers", name)
        if not _NAME.fullmatch(name) or name == "broker":
            raise source.error(
                path, f"`{name}` cannot be the name of a worker",
                "use lower-case letters, digits and hyphens; `broker` is taken",
            )  # fmt: skip
        values = read_table(source, path, table, _WORKER, f"worker `{name}`")
        _need_host(source, path, values)
        given = _given(
            slots=values.get("slots"),
            store_size_bytes=values.get("store_size"),
            resources=values.get("resources"),
            labels=values.get("labels"),
            has_identities=values.get("identities"),
        )
        yield Host(name, _login(values, ssh), worker=WorkerRole(name, **given))


def _need_host(source: Source, path: tuple[str, ...], values: Mapping[str, Any]) -> None:
    if "host" not in values:
        raise source.error(path, f"`[{'.'.join(path)}]` has no `host`", 'add `host = "ADDRESS"`')


def _merge(source: Source, broker: Host, workers: list[Host]) -> list[Host]:
    """Return the machines: a worker on the broker's host and the broker are one."""
    hosts: dict[tuple[str, int], Host] = {_machine(broker): broker}
    for host in workers:
        there = hosts.get(_machine(host))
        if there is None:
            hosts[_machine(host)] = host
        elif there.worker is None:
            if there.login != host.login:
                raise source.error(
                    ("workers", host.name), f"worker `{host.name}` is on the broker's host, which"
                    " has another login", "give both the same `user`, `key` and `jump`",
                )  # fmt: skip
            hosts[_machine(host)] = replace(there, worker=host.worker)
        else:
            raise source.error(
                ("workers", host.name, "host"),
                f"workers `{there.worker.name}` and `{host.name}` are the same host",
                "keep one of them, and give it the `slots` of both",
            )
    return list(hosts.values())


def _machine(host: Host) -> tuple[str, int]:
    return host.login.host.lower(), host.login.port


def _login(values: Mapping[str, Any], ssh: Mapping[str, Any]) -> Login:
    return Login(
        host=values["host"],
        user=values.get("user", ssh.get("user", "")),
        port=values.get("ssh_port", ssh.get("port", 0)),
        key=values.get("key", ssh.get("key", "")),
        jump=values.get("jump", ssh.get("jump", "")),
    )


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _not_toml(name: str, message: str) -> UserError:
    where = re.search(r"\(at line (\d+), column \d+\)", message)
    line = f" line {where[1]}" if where else ""
    what = re.sub(r"\s*\(at .*\)$", "", message)
    twice = re.search(r"Cannot declare \('workers', '([^']*)'\) twice", message)
    if twice:
        return UserError(
            f"{name}{line}: worker `{twice[1]}` is there twice",
            hint="give each worker its own name",
        )
    return UserError(
        f"{name}{line}: {what[:1].lower()}{what[1:]}", hint="see toml.io for its rules"
    )
