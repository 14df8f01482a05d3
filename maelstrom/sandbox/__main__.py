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
from typing import Any

from maelstrom.errors import MaelstromError, SpecError
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
from maelstrom.model.spec import JobSpec
from maelstrom.sandbox.check import check
from maelstrom.sandbox.console import Console, size
from maelstrom.sandbox.options import STDIN_BYTES_MAX, parser, spec_of
from maelstrom.sandbox.plan import plan
from maelstrom.sandbox.pool import SlotPool, default_limits, service_user
from maelstrom.sandbox.ports import Ties
from maelstrom.sandbox.unpack import Unpacker

EXIT_UNAVAILABLE = 4
EXIT_TIMED_OUT = 124
EXIT_CANNOT_RUN = 126


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: the program's own, or one that tells why it did not run."""
    _open_streams()
    options = parser().parse_args(arguments)
    if options.check:
        return _check()
    try:
        spec = _describe(options)
        names = [str(number) for number in range(len(options.layer))]
        if options.explain:
            _explain(spec, options.layer, names)
            return 0
        with tempfile.TemporaryDirectory(prefix="maelstrom-layers-") as root:
            for name, layer in zip(names, options.layer, strict=True):
                _place(Path(layer), Path(root, name))
            return _run_for(options, spec, root, names)
    except MaelstromError as error:
        print(f"maelstrom: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        place = f": `{error.filename}`" if error.filename else ""
        print(f"maelstrom: {error.strerror}{place}", file=sys.stderr)
        return EXIT_UNAVAILABLE


def _open_streams() -> None:
    """Take the place of standard streams that are closed, or what we open would be in it."""
    try:
        while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
            os.set_inheritable(descriptor, True)
    except FileNotFoundError:
        return  # What that host lacks is told later.
    os.close(descriptor)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _describe(options: argparse.Namespace) -> JobSpec:
    terminal = None
    if options.tty:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise SpecError("--tty needs a terminal", hint="leave it out, and use --stdin")
        terminal = size()
    return spec_of(
        options,
        stdin=_stdin(options.stdin),
        terminal=terminal,
        term=os.environ.get("TERM", "dumb"),
    )


def _stdin(path: str | None) -> bytes:
    if path is None:
        return b""
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            content = file.read(STDIN_BYTES_MAX + 1)
    except OSError as error:
        raise SpecError(f"cannot read `{path}`: {error.strerror}") from error
    if len(content) > STDIN_BYTES_MAX:
        raise SpecError(
            f"`{path}` is larger than {STDIN_BYTES_MAX} bytes",
            hint="put it into a layer, and say --stdin-file",
        )
    return content


def _explain(spec: JobSpec, layers: list[str], names: list[str]) -> None:
    for name, layer in zip(names, layers, strict=True):
        print(f"layer {name}: {layer}")
    made = plan(spec, names, default_limits(1))
    print(f"slot: {_brief(made.kind)}")
    for number, step in enumerate(made.steps, 1):
        print(f"{number:3} {step.text}")
        print(f"      {_brief(step)}")
    print(f"then: {_brief(made.watch)}")


def _brief(value: Any) -> str:
    """Return how a named tuple is made, without what is as usual."""
    usual = value._field_defaults
    fields = {name: field for name, field in value._asdict().items() if field != usual.get(name)}
    told = ", ".join(f"{name}={field!r}" for name, field in fields.items())
    return f"{type(value).__name__}({told})"


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
    user = service_user()
    if user is not None:
        # Files may be links to those of the host; directories are ours to give away.
        for directory, _, _ in os.walk(place):
            os.chown(directory, *user)


def _run_for(options: argparse.Namespace, spec: JobSpec, root: str, names: list[str]) -> int:
    place = options.capture or options.into
    files = Unpacker(Path(place)) if place else None
    console = Console() if spec.terminal else None
    ties = Ties(files, console.port if console else None)
    outcome = asyncio.run(_run(spec, root, names, ties, console))
    if files is not None:
        files.close()
    return _show(outcome, is_shown=console is not None)


async def _run(
    spec: JobSpec, root: str, names: list[str], ties: Ties, console: Console | None
) -> Outcome:
    user = service_user()
    if user is not None:
        os.chown(root, *user)
    pool = SlotPool(slots=1, layers_root=root, service_user=user)
    await pool.start()
    try:
        if console is None:
            return await pool.run(spec, names, "job", ties)
        async with console.lent():
            killing = asyncio.create_task(_kill_when_told(console, pool))
            try:
                return await pool.run(spec, names, "job", ties)
            finally:
                killing.cancel()
    finally:
        await pool.close()


async def _kill_when_told(console: Console, pool: SlotPool) -> None:
    await console.kill.wait()
    pool.kill("job")


def _show(outcome: Outcome, *, is_shown: bool) -> int:
    """Print output and how it ended; return the exit status."""
    if isinstance(outcome, Ran) and not is_shown:
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
