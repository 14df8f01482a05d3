"""Know which artifacts a job still lacks, and whom to ask for them.

Rules of this file:
1. A job is ready when all its layers are whole: their manifests are here, and all the contents
   these name. Manifests come first, since only they tell the contents.
2. A client is asked once at the most for a digest. When the one who was asked cannot give it or
   leaves, the next one who waits for it is asked; when nobody is left to ask, the jobs fail.
3. A layer stays pinned as long as a client that named it is here.
4. Whoever withholds a content, or gives a wrong one, harms nobody but those who named it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

import msgspec

from maelstrom.model.digest import Digest
from maelstrom.model.ids import ClientId, JobId

# Events


class JobArrived(msgspec.Struct, frozen=True):
    """A client wants a job to be run in these layers."""

    job: JobId
    layers: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class JobWithdrawn:
    """A job is not wanted any more."""

    job: JobId


@dataclass(frozen=True, slots=True)
class ClientLeft:
    """A client is gone, and its jobs with it."""

    client: ClientId


@dataclass(frozen=True, slots=True)
class ClientBack:
    """A client could not be reached for a while; it may not have heard what it was asked for."""

    client: ClientId


@dataclass(frozen=True, slots=True)
class LayerChecked:
    """The store was searched for a layer; these are lacking: its manifest, or some contents."""

    layer: Digest
    lacking: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class LayerBroken:
    """A layer's manifest was read and cannot be right."""

    layer: Digest
    message: str


