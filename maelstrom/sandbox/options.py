"""The command line of the sandbox: from options to a spec."""

import argparse
import os
from collections.abc import Sequence

from maelstrom.errors import SpecError
from maelstrom.model.environment import CONTAINER_ENVIRONMENT
from maelstrom.model.spec import (
    DEVICES,
    DEVICES_KNOWN,
    KERNEL_LIMITS,
    Bind,
    DevPts,
    JobSpec,
    Limits,
    MessageQueue,
    Mount,
    Network,
    RootFileSystem,
    Sys,
    Terminal,
    Tmp,
)

_MOUNTS: dict[str, type[Sys | DevPts | MessageQueue]] = {
    "sys": Sys,
    "devpts": DevPts,
    "mqueue": MessageQueue,
}
_SUFFIXES = {"K": 10, "M": 20, "G": 30}
STDIN_BYTES_MAX = 64 << 20


def parser() -> argparse.ArgumentParser:
    """Return the parser of `maelstrom-sandbox`."""
    made = argparse.ArgumentParser(
        prog="maelstrom-sandbox", description="run one program in a rootless container"
    )
    made.add_argument("--check", action="store_true", help="try what this host allows; remedies")
    made.add_argument("--explain", action="store_true", help="print the steps, and do nothing")
    _add_files(made.add_argument_group("files"))
    _add_world(made.add_argument_group("the container"))
    _add_limits(made.add_argument_group("limits"))
    made.add_argument("command", nargs="*", metavar="PROGRAM ARGUMENT ...")
    return made


def _add_files(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--layer", action="append", default=[], metavar="DIRECTORY", help="lowest first")
    add("--read-only", action="store_true", help="make the root read-only")
    add("--capture", metavar="DIRECTORY", help="bring all changes of the root here, as a layer")
    add("--output", action="append", default=[], metavar="PATH", help="bring this back, to --into")
    add("--into", metavar="DIRECTORY", help="where outputs go; made anew")
    add("--bind", action="append", default=[], metavar="HOST:INSIDE", help="read-only")
    add("--bind-writable", action="append", default=[], metavar="HOST:INSIDE")
    add("--tmp", action="append", default=[], metavar="PATH[:SIZE]")
    add("--mount", action="append", default=[], metavar="TYPE[:PATH]", help=", ".join(_MOUNTS))
    add("--device", action="append", metavar="NAME", help=", ".join((*DEVICES_KNOWN, "none")))
    add("--stdin", metavar="FILE", help="a file of this host, or - for our own standard input")
    add("--stdin-file", default="", metavar="PATH", help="a file in the container")


def _add_world(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--tty", action="store_true", help="on a terminal; ^] ^C ends it, ^] ^Z suspends us")
    add("--network", choices=[network.value for network in Network], default="disabled")
    add("--working-directory", default="/", metavar="PATH")
    add("--environment", action="append", default=[], metavar="NAME=VALUE")
    add("--user", type=int, metavar="NUMBER")
    add("--group", type=int, metavar="NUMBER")
    add("--groups", type=_numbers, default=(), metavar="N,N", help="supplementary; --identities")
    add("--identities", action="store_true", help="have 65536 users and groups")
    add("--powers", action="store_true", help="have all capabilities over the container")
    add("--uptime", type=int, default=-1, metavar="SECONDS", help="what its clocks are to say")


def _add_limits(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--timeout", type=float, default=0.0, metavar="SECONDS")
    add("--memory", type=size, default=0, metavar="SIZE")
    add("--swap", type=size, default=0, metavar="SIZE")
    add("--processors", type=float, default=0.0, metavar="NUMBER")
    add("--disk", type=size, default=0, metavar="SIZE")
    add("--processes", type=int, default=0, metavar="NUMBER")
    add("--open-files", type=int, default=0, metavar="NUMBER")
    add(
        *("--limit",),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=", ".join(KERNEL_LIMITS),
    )


def size(text: str) -> int:
    """Read a number of bytes, as `64M`."""
    shift = _SUFFIXES.get(text[-1:].upper())
    return int(text[:-1]) << shift if shift else int(text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def spec_of(
    options: argparse.Namespace, *, stdin: bytes, terminal: Terminal | None, term: str
) -> JobSpec:
    """Return what the options describe; raises SpecError."""
    command: Sequence[str] = options.command or [""]
    environment = dict(CONTAINER_ENVIRONMENT)
    if terminal is not None:
        environment["TERM"] = term
    environment.update(_pair("environment", one) for one in options.environment)
    usual = 0 if options.powers else 1000
    return JobSpec(
        program=command[0],
        arguments=tuple(command[1:]),
        environment=tuple(environment.items()),
        working_directory=options.working_directory,
        mounts=tuple(_mounts(options)),
        devices=_devices(options.device),
        network=Network(options.network),
        root=_root(options),
        outputs=tuple(options.output),
        stdin=stdin,
        stdin_file=options.stdin_file,
        user=usual if options.user is None else options.user,
        group=usual if options.group is None else options.group,
        groups=options.groups,
        has_identities=options.identities,
        has_powers=options.powers,
        terminal=terminal,
        uptime_s=options.uptime,
        timeout_s=options.timeout,
        limits=_limits(options),
    )


def _root(options: argparse.Namespace) -> RootFileSystem:
    if options.read_only and options.capture:
        raise SpecError("nothing can be captured of a root that is read-only")
    if bool(options.output) != bool(options.into):
        raise SpecError("--output and --into belong together")
    if options.output and options.capture:
        raise SpecError("either --output or --capture: a captured root has everything")
    if options.capture:
        return RootFileSystem.CAPTURED
    return RootFileSystem.READ_ONLY if options.read_only else RootFileSystem.WRITABLE


def _mounts(options: argparse.Namespace) -> list[Mount]:
    found: list[Mount] = []
    for binds, is_read_only in ((options.bind, True), (options.bind_writable, False)):
        for bind in binds:
            host, _, inside = bind.partition(":")
            place = inside or os.path.abspath(host)
            found.append(Bind(place, os.path.abspath(host), is_read_only=is_read_only))
    for tmp in options.tmp:
        path, _, bytes_max = tmp.partition(":")
        try:
            found.append(Tmp(path, size(bytes_max) if bytes_max else 0))
        except ValueError as error:
            raise SpecError(f"--tmp {tmp}: {bytes_max!r} is not a size") from error
    for mount in options.mount:
        kind, _, path = mount.partition(":")
        if kind not in _MOUNTS:
            raise SpecError(f"--mount {kind}: the type is one of {', '.join(_MOUNTS)}")
        found.append(_MOUNTS[kind](path) if path else _MOUNTS[kind]())
    return found


def _devices(names: list[str] | None) -> tuple[str, ...]:
    if names is None:
        return DEVICES
    return tuple(name for name in names if name != "none")


def _limits(options: argparse.Namespace) -> Limits:
    kernel = []
    for one in options.limit:
        name, value = _pair("limit", one)
        try:
            kernel.append((name, size(value)))
        except ValueError as error:
            raise SpecError(f"--limit {one}: {value!r} is not a number") from error
    return Limits(
        memory_bytes_max=options.memory,
        swap_bytes_max=options.swap,
        processors=options.processors,
        write_bytes_max=options.disk,
        processes_max=options.processes,
        open_files_max=options.open_files,
        kernel=tuple(kernel),
    )


def _pair(option: str, text: str) -> tuple[str, str]:
    name, is_there, value = text.partition("=")
    if not is_there:
        raise SpecError(f"--{option} {text}: NAME=VALUE is wanted")
    return name, value
