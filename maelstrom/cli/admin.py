"""The program `maelstrom-admin`."""

import sys

import click

from maelstrom import __version__
from maelstrom.cli.authority import ca
from maelstrom.cli.ending import end
from maelstrom.cli.operating import cancel, drain, explain_order, limit, status, stop, undrain

PROGRAM = "maelstrom-admin"


@click.group(context_settings={"max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def admin() -> None:
    """Look after a cluster: certificates, and what the broker is to do.

    Exit status: 0 done, 2 wrong arguments, 3 trouble with network or files.
    """


for command in (ca, status, explain_order, drain, undrain, limit, cancel, stop):
    admin.add_command(command)


def main() -> int:
    """Run the program."""
    return end(PROGRAM, lambda: admin(prog_name=PROGRAM, standalone_mode=True))


if __name__ == "__main__":
    sys.exit(main())
