"""The builders of an SConstruct: `env.MaelstromTest` and `env.MaelstromLayer`.

Rules of this file:
1. One node per test: a stamp below `.maelstrom/` that is written when all cases have passed. It
   carries the mode in its name, so that a plain pass never stands for one in containers.
2. Everything the result depends on is a source of that node, or is in its signature.
3. Mistakes are found here, while SCons can still name the line of the SConstruct.
"""

import json
import os
import shutil
from pathlib import PurePosixPath
from typing import Any

import SCons.Action
import SCons.Builder
import SCons.Errors
import SCons.Node.FS

from maelstrom.layers import python_state
from maelstrom.scons import files, keywords, mounts, options, scanner, world
from maelstrom.scons.keywords import Complaint
from maelstrom.scons.results import STATE_DIRECTORY, TESTS, Layer, Test
from maelstrom.scons.surroundings import Surroundings

_SIGNATURE = "_MAELSTROM_SIGNATURE"
_TEST_KEYWORDS = ("arguments", "cases", "data", "env_vars", "framework", "ignore", "labels",
                  "layers", "mounts", "network", "programs", "resources", "stdin", "timeout",
                  "user", "working_directory", *world.KEYWORDS)  # fmt: skip
_WITH_CASES = ("", "plain", "tap")
"""Frameworks in which a program is one case, so that its cases may be declared."""
_RECIPES = {
    "paths": "paths",
    "glob": "glob",
    "stubs": "stubs",
    "symlinks": "symlinks",
    "tar": "tar",
    "shared_libraries": "shared-libraries",
    "programs": "programs",
    "python": "python",
}


def add(env: Any) -> None:
    """Give an environment our builders."""
    varlist = [_SIGNATURE]
    env["BUILDERS"]["_MaelstromStamp"] = SCons.Builder.Builder(
        action=SCons.Action.Action(TESTS.run, _line, varlist=varlist),
        source_scanner=scanner.make(),
        source_factory=env.fs.Entry,
    )
    env["BUILDERS"]["_MaelstromManifest"] = SCons.Builder.Builder(
        action=SCons.Action.Action(TESTS.build_layer, _line, varlist=varlist),
        source_scanner=scanner.make(),
        source_factory=env.fs.Entry,
    )
    env.AddMethod(maelstrom_test, "MaelstromTest")
    env.AddMethod(maelstrom_layer, "MaelstromLayer")
    TESTS.prepare(env.fs.Top.get_abspath())


def _line(target: Any, source: Any, env: Any) -> str:
    """What SCons prints: something for `-n` only, since the report tells the rest."""
    del source, env
    if SCons.Action.execute_actions:
        return ""
    test = TESTS.tests.get(target[0])
    return f"test {test.label}" if test else f"layer {TESTS.layers[target[0]].label}"


def _label(env: Any, name: str) -> str:
    """Return the name with the path of its SConscript: two directories may use the same name."""
    here = env.fs.getcwd().get_path(env.fs.Top)
    return name if here in (".", "") else str(PurePosixPath(here) / name)


