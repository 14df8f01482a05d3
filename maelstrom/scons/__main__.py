"""`python -m maelstrom.scons install-shim`: let SCons find the tool by name for this user."""

import sys
from pathlib import Path

USAGE = """\
usage: python -m maelstrom.scons install-shim [DIRECTORY]

Writes the shim by which `Environment(tools=["default", "maelstrom"])` finds the tool into
DIRECTORY/site_tools; DIRECTORY is ~/.scons/site_scons if not given, or a project's site_scons.
"""


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    if arguments[:1] != ["install-shim"] or len(arguments) > 2:
        is_help = arguments in (["-h"], ["--help"])
        print(USAGE, end="", file=sys.stdout if is_help else sys.stderr)
        return 0 if is_help else 2
    default = Path.home() / ".scons/site_scons"
    directory = Path(arguments[1]) if len(arguments) == 2 else default
    path = directory / "site_tools/maelstrom/__init__.py"
    content = (Path(__file__).parent / "shim.py").read_text(encoding="utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        print(f"cannot write {path}: {error.strerror}", file=sys.stderr)
        return 3
    print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
