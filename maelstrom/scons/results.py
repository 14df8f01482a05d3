"""The tests of this build: what was declared, the run under way, and what SCons hears of it.

Rules of this file:
1. The action of a test takes a snapshot (paths, signatures) on SCons' thread and returns; all else
   happens on threads of the driver.
2. Nothing of ours is started before a test really runs, or something it may wait for is built.
3. SCons writes no stamp: we do, on SCons' thread, when all cases of the test have passed.
"""

import json
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import SCons.Errors
import SCons.Node
import SCons.Node.Alias
import SCons.Script
import SCons.Util

from maelstrom.client.description import Description, SourceFile
from maelstrom.scons import files, options, runner
from maelstrom.scons.closures import CLOSURES
from maelstrom.scons.keywords import Complaint
from maelstrom.scons.options import Settings
from maelstrom.scons.pythons import PYTHONS
from maelstrom.scons.surroundings import Surroundings

if TYPE_CHECKING:
    from maelstrom.client.events import EndTarget
    from maelstrom.client.launch import TestClient
    from maelstrom.client.unrun import Unrun

STATE_DIRECTORY = ".maelstrom"


class Layer(NamedTuple):
    """A declared layer; recipes are dictionaries as our model reads them."""

    label: str
    recipes: tuple[dict[str, Any], ...]


class Test(NamedTuple):
    """A declared test."""

    label: str
    framework: str
    programs: tuple[Any, ...]
    relatives: tuple[str, ...]
    data: tuple[Any, ...]
    recipes: tuple[dict[str, Any], ...]
    """Of the programs it starts."""
    layers: tuple[Any, ...]
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_directory: str
    network: str
    mounts: tuple[Any, ...]
    timeout_s: float
    user: tuple[int, int]
    limits: tuple[tuple[str, Any], ...]
    resources: tuple[tuple[str, int], ...]
    cases: tuple[tuple[str, tuple[str, ...]], ...]
    stdin: Any
    extras: tuple[tuple[str, Any], ...]
    """What a container is to have beyond the usual, as fields of the spec."""
    settings: Settings
    surroundings: Surroundings


