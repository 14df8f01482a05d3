"""Imports go one way: who may import what, and who may touch the world."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "maelstrom"

# What runs inside slots: started with `python -I -S`, it has nothing but the standard library.
SLOT_SIDE = {
    f"sandbox.{name}"
    for name in ("bearing", "channel", "child", "diagnosis", "disposal", "foreseen", "forked",
                 "from_template", "harvest", "job", "overlay", "probe", "removal", "room", "root",
                 "slot", "stage", "stdin", "steps", "supply", "template", "terminal", "trace",
                 "zygote")
}  # fmt: skip

# For each part, longest name first, the parts of ours that it may import.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": {"errors"},
    "log": {"log"},
    "places": set(),
    "model": {"errors", "model"},
    "wire": {"errors", "log", "model", "trust", "wire"},
    "store": {"errors", "model", "wire", "store"},
    "trust.identity": {"errors"},
    "trust": {"errors", "places", "trust"},
    "web": {"errors", "broker.status", "web"},
    "layers": {"errors", "model", "layers"},
    "frameworks": {"errors", "model", "frameworks"},
    "report": {"errors", "model", "report"},
    "linux": {"linux"},
    **{name: {"linux", *SLOT_SIDE} for name in sorted(SLOT_SIDE)},
    "sandbox.steps": set(),
    "sandbox.plan": {"errors", "model", "sandbox.steps"},
    "sandbox": {"errors", "model", "linux", "sandbox"},
    "broker": {"errors", "log", "model", "wire", "store", "trust", "broker"},
    "worker": {"errors", "log", "model", "wire", "store", "sandbox", "linux", "trust", "worker"},
    "client": {"errors", "model", "wire", "store", "layers", "frameworks", "client", "report",
               "trust"},
    "scons": {"errors", "places", "model", "layers", "frameworks", "report", "client", "scons"},
    "cli": {"errors", "log", "places", "model", "wire", "store", "layers", "sandbox", "broker",
            "worker", "client", "report", "linux", "trust", "web", "cli"},
}  # fmt: skip

CORES = (
    "broker/scheduler.py",
    "broker/gatherer.py",
    "broker/order.py",
    "broker/ledger.py",
    "worker/dispatcher.py",
    "client/router.py",
    "client/sharing.py",
    "client/history.py",
    "client/testrun.py",
    "sandbox/plan.py",
)
WORLD = {"asyncio", "os", "random", "select", "selectors", "socket", "subprocess", "threading",
         "time", "uuid", "pathlib", "datetime", "secrets"}  # fmt: skip


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def _rule(name: str) -> set[str] | None:
    parts = name.split(".")
    for depth in range(len(parts), 0, -1):
        rule = MAY_IMPORT.get(".".join(parts[:depth]))
        if rule is not None:
            return rule | {".".join(parts[:depth])}
    return None


def _imports(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            is_ours = (node.module or "").startswith("maelstrom")
            found += [(node.lineno, n) for n in (names if is_ours else [node.module or ""])]
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_file_imports_only_what_its_part_may(path: Path) -> None:
    name = _name(path)
    if name == "__init__":
        assert not _imports(path), "importing the package must be free"
        return
    rule = _rule(name)
    assert rule is not None, f"{name}: no rule says what it may import"
    for line, imported in _imports(path):
        if not imported.startswith("maelstrom.") or imported == "maelstrom.__version__":
            continue
        ours = imported.removeprefix("maelstrom.")
        assert any(ours == part or ours.startswith(part + ".") for part in rule), (
            f"{path}:{line}: {name} may not import {imported}"
        )


@pytest.mark.parametrize("core", CORES)
def test_a_core_does_not_touch_the_world(core: str) -> None:
    for line, imported in _imports(PACKAGE / core):
        assert imported.split(".")[0] not in WORLD, f"{core}:{line}: a core imports {imported}"


def test_only_the_scons_part_imports_scons() -> None:
    for path in FILES:
        if not _name(path).startswith("scons"):
            assert not [i for _, i in _imports(path) if i.split(".")[0] == "SCons"], path


PROVISION_MAY_IMPORT = ("errors", "model", "trust")
PROVISION_CORES = ("actions", "certificates", "checks", "facts", "inventory", "inventory_text",
                   "layout", "plan", "remedies", "schema", "script", "status", "telling",
                   "toml_lines", "wanted")  # fmt: skip


@pytest.mark.parametrize(
    "path", sorted((PACKAGE.parent / "provision").glob("*.py")), ids=lambda path: path.stem
)
def test_provisioning_imports_only_names_errors_and_trust(path: Path) -> None:
    for line, imported in _imports(path):
        root = imported.split(".")[0]
        if root == "maelstrom":
            part = imported.split(".")[1]
            assert part in PROVISION_MAY_IMPORT, f"{path}:{line}: imports {imported}"
        if path.stem in PROVISION_CORES:
            # Moments come in as arguments: to name their type is no harm.
            assert root not in WORLD - {"datetime"}, f"{path}:{line}: a core imports {imported}"