@dataclass(frozen=True, slots=True)
class ArtifactArrived:
    """A content is in the store now, verified."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class ArtifactRefused:
    """A client that was asked did not give the right content."""

    digest: Digest
    client: ClientId
    message: str


Event: TypeAlias = (
    JobArrived
    | JobWithdrawn
    | ClientLeft
    | ClientBack
    | LayerChecked
    | LayerBroken
    | ArtifactArrived
    | ArtifactRefused
)

# Instructions


@dataclass(frozen=True, slots=True)
class CheckLayer:
    """Look what the store lacks of a layer; LayerChecked or LayerBroken follows."""

    layer: Digest


@dataclass(frozen=True, slots=True)
class AskClient:
    """Ask for contents; ArtifactArrived or ArtifactRefused follows for each, or ClientLeft."""

    client: ClientId
    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class PinLayer:
    """Keep a layer, and all it is made of, from eviction."""

    layer: Digest


@dataclass(frozen=True, slots=True)
class UnpinLayer:
    """Let a layer go when room is needed."""

    layer: Digest


class JobReady(msgspec.Struct, frozen=True):
    """All that the job needs is here."""

    job: JobId


@dataclass(frozen=True, slots=True)
class JobFailed:
    """The job cannot be given what it needs."""

    job: JobId
    message: str
    is_clients_fault: bool


Instruction: TypeAlias = CheckLayer | AskClient | PinLayer | UnpinLayer | JobReady | JobFailed


@dataclass(slots=True)
class _Layer:
    """A layer that some client named."""

    clients: dict[ClientId, None] = field(default_factory=dict)
    jobs: dict[JobId, None] = field(default_factory=dict)
    """Those that wait for it."""
    lacking: dict[Digest, None] = field(default_factory=dict)
    is_whole: bool = False
    is_checking: bool = True


@dataclass(slots=True)
class _Artifact:
    """A content that is lacking."""

    layers: dict[Digest, None] = field(default_factory=dict)
    asked: ClientId | None = None
    tried: dict[ClientId, str] = field(default_factory=dict)
    """Those who could not give it, and what they said."""


class Gatherer:
    """The core; `handle` is the only way in."""

    def __init__(self) -> None:
        self._layers: dict[Digest, _Layer] = {}
        self._artifacts: dict[Digest, _Artifact] = {}
        self._waiting: dict[JobId, dict[Digest, None]] = {}
        self._clients: dict[ClientId, dict[Digest, None]] = {}
        self._jobs: dict[ClientId, dict[JobId, None]] = {}

    def handle(self, event: Event) -> list[Instruction]:
        """Take an event in; return what must be done now, in this order."""
        match event:
            case JobArrived():
                return self._arrive(event.job, event.layers)
            case JobWithdrawn(job):
                self._forget(job)
                return []
            case ClientLeft(client):
                return self._leave(client)
            case ClientBack(client):
                asked = [d for d, artifact in self._artifacts.items() if artifact.asked == client]
                return [AskClient(client, tuple(asked))] if asked else []
            case LayerChecked(layer, lacking):
                return self._checked(layer, lacking)
            case LayerBroken(layer, message):
                return self._broken(layer, message)
            case ArtifactArrived(digest):
                return self._arrived(digest)
            case ArtifactRefused(digest, client, message):
                return self._refused(digest, client, message)
            case _:
                assert_never(event)

    def is_wanted(self, digest: Digest, client: ClientId) -> bool:
        """Whether this client was asked for this content and has not given it yet."""
        artifact = self._artifacts.get(digest)
        return artifact is not None and artifact.asked == client

    @property
    def waiting(self) -> int:
        """How many jobs lack contents."""
        return len(self._waiting)

    def is_waiting(self, job: JobId) -> bool:
        """Whether something is still lacking for this job."""
        return job in self._waiting

    def _arrive(self, job: JobId, layers: tuple[Digest, ...]) -> list[Instruction]:
        assert job not in self._waiting, "a job arrives once"
        named = self._clients.setdefault(job.client, {})
        done: list[Instruction] = []
        lacking: dict[Digest, None] = {}
        for digest in layers:
            layer = self._layers.get(digest)
            if layer is None:
                layer = self._layers[digest] = _Layer()
                done += [PinLayer(digest), CheckLayer(digest)]
            if digest not in named:
                named[digest] = None
                layer.clients[job.client] = None
            if not layer.is_whole:
                lacking[digest] = None
                layer.jobs[job] = None
        if not lacking:
            return [*done, JobReady(job)]
        self._waiting[job] = lacking
        self._jobs.setdefault(job.client, {})[job] = None
        # One that failed for all who were here may be had from one who came later.
        for digest in lacking:
            layer = self._layers[digest]
            if not layer.is_checking and not layer.lacking:
                layer.is_checking = True
                done.append(CheckLayer(digest))
            else:
                done += self._ask(layer.lacking)
        return done

    def _checked(self, digest: Digest, lacking: tuple[Digest, ...]) -> list[Instruction]:
        layer = self._layers.get(digest)
        if layer is None or not layer.is_checking:
            return []  # All who named it left meanwhile; and perhaps somebody came back.
        layer.is_checking = False
        layer.is_whole = not lacking
        if not lacking:
            return self._finish(layer, digest)
        layer.lacking = dict.fromkeys(lacking)
        for content in layer.lacking:
            self._artifacts.setdefault(content, _Artifact()).layers[digest] = None
        return self._ask(layer.lacking)

    def _finish(self, layer: _Layer, digest: Digest) -> list[Instruction]:
        done: list[Instruction] = []
        for job in layer.jobs:
            waiting = self._waiting[job]
            del waiting[digest]
            if not waiting:
                del self._waiting[job]
                del self._jobs[job.client][job]
                done.append(JobReady(job))
        layer.jobs.clear()
        return done

    def _ask(self, digests: Iterable[Digest]) -> list[Instruction]:
        """Ask, for each of these, the first client that waits for it and was not asked yet."""
        asks: dict[ClientId, list[Digest]] = {}
        failed: list[Instruction] = []
        for digest in list(digests):
            artifact = self._artifacts.get(digest)
            if artifact is None or artifact.asked is not None:
                continue  # Asked already, or needless since another one was given up.
            client = self._next_client(artifact)
            if client is None:
                failed += self._give_up(digest)
            else:
                artifact.asked = client
                asks.setdefault(client, []).append(digest)
        return [*(AskClient(client, tuple(those)) for client, those in asks.items()), *failed]

    def _next_client(self, artifact: _Artifact) -> ClientId | None:
        for layer in artifact.layers:
            for client in self._layers[layer].clients:
                if client not in artifact.tried:
                    return client
        return None

    def _give_up(self, digest: Digest) -> list[Instruction]:
        """Nobody can give it: fail the jobs that need it."""
        artifact = self._artifacts[digest]
        message = next(reversed(artifact.tried.values()), "nobody has it")
        done: list[Instruction] = []
        for layer in list(artifact.layers):
            self._drop_lacking(layer)
            for job in list(self._layers[layer].jobs):
                self._forget(job)
                done.append(JobFailed(job, message, is_clients_fault=False))
        return done

    def _drop_lacking(self, digest: Digest) -> None:
        """Forget what a layer lacks; it is checked anew if it is named again."""
        layer = self._layers[digest]
        for content in layer.lacking:
            artifact = self._artifacts[content]
            del artifact.layers[digest]
            if not artifact.layers:
                del self._artifacts[content]
        layer.lacking.clear()

    def _broken(self, digest: Digest, message: str) -> list[Instruction]:
        layer = self._layers.get(digest)
        if layer is None or not layer.is_checking:
            return []
        layer.is_checking = False
        jobs = list(layer.jobs)
        for job in jobs:
            self._forget(job)
        return [JobFailed(job, message, is_clients_fault=True) for job in jobs]

    def _arrived(self, digest: Digest) -> list[Instruction]:
        artifact = self._artifacts.pop(digest, None)
        if artifact is None:
            return []
        done: list[Instruction] = []
        for name in artifact.layers:
            layer = self._layers[name]
            del layer.lacking[digest]
            if not layer.lacking and digest == name:
                # It was the manifest, and only now can be seen what else is lacking.
                layer.is_checking = True
                done.append(CheckLayer(name))
            elif not layer.lacking:
                layer.is_whole = True
                done += self._finish(layer, name)
        return done

    def _refused(self, digest: Digest, client: ClientId, message: str) -> list[Instruction]:
        artifact = self._artifacts.get(digest)
        if artifact is None or artifact.asked != client:
            return []
        artifact.asked = None
        artifact.tried[client] = message
        return self._ask([digest])

    def _forget(self, job: JobId) -> None:
        for digest in self._waiting.pop(job, {}):
            del self._layers[digest].jobs[job]
        self._jobs.get(job.client, {}).pop(job, None)

    def _leave(self, client: ClientId) -> list[Instruction]:
        for job in list(self._jobs.pop(client, {})):
            self._forget(job)
        done: list[Instruction] = []
        for digest in self._clients.pop(client, {}):
            layer = self._layers[digest]
            del layer.clients[client]
            if not layer.clients:
                self._drop_lacking(digest)
                del self._layers[digest]
                done.append(UnpinLayer(digest))
        orphans = []
        for digest, artifact in self._artifacts.items():
            artifact.tried.pop(client, None)
            if artifact.asked == client:
                artifact.asked = None
                orphans.append(digest)
        return [*done, *self._ask(orphans)]

    def check(self) -> None:
        """Assert what must be true between two events."""
        for job, lacking in self._waiting.items():
            assert lacking, "a waiting job lacks something"
            for digest in lacking:
                assert job in self._layers[digest].jobs, "a layer knows who waits for it"
        for digest, layer in self._layers.items():
            assert layer.clients, "a layer is kept for somebody"
            assert not (layer.is_whole and layer.lacking), "a whole layer lacks nothing"
            assert not (layer.is_whole and layer.jobs), "nobody waits for a whole layer"
            for client in layer.clients:
                assert digest in self._clients[client], "a client knows its layers"
            for content in layer.lacking:
                assert digest in self._artifacts[content].layers, "an artifact knows its layers"
            for job in layer.jobs:
                assert layer.is_checking or layer.lacking, "who waits, waits for something"
                assert digest in self._waiting[job], "a job knows what it waits for"
        for artifact in self._artifacts.values():
            assert artifact.layers, "a lacking artifact is needed by some layer"
            assert artifact.asked is not None, "somebody is asked for what is lacking"
            assert artifact.asked in self._clients, "who is asked is here"
            assert artifact.asked not in artifact.tried, "nobody is asked twice"
