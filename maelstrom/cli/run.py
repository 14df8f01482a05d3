"""The program `maelstrom-run`: any job, in a container, here or on a broker."""

import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import click
import msgspec

from maelstrom import __version__
from maelstrom.cli.config import Program
from maelstrom.cli.ending import INTERRUPTED, end
from maelstrom.cli.options import (
    AddressType,
    labels_option,
    read_labels,
    read_resources,
    resources_option,
)
from maelstrom.client import job
from maelstrom.client.engine import Engine, Submission
from maelstrom.client.hybrid import beside
from maelstrom.client.launch import cache_directory
from maelstrom.client.outputs import write_outputs
from maelstrom.client.session import CLOSE_S_MAX, Session
from maelstrom.errors import ProtocolError, StoreError
from maelstrom.layers.hasher import Hasher
from maelstrom.model.digest import Digest
from maelstrom.model.outcome import (
    Cancelled,
    ExecutionError,
    Exited,
    InfrastructureFault,
    LimitExceeded,
    Outcome,
    Signaled,
    TimedOut,
    effects_of,
)
from maelstrom.wire.address import Address

PROGRAM = "maelstrom-run"
NOT_RUN = 125
"""As of env(1): what was to be run was not run at all."""


def exit_status(outcome: Outcome) -> int:
    """Return what a shell would have got if it had run the program itself."""
    match outcome:
        case Exited(status):
            return status
        case Signaled(signal):
            return 128 + signal
        case TimedOut():
            return 124
        case _:
            return NOT_RUN


def describe(outcome: Outcome) -> str:
    """Say how a job ended, in a few words."""
    match outcome:
        case Exited(status):
            return f"exited with {status}"
        case Signaled(signal):
            return f"ended by signal {signal}"
        case TimedOut():
            return "took too long"
        case LimitExceeded(limit):
            return f"used too much: {limit}"
        case ExecutionError(message, hint) | InfrastructureFault(message, hint):
            return f"{message}; {hint}" if hint else message
        case Cancelled():
            return "was cancelled"


class _Printer:
    """Prints outcomes as they come; knows the status to exit with."""

    def __init__(
        self,
        *,
        is_json: bool,
        is_single: bool,
        outputs: Path | None,
        output: Callable[[Digest], Path],
    ) -> None:
        self._outputs = outputs
        self._output = output
        self._is_json = is_json
        self._is_single = is_single
        self._lock = threading.Lock()
        self.status = 0

    def show(self, number: int, outcome: Outcome) -> None:
        """Print one; the first that did not end well decides the status."""
        with self._lock:
            self._keep_files(number, outcome)
            self.status = self.status or exit_status(outcome)
            if self._is_json:
                effects = effects_of(outcome)
                told = {
                    "job": number,
                    "status": exit_status(outcome),
                    "outcome": describe(outcome),
                    "stdout": effects.stdout.text(),
                    "stderr": effects.stderr.text(),
                    "duration_s": effects.duration_s,
                    "worker": effects.worker,
                    "is_cached": effects.is_cached,
                    "missed": effects.missed,
                }
                click.echo(msgspec.json.encode(told))
                return
            effects = effects_of(outcome)
            sys.stdout.buffer.write(effects.stdout.content)
            sys.stdout.buffer.flush()
            sys.stderr.buffer.write(effects.stderr.content)
            if not (self._is_single and isinstance(outcome, Exited)) and exit_status(outcome):
                click.echo(f"{PROGRAM}: job {number} {describe(outcome)}", err=True)
            sys.stderr.flush()

    def _keep_files(self, number: int, outcome: Outcome) -> None:
        files = effects_of(outcome).files
        if not files or self._outputs is None:
            return
        try:
            write_outputs(self._outputs, str(number), "", files, self._output)
        except (OSError, ProtocolError, StoreError) as error:
            self.status = self.status or NOT_RUN
            click.echo(f"{PROGRAM}: cannot write the outputs of job {number}: {error}", err=True)


def _run(
    jobs: Iterable[job.Described],
    engine: Engine,
    printer: _Printer,
    *,
    may_be_cached: bool,
) -> None:
    done = threading.Semaphore(0)
    directory = str(Path.cwd())
    count = 0
    with Hasher(cache_directory() / "digests") as hasher:
        for count, described in enumerate(jobs, 1):
            made = job.build(described, directory=directory, hasher=hasher, offer=engine.offer)

            def take(outcome: Outcome, number: int = count) -> None:
                printer.show(number, outcome)
                done.release()

            engine.submit(
                Submission(
                    made.spec,
                    on_outcome=take,
                    priority=made.priority,
                    estimate_s=made.estimate_s,
                    may_be_cached=may_be_cached,
                )
            )
        for _ in range(count):
            done.acquire()


