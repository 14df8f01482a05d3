"""What lies mounted below a bind, before a job runs or while it does, is not its to write to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.sandbox.conftest import Sandbox

# Run in namespaces of its own, whose mounts are shared as those of a usual host are.
HOST = """
import asyncio, os, sys
from pathlib import Path
from maelstrom.linux import mount
from maelstrom.model.spec import Bind, JobSpec
from maelstrom.sandbox.pool import SlotPool, service_user
from tests.sandbox.hosts import MNT, enter

SHARED = 1 << 20
WAIT = "touch /b/before/written; ls /b/before;"
WAIT += "while ! [ -e /b/go ]; do sleep 0.01; done; touch /b/below/written; ls /b/below"

async def main():
    pool = SlotPool(slots=1, layers_root=sys.argv[1], service_user=service_user())
    await pool.start()
    spec = JobSpec(program="sh", arguments=("-c", WAIT), mounts=(Bind("/b", MNT),), timeout_s=20.0)
    running = asyncio.create_task(pool.run(spec, ("shell",), "job"))
    await asyncio.sleep(0.2)
    mount.mount(b"tmpfs", f"{MNT}/below".encode(), b"tmpfs", 0, b"mode=777")
    Path(MNT, "go").touch()
    outcome = await running
    await pool.close()
    print(outcome.effects.stdout.text(), outcome.effects.stderr.text())
    print(os.listdir(f"{MNT}/before"), os.listdir(f"{MNT}/below"))

enter()
mount.mount(b"tmpfs", MNT.encode(), b"tmpfs", 0, b"mode=777")
mount.mount(b"", MNT.encode(), b"", SHARED, b"")
Path(MNT, "below").mkdir()
Path(MNT, "before").mkdir()
mount.mount(b"tmpfs", f"{MNT}/before".encode(), b"tmpfs", 0, b"mode=777")
Path(MNT, "before/there").touch()
asyncio.run(main())
"""


def test_a_read_only_bind_is_so_with_all_below_and_shows_no_later_mount(
    sandbox: Sandbox, layers_root: Path, tmp_path: Path
) -> None:
    # Of our own user, who is the only one in there.
    shutil.copytree(layers_root / "shell", tmp_path / "shell", symlinks=True)
    root = str(Path(__file__).parents[2])
    found = subprocess.run(
        [sys.executable, "-c", HOST, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.split("\n")[-2] == "['there'] []", found
    assert found.stdout.startswith("there\n"), "what was mounted before is there"
    assert found.stdout.count("Read-only file system") == 2
