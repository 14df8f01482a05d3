"""Make the plan of a test from its description: which framework, which world.

Rules of this file:
1. In a container the layers are, lowest first: the system's base, Python if the test needs it, the
   host's programs it starts, the declared ones, shared libraries, data, program. The environment is
   the same on every host.
2. On the host the same paths are taken from the checkout; what stands for the layers in a job's
   identity is then the digest of what the build tool knows of the files.
3. Layers that tests share are built once.
"""

import os
import posixpath
import shutil
import sys
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import msgspec

from maelstrom.client import recipes
from maelstrom.client.description import Description, SourceFile
from maelstrom.client.events import TargetPlan
from maelstrom.client.undeclared import Undeclared
from maelstrom.errors import LayerError, SpecError
from maelstrom.frameworks import detect_directory, detect_file, framework
from maelstrom.frameworks.base import Target
from maelstrom.layers import elf, programs, python, python_state, system
from maelstrom.layers.build import BuiltLayer, Hasher, build, files
from maelstrom.model.digest import Digest
from maelstrom.model.environment import CONTAINER_ENVIRONMENT
from maelstrom.model.layer import PROJECT_ROOT, Python, SharedLibraries
from maelstrom.model.spec import JobSpec, Limits, Network, RootFileSystem

PLAIN_ENVIRONMENT = {"LANG": "C.UTF-8", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}
PYTHON_FRAMEWORKS = ("pytest", "unittest")
STDIN_INLINE_BYTES_MAX = 64 << 10
"""In a container more than this is a layer; less is part of each job's spec."""
INTERPRETER_LAYERS = 2
PATH_VARIABLES = {"LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP"}
STDIN_BYTES_MAX = 4 << 20
"""Of a plain process, where all of it is part of the spec."""
TEST_PATTERNS = ("test_", "_test.py")

Offer = Callable[[Mapping[Digest, Any]], None]


class PlainPlanner:
    """Plans for plain processes of this host."""

    def plan(self, description: Description) -> TargetPlan:
        """Return the plan of a test; raises MaelstromError."""
        name = description.framework or detected(description)
        environment = PLAIN_ENVIRONMENT | {"HOME": os.environ.get("HOME", "/")}
        content = Digest.of(description.content.encode(errors="surrogateescape"))
        return TargetPlan(
            name=description.name,
            framework=framework(name),
            programs=_programs(description, name, lambda file: file.path, sys.executable),
            spec=_world(
                description,
                layers=(content,),
                environment=environment | dict(description.environment),
                root=description.project,
            ),
            again=description.again,
        )


class ContainerPlanner:
    """Plans for containers; tells `offer` where the content of their layers is."""

    def __init__(self, hasher: Hasher, offer: Offer) -> None:
        self._hasher = hasher
        self._offer = offer
        self._lock = threading.Lock()
        self._shared: dict[Hashable, list[BuiltLayer]] = {}

    def plan(self, description: Description) -> TargetPlan:
        """Return the plan of a test, its layers built; raises MaelstromError."""
        name = description.framework or detected(description)
        for file in (*description.programs, *description.files):
            if file.sha256:
                self._hasher.known(file.path, file.sha256)
        layers = self._layers(description, name)
        digests = []
        library_path: dict[str, None] = {}
        for layer in layers:
            digests.append(layer.manifest.digest)
            library_path.update(dict.fromkeys(layer.library_path))
            self._offer({layer.manifest.digest: layer.manifest.encoded, **layer.sources})
        environment = CONTAINER_ENVIRONMENT | dict(description.environment)
        if library_path:
            given = environment.get("LD_LIBRARY_PATH")
            environment["LD_LIBRARY_PATH"] = ":".join([*([given] if given else []), *library_path])
        interpreter = python.container_path("", project=description.project)
        return TargetPlan(
            name=description.name,
            framework=framework(name),
            programs=_programs(
                description, name, lambda file: f"{PROJECT_ROOT}/{file.relative}", interpreter
            ),
            spec=_world(
                description,
                layers=tuple(dict.fromkeys(digests)),
                template_layers=_template_layers(digests, environment),
                environment=environment,
                root=PROJECT_ROOT,
                stdin_file=_stdin_file(description.stdin),
            ),
            again=description.again,
            undeclared=_undeclared(description, layers),
        )

    def _layers(self, description: Description, name: str) -> list[BuiltLayer]:
        project, hasher = description.project, self._hasher
        layers = self._once("system", lambda: [system.build(hasher=hasher)])
        if name in PYTHON_FRAMEWORKS or _is_script(description):
            spec = Python()
            layers += self._once("python", lambda: [build(spec, project=project, hasher=hasher)])
        for recipe in (_interpreters(description), *description.layers):
            layers += self._once(
                repr(recipe),
                lambda recipe=recipe: recipes.build_all(  # type: ignore[misc]
                    recipe, project=project, hasher=hasher
                ),
            )
        binaries = tuple(file.path for file in description.programs if _is_file(file))
        beside = tuple(file.path for file in description.files if _is_program(file.path))
        environment = dict(description.environment)
        layers += self._once(
            (binaries, beside, environment.get("LD_LIBRARY_PATH")),
            lambda: [
                build(
                    SharedLibraries(binaries, beside=beside),
                    project=project,
                    hasher=hasher,
                    environment=environment,
                )
            ],
        )
        layers += self._files(description.files)
        layers += self._files([file for file in description.programs if _is_file(file)])
        if description.stdin is not None and _is_large(description.stdin):
            layers += self._files([description.stdin])
        return layers

    def _files(self, found: Any) -> list[BuiltLayer]:
        entries = {f"{PROJECT_ROOT}/{file.relative}": file.path for file in found}
        return [files(entries, hasher=self._hasher)] if entries else []

    def _once(self, key: Hashable, make: Callable[[], list[BuiltLayer]]) -> list[BuiltLayer]:
        with self._lock:
            if key not in self._shared:
                self._shared[key] = make()
            return list(self._shared[key])


