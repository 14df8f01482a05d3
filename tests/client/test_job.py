"""Jobs as people write them."""

from pathlib import Path

import pytest

from maelstrom.client import job
from maelstrom.errors import SpecError
from maelstrom.layers.hasher import Hasher
from maelstrom.model.spec import Bind, Network

HELLO = {"program": "hello"}


def read(text: str, *, is_toml: bool = False) -> list[job.Described]:
    return job.read_jobs(text, is_toml=is_toml, name="jobs")


def test_a_job_has_the_fields_of_a_spec_in_a_friendlier_form() -> None:
    [found] = read(
        """
        program = "server"
        arguments = ["--port", "0"]
        network = "loopback"
        timeout_s = 20
        stdin = "hi"
        priority = 5
        environment = { PORT = "0", TZ = "CET" }
        resources = { slots = 2, gpu = 1 }
        labels = ["arch=x86"]
        limits = { processes_max = 9 }
        """,
        is_toml=True,
    )
    spec = found.spec
    assert (spec.program, spec.arguments, spec.stdin) == ("server", ("--port", "0"), b"hi")
    assert (spec.network, spec.timeout_s, found.priority) == (Network.LOOPBACK, 20.0, 5)
    environment = dict(spec.environment)
    assert (environment["PORT"], environment["TZ"], environment["HOME"]) == ("0", "CET", "/tmp")
    assert dict(spec.resources) == {"slots": 2, "gpu": 1, "label:arch=x86": 1}
    assert spec.limits.processes_max == 9
    assert found.layers == ({"type": "programs", "programs": ["server"]},)


@pytest.mark.parametrize(
    ("text", "is_toml", "programs"),
    [
        ("", False, []),
        ('{"program": "a"}', False, ["a"]),
        ('{"program": "a"}\n{"program": "b"} {"program": "c"}\n', False, ["a", "b", "c"]),
        ('[{"program": "a"}, {"program": "b"}]', False, ["a", "b"]),
        ('[[job]]\nprogram = "a"\n[[job]]\nprogram = "b"\n', True, ["a", "b"]),
    ],
)
def test_a_file_has_one_job_or_many(text: str, is_toml: bool, programs: list[str]) -> None:
    assert [each.spec.program for each in read(text, is_toml=is_toml)] == programs


@pytest.mark.parametrize(
    ("text", "is_toml", "reason"),
    [
        ("{", False, "jobs: Expecting property name"),
        ("7", False, "jobs: job 1: a job is a table, not int"),
        ('{"program": "a"} {}', False, "jobs: job 2: .*missing required field `program`"),
        ('{"program": "a", "timout": 1}', False, "unknown field `timout`"),
        ('{"program": "a", "timeout_s": "1"}', False, "Expected `float`, got `str`"),
        ('{"program": "a", "environment": {"A": 1}}', False, "Expected `str`, got `int`"),
        ('{"program": "a", "environment": {"A=": "1"}}', False, "'A=' cannot be the name"),
        ('{"program": "a", "layers": 1}', False, "Expected `array`, got `int`"),
        ('{"program": "a", "resources": {"slots": 0}}', False, "needs a positive amount"),
        ('{"program": "a", "labels": ["a b"]}', False, "`a b` is not a label"),
        ('{"program": "a", "labels": "a"}', False, "Expected `array`, got `str`"),
        ('{"program": ""}', False, "a job needs a program"),
        ("program = ", True, "jobs: Invalid value"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, is_toml: bool, reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        read(text, is_toml=is_toml)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cannot read .*none.json: No such file"):
        job.read_file(tmp_path / "none.json")
    (tmp_path / "bad.json").write_bytes(b"\xff")
    with pytest.raises(SpecError, match=r"cannot read .*bad.json"):
        job.read_file(tmp_path / "bad.json")


def test_layers_and_mounts_start_at_the_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    described = job.describe(
        {
            **HELLO,
            "layers": [{"type": "paths", "paths": ["data"]}],
            "mounts": [{"type": "bind", "mount_point": "/d", "host_path": "data"}],
        }
    )
    offered: dict[object, object] = {}
    with Hasher() as hasher:
        made = job.build(described, directory=str(tmp_path), hasher=hasher, offer=offered.update)
    assert len(made.spec.layers) == 2
    assert set(made.spec.layers) <= set(offered)
    assert str(tmp_path / "data") in offered.values()
    [mount] = made.spec.mounts
    assert isinstance(mount, Bind)
    assert mount.host_path == str(tmp_path / "data")