def maelstrom_test(env: Any, name: Any = None, source: Any = None, **given: Any) -> Any:
    """Declare a test: `name` for the report, `source` a program or Python tests.

    It becomes a part of the aliases `test` and `test-NAME`. The keywords are in the reference.
    """
    name = keywords.name("MaelstromTest", name)
    label = _label(env, name)
    complain = Complaint("MaelstromTest", label)
    keywords.unknown(complain, given, _TEST_KEYWORDS)
    settings = options.resolve(env)
    ignore = keywords.strings(complain, "ignore", given.get("ignore"))
    programs = _programs(env, complain, source)
    python = [node for node in programs if _is_python(node)]
    data = files.nodes(env, complain, "data", given.get("data"))
    spread = files.spread(complain, "data", data, ignore)
    for node in python:
        spread += files.spread(complain, "source", [node], ignore)
        spread += files.python_surroundings(node)
    layers = [_layer(complain, item) for item in keywords.items(given.get("layers"))]
    recipes, tools = _recipe(env, complain, "programs", given.get("programs"), ())
    framework = keywords.framework(complain, given.get("framework"))
    cases = keywords.cases(complain, given.get("cases"))
    if cases and framework not in _WITH_CASES:
        raise complain(f"cases: {framework} lists its cases by itself")
    stdin = files.nodes(env, complain, "stdin", given.get("stdin"))
    if len(stdin) > 1 or any(isinstance(node, SCons.Node.FS.Dir) for node in stdin):
        raise complain("stdin: name one file")
    files.spread(complain, "stdin", stdin, ())
    limits, resources = keywords.resources(complain, given.get("resources"))
    timeout_s = keywords.timeout(complain, given.get("timeout"))
    user = keywords.user(complain, given.get("user"))
    test = Test(
        label=label,
        framework=framework or ("plain" if cases else ""),
        programs=tuple(programs),
        relatives=tuple(files.relative(complain, node) for node in programs),
        data=tuple(dict.fromkeys(spread)),
        recipes=tuple(recipes),
        layers=tuple(layers),
        arguments=keywords.arguments(complain, given.get("arguments")),
        environment=keywords.environment(complain, given.get("env_vars")),
        working_directory=keywords.directory(complain, given.get("working_directory")),
        network=keywords.network(complain, given.get("network")),
        mounts=mounts.checked(complain, given.get("mounts")),
        timeout_s=settings.timeout_s if timeout_s is None else timeout_s,
        user=user,
        extras=world.checked(complain, given, user),
        limits=limits,
        resources=resources + keywords.labels(complain, given.get("labels")),
        cases=cases,
        stdin=stdin[0] if stdin else None,
        settings=settings,
        surroundings=Surroundings(
            settings.is_contained, pythons=(*([""] if python else []), *_pythons(recipes))
        ),
    )
    mode = "container" if settings.is_contained else "plain"
    stamp = env.fs.File(f"#{STATE_DIRECTORY}/passed/{label}.{mode}")
    TESTS.declare_test(stamp, test, complain)
    sources = dict.fromkeys(
        [*(n for n in programs if n not in python), *test.data, *stdin, *tools, *layers]
    )
    _build(env, "_MaelstromStamp", stamp, list(sources), (_signature(test), test.surroundings))
    if not settings.uses_cache or test.network == "local" or mounts.is_local(test.mounts):
        # Nobody watches what it finds on the host: then it is never up to date.
        env.AlwaysBuild(stamp)
    env.Alias("test", stamp)
    env.Alias(f"test-{label}", stamp)
    env.Clean("test", env.fs.Dir(f"#{STATE_DIRECTORY}"))
    return SCons.Node.NodeList([stamp])


def _build(
    env: Any, builder: str, target: Any, sources: list[Any], signature: tuple[str, Surroundings]
) -> None:
    def contents(target: Any, source: Any, env: Any, for_signature: Any) -> str:
        del source, env, for_signature
        declared, surroundings = signature
        return f"{declared} {surroundings.state(target[0]) if target else ''}"

    made = getattr(env, builder)(target, sources, **{_SIGNATURE: contents})
    env.NoCache(made)
    # A build without targets builds all that is in the project's root: this is not meant.
    state = env.fs.Dir(f"#{STATE_DIRECTORY}")
    env.Ignore(env.fs.Dir("#"), state)
    env.Clean(env.fs.Dir("#"), state)


def _signature(test: Test) -> str:
    """All of a declaration that changes results and is no file."""
    plain = (test.framework, test.relatives, test.recipes, test.arguments, test.environment,
             test.working_directory, test.network, test.mounts, test.timeout_s, test.user,
             test.limits, test.resources, test.cases, str(test.stdin), test.extras)  # fmt: skip
    return json.dumps(plain, default=repr, sort_keys=True)


def _programs(env: Any, complain: Complaint, source: Any) -> list[Any]:
    programs = files.nodes(env, complain, "source", source)
    if not programs:
        raise complain("it has no source: name a program, or Python tests")
    are_python = [_is_python(node) for node in programs]
    if len(programs) > 1 and not all(are_python):
        raise complain(
            f"it takes one program, not {len(programs)} sources; name files it needs with data="
        )
    for node, is_python in zip(programs, are_python, strict=True):
        files.relative(complain, node)
        if not is_python and not files.is_there(node):
            complain.unless_built("source", node)
    return programs


def _is_python(node: Any) -> bool:
    return isinstance(node, SCons.Node.FS.Dir) or str(node).endswith(".py")


def _layer(complain: Complaint, item: Any) -> Any:
    if isinstance(item, str) or item not in TESTS.layers:
        raise complain(f"layers: {str(item)!r} is not the result of env.MaelstromLayer(...)")
    return item