def _undeclared(description: Description, layers: list[BuiltLayer]) -> Undeclared:
    places = [posixpath.dirname(file.relative) for file in description.programs]
    return Undeclared(
        description.project,
        (description.working_directory, *places),
        lambda: (path for layer in layers for path, _ in layer.manifest),
        has_network=description.network != Network.DISABLED.value,
    )


def _template_layers(digests: list[Digest], environment: Mapping[str, str]) -> int:
    """Return how many layers the interpreter that is loaded once must see.

    Those of the system and of Python, which all targets share, unless the environment makes it look
    elsewhere, too.
    """
    seen = digests if PATH_VARIABLES & environment.keys() else digests[:INTERPRETER_LAYERS]
    return len(dict.fromkeys(seen))


def detected(description: Description) -> str:
    """Find out which framework a test uses; several Python files count as a directory."""
    programs = description.programs
    try:
        if len(programs) == 1 and _is_file(programs[0]):
            with open(programs[0].path, "rb") as file:
                return detect_file(programs[0].path, file)
        tests = [
            file.path
            for file in description.files
            if file.path.endswith(".py") and _looks_like_test(file.relative)
        ]
        sources = []
        for path in tests:
            with open(path, "rb") as file:
                sources.append(file.read())
        return detect_directory(sources)
    except OSError as error:
        raise LayerError(f"cannot read {error.filename!r}: {error.strerror}") from error


def _is_script(description: Description) -> bool:
    return any(file.relative.endswith(".py") for file in description.programs)


def _interpreters(description: Description) -> list[dict[str, Any]]:
    """Return recipes for what runs programs that are scripts; what this host lacks, a layer has."""
    found: list[str] = []
    for file in description.programs:
        if _is_file(file) and not file.relative.endswith(".py"):
            found += filter(shutil.which, programs.interpreters(file.path))
    pythons = [name for name in found if python_state.is_python(name)]
    others = [name for name in found if name not in pythons]
    made: list[dict[str, Any]] = [{"type": "python", "interpreter": name} for name in pythons]
    return [*made, *([{"type": "programs", "programs": others}] if others else [])]


def _is_program(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & 0o111) and elf.is_elf(path)
    except OSError:
        return False  # Whoever makes the layer of it says what is wrong.


def _looks_like_test(path: str) -> bool:
    name = posixpath.basename(path)
    return name.startswith(TEST_PATTERNS[0]) or name.endswith(TEST_PATTERNS[1])


def _is_file(file: SourceFile) -> bool:
    return not os.path.isdir(file.path)


def _programs(
    description: Description, name: str, place: Callable[[SourceFile], str], interpreter: str
) -> tuple[Target, ...]:
    targets = []
    for file in description.programs:
        if name not in PYTHON_FRAMEWORKS and not _is_file(file):
            raise SpecError(f"`{file.relative}` is a directory: {name} cannot run that")
        if name not in PYTHON_FRAMEWORKS and file.relative.endswith(".py"):
            # A script without any case: its interpreter is the program.
            targets.append(Target(interpreter, (place(file), *description.arguments)))
            continue
        targets.append(Target(place(file), description.arguments, interpreter))
    if not description.cases:
        return tuple(targets)
    return tuple(
        Target(target.program, (*target.arguments, *arguments), target.python, case)
        for target in targets
        for case, arguments in description.cases
    )


def _stdin_file(stdin: SourceFile | None) -> str:
    """Return where it is in the container, if it is too large to be a part of each job's spec."""
    return f"{PROJECT_ROOT}/{stdin.relative}" if stdin is not None and _is_large(stdin) else ""


def _is_large(stdin: SourceFile) -> bool:
    return os.path.getsize(stdin.path) > STDIN_INLINE_BYTES_MAX


def _standard_input(description: Description, stdin_file: str) -> bytes:
    if description.stdin is None or stdin_file:
        return b""
    with open(description.stdin.path, "rb") as file:
        content = file.read(STDIN_BYTES_MAX + 1)
    if len(content) > STDIN_BYTES_MAX:
        raise SpecError(
            f"stdin: `{description.stdin.relative}` is larger than {STDIN_BYTES_MAX} bytes",
            hint="declare it with data= and let the test open it",
        )
    return content


def _world(
    description: Description,
    *,
    layers: tuple[Digest, ...],
    environment: Mapping[str, str],
    root: str,
    stdin_file: str = "",
    template_layers: int = 0,
) -> JobSpec:
    extras = dict(description.extras)
    extras["outputs"] = tuple(posixpath.join(root, path) for path in extras.get("outputs", ()))
    working_directory = posixpath.normpath(posixpath.join(root, description.working_directory))
    if "root" in extras:
        extras["root"] = RootFileSystem(extras["root"])
    return JobSpec(
        program="/",  # Each job has its own.
        environment=tuple(sorted(environment.items())),
        layers=layers,
        template_layers=template_layers,
        working_directory=working_directory,
        mounts=recipes.mounts(description.mounts, project=description.project),
        network=Network(description.network),
        user=description.user,
        group=description.group,
        timeout_s=description.timeout_s,
        limits=msgspec.convert(dict(description.limits), Limits),
        stdin=_standard_input(description, stdin_file),
        stdin_file=stdin_file,
        resources=description.resources,
        **extras,
    )
