"""Read jobs as people write them, and make specs of them.

A job is a table with the fields of a spec, except that

    layers        are recipes, as in an SConstruct; without any, the program of this host is one
    environment   is a table, added to what every container has
    resources     is a table
    labels        are words that the worker must have
    stdin         is text

and that `priority` and `estimate_s`, which help to schedule it, may be there too.
"""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from maelstrom.client import recipes
from maelstrom.client.target import Offer
from maelstrom.errors import SpecError
from maelstrom.layers import system
from maelstrom.layers.build import BuiltLayer, Hasher
from maelstrom.model.environment import CONTAINER_ENVIRONMENT
from maelstrom.model.label import as_resources
from maelstrom.model.spec import JobSpec

JOBS_MAX = 100_000


class Described(msgspec.Struct, frozen=True):
    """A job as it was written, checked as far as that can be without looking at files."""

    spec: JobSpec
    """Without layers and mounts."""
    layers: tuple[Any, ...]
    mounts: tuple[Any, ...]
    priority: int = 0
    estimate_s: float = 0.0


class Job(NamedTuple):
    """A job that can be submitted."""

    spec: JobSpec
    priority: int
    estimate_s: float


def describe(written: object) -> Described:
    """Read one job; raises SpecError naming what is wrong."""
    if not isinstance(written, dict):
        raise SpecError(f"a job is a table, not {type(written).__name__}")
    rest: dict[str, Any] = dict(written)
    program = rest.get("program")
    others = {
        "layers": rest.pop("layers", [{"type": "programs", "programs": [program]}]),
        "mounts": rest.pop("mounts", []),
        "priority": rest.pop("priority", 0),
        "estimate_s": rest.pop("estimate_s", 0.0),
    }
    try:
        environment = msgspec.convert(rest.pop("environment", {}), type=dict[str, str])
        if "resources" in rest:
            resources = msgspec.convert(rest.pop("resources"), type=dict[str, int])
            rest["resources"] = tuple(resources.items())
        if "labels" in rest:
            rest["resources"] = (*rest.get("resources", ()), *_labels(rest.pop("labels")))
        stdin = msgspec.convert(rest.pop("stdin", ""), type=str)
        spec = msgspec.convert(rest, type=JobSpec)
        spec = msgspec.structs.replace(
            spec,
            environment=tuple(sorted((CONTAINER_ENVIRONMENT | environment).items())),
            stdin=stdin.encode(),
        )
        return msgspec.convert({"spec": spec, **others}, type=Described)
    except msgspec.ValidationError as error:
        raise SpecError(f"a job that cannot be read: {error}") from error


def _labels(written: object) -> tuple[tuple[str, int], ...]:
    words = msgspec.convert(written, type=tuple[str, ...])
    try:
        return as_resources(words)
    except ValueError as error:
        raise SpecError(
            f"`{str(error)[:100]}` is not a label", hint="write a word such as `arch=x86`"
        ) from None


def build(described: Described, *, directory: str, hasher: Hasher, offer: Offer) -> Job:
    """Build the layers of a job, and offer what they are made of; raises MaelstromError."""
    layers: list[BuiltLayer] = [system.build(hasher=hasher)]
    layers += recipes.build_all(described.layers, project=directory, hasher=hasher)
    for layer in layers:
        offer({layer.manifest.digest: layer.manifest.encoded, **layer.sources})
    paths = list(dict.fromkeys(path for layer in layers for path in layer.library_path))
    environment = dict(described.spec.environment)
    if paths:
        given = environment.get("LD_LIBRARY_PATH")
        environment["LD_LIBRARY_PATH"] = ":".join([*([given] if given else []), *paths])
    spec = msgspec.structs.replace(
        described.spec,
        layers=tuple(dict.fromkeys(layer.manifest.digest for layer in layers)),
        mounts=recipes.mounts(described.mounts, project=directory),
        environment=tuple(sorted(environment.items())),
    )
    return Job(spec, described.priority, described.estimate_s)


def read_jobs(text: str, *, is_toml: bool, name: str) -> list[Described]:
    """Read a file of jobs: TOML with one job or `[[job]]`s, or JSON, one after another."""
    try:
        found = list(_toml(text) if is_toml else _json(text))
    except ValueError as error:
        raise SpecError(f"{name}: {error}") from error
    if len(found) > JOBS_MAX:
        raise SpecError(f"{name} has {len(found)} jobs; the limit is {JOBS_MAX}")
    jobs = []
    for number, written in enumerate(found, 1):
        try:
            jobs.append(describe(written))
        except SpecError as error:
            raise SpecError(f"{name}: job {number}: {error.message}", hint=error.hint) from error
    return jobs


def read_file(path: Path) -> list[Described]:
    """Read a file of jobs, by its name's ending."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpecError(f"cannot read {path}: {reason}") from error
    return read_jobs(text, is_toml=path.suffix == ".toml", name=str(path))


def _toml(text: str) -> Iterator[object]:
    table = tomllib.loads(text)
    if set(table) == {"job"} and isinstance(table["job"], list):
        yield from table["job"]
    else:
        yield table


def _json(text: str) -> Iterator[object]:
    decoder = json.JSONDecoder()
    at = 0
    while rest := text[at:].lstrip():
        at = len(text) - len(rest)
        found, at = decoder.raw_decode(text, at)
        if isinstance(found, list):
            yield from found
        else:
            yield found