def maelstrom_layer(env: Any, name: Any = None, **given: Any) -> Any:
    """Declare a layer: files of the project or of this host that tests need beside their own."""
    name = keywords.name("MaelstromLayer", name)
    label = _label(env, name)
    complain = Complaint("MaelstromLayer", label)
    keywords.unknown(complain, given, (*_RECIPES, *keywords.PREFIX, "ignore"))
    ignore = keywords.strings(complain, "ignore", given.get("ignore"))
    prefix = keywords.prefix(complain, given)
    recipes, sources = [], []
    for keyword, tag in _RECIPES.items():
        if keyword not in given:
            continue
        made, needed = _recipe(env, complain, keyword, given[keyword], ignore)
        for recipe in made:
            if keyword in ("paths", "glob"):
                recipe |= {"ignore": list(ignore)}
            if keyword in ("paths", "glob", "shared_libraries") and prefix:
                recipe |= {"prefix": prefix}
            recipes.append({"type": tag} | recipe)
        sources += needed
    if not recipes:
        raise complain(f"it says nothing of its content; give one of {', '.join(_RECIPES)}")
    layer = Layer(label, tuple(recipes))
    manifest = env.fs.File(f"#{STATE_DIRECTORY}/layers/{label}.manifest")
    TESTS.declare_layer(manifest, layer, complain)
    surroundings = Surroundings(
        is_contained=True,
        pythons=_pythons(recipes),
        directories=_directories(recipes),
    )
    signature = json.dumps(recipes, default=repr, sort_keys=True)
    unique = list(dict.fromkeys(sources))
    _build(env, "_MaelstromManifest", manifest, unique, (signature, surroundings))
    return SCons.Node.NodeList([manifest])


def _recipe(
    env: Any, complain: Complaint, keyword: str, value: Any, ignore: tuple[str, ...]
) -> tuple[list[dict[str, Any]], list[Any]]:
    """Return the recipes of one keyword, and the nodes they are made of."""
    match keyword:
        case "paths" | "shared_libraries":
            nodes = files.nodes(env, complain, keyword, value)
            field = "paths" if keyword == "paths" else "binaries"
            tracked = _tracked(complain, keyword, nodes, ignore)
            return [{field: [_written(node) for node in nodes]}], tracked
        case "tar":
            nodes = files.nodes(env, complain, keyword, value)
            tracked = _tracked(complain, keyword, nodes, ())
            return [{"tar": _written(node)} for node in nodes], tracked
        case "glob":
            patterns = keywords.strings(complain, keyword, value)
            nodes = [env.fs.File(f"#{path}") for p in patterns for path in _globbed(env, p)]
            return [{"pattern": pattern.removeprefix("#")} for pattern in patterns], nodes
        case "symlinks":
            return [{"symlinks": keywords.links(complain, value)}], []
        case "programs":
            names = keywords.strings(complain, keyword, value)
            nodes = [env.fs.File(path) for path in _found(env, names)]
            pythons = [name for name in names if python_state.is_python(name)]
            others = [name for name in names if name not in pythons]
            made = [{"type": "python", "interpreter": name} for name in pythons]
            return [*made, *([{"type": "programs", "programs": others}] if others else [])], nodes
        case "python":
            return [{"interpreter": keywords.interpreter(complain, value)}], []
        case _:
            return [{keyword: list(keywords.strings(complain, keyword, value))}], []


def _written(node: Any) -> str:
    """Return a path as recipes want it: relative to the project, absolute outside of it."""
    top = node.fs.Top.get_abspath()
    path: str = files.real(node).get_abspath()
    return path[len(top) + 1 :] if path.startswith(top + "/") else path


def _tracked(
    complain: Complaint, keyword: str, nodes: list[Any], ignore: tuple[str, ...]
) -> list[Any]:
    """Return the nodes of the project, and of single files of the host."""
    inside = [n for n in nodes if not os.path.isabs(_written(n))]
    outside = [n for n in nodes if n not in inside and not isinstance(n, SCons.Node.FS.Dir)]
    for node in outside:
        if not files.is_there(node):
            raise complain(f"{keyword}: {str(node)!r} does not exist")
    return files.spread(complain, keyword, inside, ignore) + outside


def _pythons(recipes: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(recipe["interpreter"] for recipe in recipes if recipe["type"] == "python")


def _directories(recipes: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the directories outside the project, which SCons is not asked to look into."""
    paths = [path for recipe in recipes if recipe["type"] == "paths" for path in recipe["paths"]]
    return tuple(path for path in paths if os.path.isabs(path) and os.path.isdir(path))


def _found(env: Any, programs: tuple[str, ...]) -> list[str]:
    """Return where programs of this host are; what is missing is told when the layer is made."""
    top = env.fs.Top.get_abspath()
    found = [shutil.which(p) if "/" not in p else os.path.join(top, p) for p in programs]
    return [path for path in found if path and os.path.isfile(path)]


def _globbed(env: Any, pattern: str) -> list[str]:
    """Return the files a pattern matches now; what is wrong with it the layer itself tells."""
    import glob

    from maelstrom.errors import LayerError
    from maelstrom.layers.pattern import expand_braces

    top = env.fs.Top.get_abspath()
    try:
        choices = expand_braces(pattern.removeprefix("#"))
    except LayerError:
        return []
    found = {
        path
        for choice in choices
        for path in glob.glob(choice, root_dir=top, recursive=True, include_hidden=True)
    }
    return sorted(path for path in found if os.path.isfile(f"{top}/{path}"))
