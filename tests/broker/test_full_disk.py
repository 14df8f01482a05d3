"""A broker whose disk fills while contents arrive: their client is told, and the others go on."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from maelstrom.client.engine import Submission
from maelstrom.model.digest import Digest
from maelstrom.model.manifest import File, Manifest
from maelstrom.model.outcome import Exited, InfrastructureFault, Outcome
from maelstrom.model.spec import JobSpec
from tests.support.grid import Grid

DISK = "4m"
LARGE = os.urandom(6 << 20)


def on_small_disk(directory: Path) -> tuple[str, ...]:
    """Return how a command is begun so that the directory has a small disk of its own."""
    return (
        *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
        f'mount -t tmpfs -o size={DISK} tmpfs "{directory}" && exec "$@"',
        "sh",
    )


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    (tmp_path / "broker").mkdir()
    prefix = on_small_disk(tmp_path / "broker")
    if subprocess.run([*prefix, shutil.which("true") or "true"], check=False).returncode:
        assert not os.environ.get("MAELSTROM_MUST_SANDBOX"), "no mounts in a user namespace"
        pytest.skip("no mounts in a user namespace here")
    grid = Grid(tmp_path)
    await grid.start_broker_process(prefix=prefix)
    yield grid
    await grid.close()


def job_in(grid: Grid, content: bytes) -> tuple[JobSpec, dict[Digest, bytes]]:
    """Return a job in a layer that has this content, and where the contents are."""
    manifest = Manifest([("x", File(Digest.of(content)))])
    sources = {manifest.digest: manifest.encoded, Digest.of(content): content}
    return JobSpec(program="x", arguments=("0",), layers=(manifest.digest,)), sources


async def test_only_the_jobs_that_need_what_does_not_fit_fail(grid: Grid) -> None:
    address = f"plain:127.0.0.1:{grid.port}"
    worker, ann, bob = (
        grid.add_worker(address),
        grid.add_session(address),
        grid.add_session(address),
    )
    await grid.welcomed(ann, bob, worker)
    loop = asyncio.get_running_loop()
    told: list[asyncio.Future[Outcome]] = []
    for session, content in ((ann, LARGE), (bob, b"small")):
        spec, sources = job_in(grid, content)
        session.offer(sources)
        told.append(loop.create_future())
        session.submit(
            Submission(
                spec,
                on_outcome=lambda outcome, future=told[-1]: (
                    loop.call_soon_threadsafe(  # type: ignore[misc]  # Its own.
                        future.set_result, outcome
                    )
                    and None
                ),
            )
        )
    failed, passed = [await asyncio.wait_for(future, 60) for future in told]
    assert isinstance(failed, InfrastructureFault)
    assert "No space left on device" in failed.message
    assert Digest.of(LARGE).hash[:12] in failed.message or "layer" in failed.message
    assert isinstance(passed, Exited), passed
    # There is room again for what fits.
    spec, sources = job_in(grid, b"also small")
    ann.offer(sources)
    again: asyncio.Future[Outcome] = loop.create_future()
    ann.submit(Submission(spec, lambda o: loop.call_soon_threadsafe(again.set_result, o) and None))
    assert isinstance(await asyncio.wait_for(again, 60), Exited)
