"""A job with capabilities: all attempts to escape again, with no more than its powers to show."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maelstrom.model.outcome import Exited
from maelstrom.model.spec import Bind, DevPts, Sys
from maelstrom.sandbox.pool import service_user
from tests.sandbox.conftest import Sandbox, text
from tests.sandbox.test_escapes import ANSWERS, REFUSED, _look

ROOT = {"user": 0, "group": 0, "has_powers": True}
# What it may do to its own namespaces. Who puts /tmp over his root finds the root above it.
POWERS = {
    *("mount", "configure the root", "pivot", "climb above the root", "have a new file system"),
    *("have new mounts", "have a new network", "start a network device"),
    *("name the host", "name the domain", "send packets", "send raw packets"),
    *("gain capabilities", "unlock security bits"),
}


@pytest.fixture(scope="module")
def shared_directory() -> Iterator[Path]:
    """Return a directory of the host to be bound read-only."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        shared = Path(directory)
        (shared / "inner").mkdir()
        for path in (shared / "given", shared / "inner/given"):
            path.write_text("given\n")
        user = service_user()
        if user is not None:
            for path in (shared, *shared.rglob("*")):
                os.chown(path, *user)
        for path in (shared, *shared.rglob("*")):
            path.chmod(0o777)
        yield shared


@pytest.mark.parametrize("is_foreseen", [False, True], ids=["begun anew", "made ahead"])
@pytest.mark.parametrize(("way", "wins"), [("direct", POWERS), ("nested", set())])
def test_powers_end_where_the_container_does(
    sandbox: Sandbox,
    layers_root: Path,
    shared_directory: Path,
    way: str,
    wins: set[str],
    *,
    is_foreseen: bool,
) -> None:
    before = _look(layers_root), _look(shared_directory)
    fields: dict[str, Any] = {
        "layers": ("shell", "small0", "escape"),
        "mounts": (Bind("/ro", str(shared_directory)), Sys(), DevPts()),
        **ROOT,
    }
    # What is made ready for the next job is what this one has had.
    sandbox.run("id", **fields if is_foreseen else fields | {"layers": ("shell",)})
    outcome = sandbox.run("/escape", way, timeout_s=60.0, **fields)
    answers = dict(line.rsplit("=", 1) for line in text(outcome).splitlines())
    assert {name for name, answer in answers.items() if answer == "ESCAPED"} == wins
    # Its own mounts lie over the terminals after all that.
    usual = {name: ANSWERS.get(name, REFUSED) | {"ENOENT"} for name in answers}
    others = {name: answer for name, answer in answers.items() if name not in wins}
    assert {name for name, answer in others.items() if answer not in usual[name]} == set()
    assert (_look(layers_root), _look(shared_directory)) == before


def test_what_it_did_to_its_mounts_is_gone_with_it(sandbox: Sandbox) -> None:
    script = "mount -t tmpfs none /etc && mount -t tmpfs none /bin && echo done"
    assert text(sandbox.run("sh", "-c", script, **ROOT)) == "done\n"
    assert isinstance(sandbox.run("cat", "/etc/passwd"), Exited)
    assert "root" not in text(sandbox.run("cat", "/etc/passwd", **ROOT))