def _read_jobs(command: tuple[str, ...], path: Path | None) -> list[job.Described]:
    if command and path is not None:
        raise click.UsageError("give either a command or --file")
    if command:
        return [job.describe({"program": command[0], "arguments": list(command[1:])})]
    if path is not None:
        return job.read_file(path)
    return job.read_jobs(sys.stdin.read(), is_toml=False, name="standard input")


@click.command(cls=Program, program="run", context_settings={"allow_interspersed_args": False})
@click.option(
    "--broker",
    "-b",
    type=AddressType(),
    metavar="HOST:PORT",
    help="Run jobs there. [default: here, with a broker and a worker that end with us]",
)
@click.option(
    "--identity",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory with a certificate for the role client. [default: maelstrom/client in the "
    "user's configuration, then in the system's]",
)
@click.option(
    "--slots",
    type=click.IntRange(1, 1000),
    show_default="number of CPUs",
    help="How many jobs run at a time here.",
)
@resources_option
@labels_option
@click.option("--hybrid", "is_hybrid", is_flag=True, help="With a broker: use the slots here, too.")
@click.option(
    "--file",
    "-f",
    "path",
    type=click.Path(path_type=Path),
    help="Read jobs from this file: `.toml`, or JSON, one after another.",
)
@click.option("--json", "is_json", is_flag=True, help="Print one line of JSON for each job.")
@click.option(
    "--outputs",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write what jobs bring back below this directory, by their numbers.",
)
@click.option("--cache", "may_be_cached", is_flag=True, help="Take what is known to have passed.")
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.argument("command", nargs=-1)
def run(
    broker: Address | None,
    identity: Path | None,
    slots: int | None,
    resources: str,
    labels: str,
    is_hybrid: bool,
    path: Path | None,
    is_json: bool,
    outputs: Path | None,
    may_be_cached: bool,
    command: tuple[str, ...],
) -> None:
    """Run any job in a container of its own.

    \b
      maelstrom-run -- sort --version            a program of this host, and nothing else of it
      maelstrom-run -f jobs.toml                 jobs from a file
      generate-jobs | maelstrom-run --json       jobs as JSON from standard input

    A job in a file has the fields of a test in an SConstruct:

    \b
      program = "./build/server"
      arguments = ["--port", "0"]
      timeout_s = 20
      network = "loopback"
      layers = [{ type = "shared-libraries", binaries = ["build/server"] },
                { type = "paths", paths = ["build/server", "data"] }]

    A file with several has each below `[[job]]`. Without `layers` the job sees the program, its
    shared libraries and the system's base.

    Exit status: that of the first job that did not end with 0; 128 and the signal's number; 124 for
    one that took too long, 125 for one that could not be run; 2 wrong arguments or descriptions.
    """
    jobs = _read_jobs(command, path)
    store = cache_directory() / "store"
    has = (*read_resources(resources), *read_labels(labels))

    def session(where: Address | None) -> Session:
        address = str(where) if where is not None else None
        return Session(
            broker=address, slots=slots, resources=has, store_root=store, identity=identity
        )

    shared = session(broker)
    engine: Engine = shared
    if broker is not None:
        engine = beside(shared, lambda: session(None), slots=slots, has=has, is_hybrid=is_hybrid)
    printer = _Printer(
        is_json=is_json, is_single=len(jobs) == 1, outputs=outputs, output=engine.output
    )
    engine.start()
    try:
        _run(jobs, engine, printer, may_be_cached=may_be_cached)
    except KeyboardInterrupt:
        printer.status = INTERRUPTED
    finally:
        engine.close(timeout_s=CLOSE_S_MAX)
    if engine.failure is not None:
        if printer.status:
            raise SystemExit(engine.failure.exit_status)  # Each job has told of it.
        raise engine.failure
    sys.stdout.flush()
    if printer.status:
        raise SystemExit(printer.status)


def main() -> int:
    """Run the program."""
    return end(PROGRAM, lambda: run(prog_name=PROGRAM, standalone_mode=True))


if __name__ == "__main__":
    sys.exit(main())