class Tests:
    """All tests and layers of this build."""

    def __init__(self) -> None:
        self.tests: dict[Any, Test] = {}
        self.layers: dict[Any, Layer] = {}
        self._doubts: list[tuple[Any, SCons.Errors.UserError]] = []
        self._directories: list[tuple[Any, Any, tuple[str, ...]]] = []
        self._unseen: set[Any] = set()
        self._selected: dict[Any, None] = {}
        self._submitted: set[Any] = set()
        self._up_to_date: dict[Any, None] = {}
        self._client: TestClient | None = None
        self._project = ""

    def prepare(self, project: str) -> None:
        """Say where the project is; once."""
        if not self._project:
            self._project = project
            CLOSURES.load(Path(project) / STATE_DIRECTORY / "closures.json")
            PYTHONS.load(Path(project) / STATE_DIRECTORY / "pythons.json", project)

    def declare_test(self, stamp: Any, test: Test, complain: Complaint) -> None:
        """Take in a declaration; a second one of the same name is a mistake."""
        if stamp in self.tests:
            raise complain("there are two tests of this name; give one of them another")
        for other in self.tests.values():
            mine, others = test.settings, other.settings
            for field, value in mine._asdict().items():
                if field != "timeout_s" and value != getattr(others, field):
                    raise complain(
                        f"{options.VARIABLES[field]} is {value!r} here and "
                        f"{getattr(others, field)!r} for `{other.label}`: one run has one value"
                    )
            break
        self.tests[stamp] = test
        self._remember(stamp, complain)

    def declare_layer(self, manifest: Any, layer: Layer, complain: Complaint) -> None:
        """Take in a layer."""
        if manifest in self.layers:
            raise complain("there are two layers of this name")
        self.layers[manifest] = layer
        self._remember(manifest, complain)

    def _remember(self, target: Any, complain: Complaint) -> None:
        self._doubts += complain.doubts
        self._directories += [(target, *directory) for directory in complain.directories]

    # What the runner asks and tells.

    def interest(self) -> runner.Interest:
        """Return what the runner needs of us."""
        return runner.Interest(
            on_read=self._on_read,
            on_begin=self._on_begin,
            is_test=self._is_test,
            has_more=lambda: bool(self._unseen),
            on_work=self._on_work,
            on_up_to_date=self._on_up_to_date,
            on_stop=self._on_stop,
            on_end=self._on_end,
        )

    def _on_read(self) -> None:
        """Have tests and layers need what lines after their own build into their directories."""
        for target, directory, patterns in self._directories:
            self._add(target, files.made(directory, patterns))
        self._directories.clear()

    def _on_begin(self, top: list[Any]) -> None:
        """Find the tests among the targets: only for them the runner looks ahead."""
        for node, error in self._doubts:
            if not files.is_there(node):
                raise error
        for met in (self._unseen, self._selected, self._submitted, self._up_to_date):
            met.clear()
        PYTHONS.forget()
        todo = list(top)
        while todo and self.tests:
            node = todo.pop()
            if node in self.tests:
                self._unseen.add(node)
                self._selected[node] = None
            elif isinstance(node, SCons.Node.Alias.Alias):
                todo += node.children()

    def _add(self, target: Any, found: Iterable[Any]) -> None:
        known = set(target.sources)
        new = [node for node in found if node not in known]
        if not new:
            return
        target.add_source(new)
        target.get_executor().add_sources(new)
        if target in self.tests:
            test = self.tests[target]
            self.tests[target] = test._replace(data=(*test.data, *new))

    def _is_test(self, node: Any) -> bool:
        return node in self.tests

    def _on_up_to_date(self, stamp: Any) -> None:
        self._unseen.discard(stamp)
        self._up_to_date[stamp] = None

    def _on_work(self) -> None:
        """Something is being built that tests wait for: start up meanwhile."""
        if self._unseen and self._client is None and not SCons.Script.GetOption("no_exec"):
            settings = self.tests[next(iter(self._unseen))].settings
            if settings.is_contained:
                self._client = self._start(settings)

    def _on_stop(self, is_interrupt: bool) -> None:
        if self._client is not None:
            self._client.stop(is_interrupt=is_interrupt)

    def _on_end(self, is_interrupt: bool) -> int:
        CLOSURES.save()
        PYTHONS.save()
        client, self._client = self._client, None
        if client is None and not self._selected and not self._up_to_date:
            return 0
        from maelstrom.errors import MaelstromError

        try:
            if client is None:
                return self._report_unrun()
            if is_interrupt:
                client.stop(is_interrupt=True)
            return client.close(self._unrun())
        except MaelstromError as error:
            print(f"scons: *** {error}", file=sys.stderr)
            return error.exit_status

    def _report_unrun(self) -> int:
        """Nothing was run: write the report that was asked for all the same."""
        settings = next(iter(self.tests.values())).settings
        if settings.junit is None or SCons.Script.GetOption("no_exec"):
            return 0
        from maelstrom.client.launch import write_report

        write_report(
            project=self._project,
            state=Path(self._project) / STATE_DIRECTORY,
            is_contained=settings.is_contained,
            junit=settings.junit,
            unrun=self._unrun(),
        )
        return 0

    def _unrun(self) -> "Unrun":
        from maelstrom.client.unrun import Unrun

        seen = self._submitted | self._up_to_date.keys()
        left = [stamp for stamp in self._selected if stamp not in seen]
        # SCons has given up those of which something that they need has failed.
        unbuilt = [stamp for stamp in left if stamp.get_state() == SCons.Node.failed]
        unreached = [stamp for stamp in left if stamp not in unbuilt]
        return Unrun(self._labels(self._up_to_date), self._labels(unbuilt), self._labels(unreached))

    def _labels(self, stamps: Iterable[Any]) -> tuple[str, ...]:
        return tuple(self.tests[stamp].label for stamp in stamps)

    def _start(self, settings: Settings) -> "TestClient":
        try:
            from maelstrom.client.launch import TestClient
        except ModuleNotFoundError as error:
            raise SCons.Errors.UserError(
                f"the tests need the Python module `{error.name}`; "
                f"install maelstrom-scons with all it needs into {sys.executable}"
            ) from None
        from maelstrom.errors import MaelstromError

        is_silent = SCons.Script.GetOption("silent")
        try:
            return TestClient(
                project=self._project,
                state=Path(self._project) / STATE_DIRECTORY,
                is_contained=settings.is_contained,
                broker=settings.broker,
                identity=settings.identity,
                store_bytes=settings.store_bytes,
                is_hybrid=settings.is_hybrid,
                explains_order=options.explains_order(),
                slots=settings.slots or _plain_slots(settings),
                resources=settings.resources + settings.labels,
                ui="quiet" if is_silent else settings.ui,
                junit=settings.junit,
                uses_cache=settings.uses_cache,
            )
        except MaelstromError as error:
            raise SCons.Errors.UserError(str(error)) from None

    # Actions.

    def run(self, target: Any, source: Any, env: Any) -> None:
        """The action of a test: submit it, and leave its task open."""
        del source
        stamp = target[0]
        test = self.tests[stamp]
        self._unseen.discard(stamp)
        self._submitted.add(stamp)
        if self._client is None:
            self._client = self._start(test.settings)
        pending = runner.Pending()
        stamp_path = stamp.get_abspath()
        if not options.explains_order():
            pending.on_success = lambda: _write_stamp(stamp_path, test.label)
        description = self._describe(stamp, test, env)
        self._client.run(description, lambda end: pending.finish(_error(stamp, end)))
        runner.leave(pending)

    def _describe(self, stamp: Any, test: Test, env: Any) -> Description:
        is_sha256 = SCons.Util.get_current_hash_algorithm_used() == "sha256"
        complain = Complaint("MaelstromTest", test.label)
        environment = dict(test.environment)
        if not test.settings.is_contained:
            environment = _strings(env["ENV"]) | environment
        return Description(
            name=test.label,
            framework=test.framework,
            project=self._project,
            programs=tuple(
                SourceFile(relative, files.real(node).get_abspath(), _sha256(node, is_sha256))
                for node, relative in zip(test.programs, test.relatives, strict=True)
            ),
            files=tuple(
                SourceFile(
                    files.relative(complain, node),
                    files.real(node).get_abspath(),
                    _sha256(node, is_sha256),
                )
                for node in test.data
            ),
            layers=(test.recipes, *(self.layers[node].recipes for node in test.layers)),
            arguments=test.arguments,
            environment=tuple(sorted(environment.items())),
            working_directory=test.working_directory,
            network=test.network,
            mounts=test.mounts,
            timeout_s=test.timeout_s,
            user=test.user[0],
            group=test.user[1],
            limits=test.limits,
            resources=test.resources,
            again=_again(test),
            content="" if test.settings.is_contained else _content(stamp, test.surroundings),
            cases=test.cases,
            stdin=_source_file(test.stdin) if test.stdin is not None else None,
            extras=test.extras if test.settings.is_contained else (),
        )

    def build_layer(self, target: Any, source: Any, env: Any) -> None:
        """The action of a layer: write its manifest."""
        del source, env
        layer = self.layers[target[0]]
        from maelstrom.client import recipes
        from maelstrom.client.launch import cache_directory
        from maelstrom.errors import MaelstromError

        try:
            content = recipes.manifest(
                layer.recipes, project=self._project, cache=cache_directory() / "digests"
            )
        except MaelstromError as error:
            message = f"layer `{layer.label}`: {_one_line(error)}"
            raise SCons.Errors.BuildError(target[0], errstr=message) from None
        path = Path(target[0].get_abspath())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _source_file(node: Any) -> SourceFile:
    return SourceFile(str(node), files.real(node).get_abspath())


