"""Run a command where the lab's mounts, namespaces and processes vanish with it, even killed.

python -m tests.provision.lab [SUITE ...] -- COMMAND ...
The images are built before, because that needs the machine's own network.
"""

import os
import signal
import sys

from tests.provision.lab.image import image

# A clean /proc of this machine would stay hidden below the hosts' own, and let them mount more of
# them: hosts that are containers elsewhere have no such luck, so part of it is covered.
_SCRIPT = (
    "mount --bind /proc/sys /proc/sys;"
    " for d in /run/netns /run/systemd/nspawn; do mkdir -p $d && mount -t tmpfs lab $d; done;"
    ' exec "$@"'
)


def main() -> None:
    """Build the images, then become the command."""
    split = sys.argv.index("--")
    for suite in sys.argv[1:split]:
        image(suite)
    # Tests of real hosts are collected only here.
    os.environ["MAELSTROM_TEST_HOSTS"] = " ".join(sys.argv[1:split])
    # Shells start what is in the background so that it never hears of Ctrl-C; our tests send it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(
        "unshare",
        ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc",
         "--kill-child=KILL", "sh", "-c", _SCRIPT, "sh", *sys.argv[split + 1 :]],
    )  # fmt: skip


if __name__ == "__main__":
    main()
