"""Check this host, or run one program in a container, without broker and worker.

python -m maelstrom.sandbox --check
python -m maelstrom.sandbox --layer DIRECTORY ... [options] -- PROGRAM ARGUMENT ...
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from maelstrom.errors import MaelstromError
from maelstrom.model.outcome import (
    Cancelled,
    ExecutionError,
    Exited,
    InfrastructureFault,
    LimitExceeded,
    Outcome,
    Ran,
    Signaled,
    TimedOut,
)
from maelstrom.model.spec import Bind, JobSpec, Network, RootFileSystem, Tmp
from maelstrom.sandbox.check import check
from maelstrom.sandbox.plan import plan
from maelstrom.sandbox.pool import SlotPool, default_limits, service_user

EXIT_UNAVAILABLE = 4
EXIT_TIMED_OUT = 124
EXIT_CANNOT_RUN = 126


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: the program's own, or one that tells why it did not run."""
    options = _parser().parse_args(arguments)
    if options.check:
        return _check()
    try:
        spec = _spec(options)
        names = [str(number) for number in range(len(options.layer))]
        if options.explain:
            _explain(spec, options.layer, names)
            return 0
        with tempfile.TemporaryDirectory(prefix="maelstrom-layers-") as root:
            for name, layer in zip(names, options.layer, strict=True):
                _place(Path(layer), Path(root, name))
            return _show(asyncio.run(_run(spec, root, names)))
    except MaelstromError as error:
        print(f"maelstrom: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        place = f": `{error.filename}`" if error.filename else ""
        print(f"maelstrom: {error.strerror}{place}", file=sys.stderr)
        return EXIT_UNAVAILABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m maelstrom.sandbox", description="run one program in a rootless container"
    )
    add = parser.add_argument
    add("--check", action="store_true", help="try what this host allows, and name remedies")
    add("--explain", action="store_true", help="print the steps instead of carrying them out")
    add("--layer", action="append", default=[], metavar="DIRECTORY", help="lowest first")
    add("--network", choices=[network.value for network in Network], default="disabled")
    add("--read-only", action="store_true", help="make the root read-only")
    add("--working-directory", default="/", metavar="PATH")
    add("--user", type=int, default=1000)
    add("--group", type=int, default=1000)
    add("--timeout", type=float, default=0.0, metavar="SECONDS")
    add("--environment", action="append", default=[], metavar="NAME=VALUE")
    add("--bind", action="append", default=[], metavar="HOST:INSIDE", help="read-only")
    add("--tmp", action="append", default=[], metavar="PATH")
    add("command", nargs="*", metavar="PROGRAM ARGUMENT ...")
    return parser


def _spec(options: argparse.Namespace) -> JobSpec:
    binds = [bind.partition(":") for bind in options.bind]
    pairs = [pair.partition("=") for pair in options.environment]
    command = options.command or [""]
    return JobSpec(
        program=command[0],
        arguments=tuple(command[1:]),
        environment=tuple((name, value) for name, _, value in pairs),
        working_directory=options.working_directory,
        mounts=(
            *(Bind(inside or host, os.path.abspath(host)) for host, _, inside in binds),
            *(Tmp(path) for path in options.tmp),
        ),
        network=Network(options.network),
        root=RootFileSystem.READ_ONLY if options.read_only else RootFileSystem.WRITABLE,
        user=options.user,
        group=options.group,
        timeout_s=options.timeout,
    )


def _explain(spec: JobSpec, layers: list[str], names: list[str]) -> None:
    for name, layer in zip(names, layers, strict=True):
        print(f"layer {name}: {layer}")
    made = plan(spec, names, default_limits(1))
    print(f"slot: {made.kind}")
    for number, step in enumerate(made.steps, 1):
        print(f"{number:3} {step.text}")
        print(f"      {step}")
    print(f"then: {made.watch}")


def _place(layer: Path, place: Path) -> None:
    """Lay a layer out where the slots find layers: of links, or copies where that cannot be."""
    if not layer.is_dir():
        raise MaelstromError(f"layer `{layer}` is not a directory")

    def link(source: str, target: str) -> str:
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError:
            shutil.copy2(source, target, follow_symlinks=False)
        return target

    shutil.copytree(layer, place, symlinks=True, copy_function=link)


async def _run(spec: JobSpec, root: str, names: list[str]) -> Outcome:
    user = service_user()
    if user is not None:
        os.chown(root, *user)
    pool = SlotPool(slots=1, layers_root=root, service_user=user)
    await pool.start()
    try:
        return await pool.run(spec, names, "job")
    finally:
        await pool.close()


def _show(outcome: Outcome) -> int:
    """Print output and how it ended; return the exit status."""
    if isinstance(outcome, Ran):
        sys.stdout.buffer.write(outcome.effects.stdout.content)
        sys.stderr.buffer.write(outcome.effects.stderr.content)
        sys.stdout.flush()
    match outcome:
        case Exited(status=status):
            return status
        case Signaled(signal=number):
            print(f"maelstrom: ended by signal {number}", file=sys.stderr)
            return 128 + number
        case TimedOut():
            print("maelstrom: ended because its time was up", file=sys.stderr)
            return EXIT_TIMED_OUT
        case LimitExceeded(limit=limit):
            print(f"maelstrom: ended because it used too much {limit}", file=sys.stderr)
            return EXIT_CANNOT_RUN
        case (
            ExecutionError(message=message, hint=hint)
            | InfrastructureFault(message=message, hint=hint)
        ):
            print(f"maelstrom: {message}" + (f"\nhint: {hint}" if hint else ""), file=sys.stderr)
            return EXIT_CANNOT_RUN
        case Cancelled():
            return EXIT_CANNOT_RUN


def _check() -> int:
    status = 0
    for finding in check():
        mark = "ok" if finding.is_ok else "NO" if finding.is_needed else "no"
        print(f"{mark}  {finding.what}")
        if not finding.is_ok:
            print(f"      {finding.message}")
            if finding.remedy:
                print(f"      remedy: {finding.remedy}")
            if finding.is_needed:
                status = EXIT_UNAVAILABLE
    verdict = "rootless containers work here" if not status else "no rootless containers here"
    print(verdict)
    return status


if __name__ == "__main__":
    sys.exit(main())