def _one_line(error: Any) -> str:
    return f"{error.message} ({error.hint})" if error.hint else str(error.message)


def _plain_slots(settings: Settings) -> int | None:
    return None if settings.is_contained else int(SCons.Script.GetOption("num_jobs"))


def _again(test: Test) -> str:
    """Return the command that runs just this test, in the same way."""
    words = ["scons"]
    directories = SCons.Script.GetOption("directory") or []
    words += [f"-C{path}" for path in directories]
    words += [f"-f{path}" for path in SCons.Script.GetOption("file") or []]
    words += options.given()
    words += [f"{key}={value}" for key, value in SCons.Script.ARGLIST]
    return shlex.join([*words, f"test-{test.label}"])


def _sha256(node: Any, is_sha256: bool) -> str:
    """Return SCons' own signature where it is what we need: no file is then read twice."""
    return str(node.get_csig()) if is_sha256 and hasattr(node, "get_csig") else ""


def _content(stamp: Any, surroundings: Surroundings) -> str:
    """Stand in for layers: what all that a plain test may see is like."""
    told = [(str(c), c.get_csig()) for c in stamp.children()]
    return json.dumps([sorted(told), surroundings.state(stamp)])


def _strings(environment: Any) -> dict[str, str]:
    """Return SCons' ENV as the strings that a process gets, lists joined as SCons does."""
    found = {}
    for key, value in environment.items():
        is_list = isinstance(value, list | tuple)
        found[str(key)] = os.pathsep.join(map(str, value)) if is_list else str(value)
    return found


def _write_stamp(path: str, label: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps({"passed": label}) + "\n", encoding="utf-8")


def _error(stamp: Any, end: "EndTarget") -> Exception | None:
    if not end.complaint:
        return None
    if end.is_cancelled:
        cancelled: Exception = runner.Cancelled(stamp, errstr=end.complaint)
        return cancelled
    status = 3 if end.is_ours else 2
    error: Exception = SCons.Errors.BuildError(
        stamp, errstr=end.complaint, status=status, exitstatus=status
    )
    return error


TESTS = Tests()
