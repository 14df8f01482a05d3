"""Run a command whose processes may be programs of another processor; root, Linux 6.7.

QEMU's emulation of programs is made known to a user namespace, which ends with the command, and to
nobody else on this host: our own tests say, too, what such a program does where none can run it.
"""

import subprocess
from pathlib import Path

EMULATOR = "/usr/bin/qemu-aarch64-static"
# The first bytes of its ELF header, and which bits of them matter: any system, program or library.
_HEAD = "7f454c460201010000000000000000000200b700"
_MASK = "ffffffffffffff00fffffffffffffffffeffffff"
_PREPARE = """
echo entered
read mapped
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || exit
printf %s "$0" > /proc/sys/fs/binfmt_misc/register || exit
exec "$@"
"""


def _escaped(digits: str) -> str:
    return "".join(f"\\x{digits[at : at + 2]}" for at in range(0, len(digits), 2))


def run(*command: str) -> None:
    """Run it until it ends, as a root that may do little more than give files away."""
    # F: the emulator is opened now, so that it is found in any root.
    rule = f":foreign:M::{_escaped(_HEAD)}:{_escaped(_MASK)}:{EMULATOR}:F"
    enter = ("unshare", "--user", "--mount", "sh", "-c", _PREPARE, rule)
    with subprocess.Popen(
        [*enter, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{process.pid}/{name}").write_text("0 0 65536")
        process.stdin.write(b"mapped\n")
        process.stdin.close()
        process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"`{command[0]}` ended with status {process.returncode}")
