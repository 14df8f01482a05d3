"""Read mounts and layer recipes as an SConstruct writes them: dictionaries with a type."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from maelstrom.errors import SpecError
from maelstrom.layers.build import BuiltLayer, Hasher, build
from maelstrom.model.layer import LayerSpec
from maelstrom.model.manifest import Manifest
from maelstrom.model.spec import Bind, DevPts, MessageQueue, Mount, Sys, Tmp

_MOUNTS = (Bind, Tmp, Sys, DevPts, MessageQueue)
_HINT = "the types of mounts are bind, tmp, sys, devpts and mqueue"


def mounts(items: Iterable[Any], *, project: str) -> tuple[Mount, ...]:
    """Read mounts; the host's path of a bind may be relative to the project."""
    found: list[Mount] = []
    for item in items:
        if isinstance(item, _MOUNTS):
            mount: Mount = item
        else:
            try:
                mount = msgspec.convert(item, type=Mount)
            except msgspec.ValidationError as error:
                raise SpecError(f"mount {item!r}: {error}", hint=_HINT) from error
        if isinstance(mount, Bind):
            path = Path(project) / mount.host_path.removeprefix("#")
            if not path.exists():
                raise SpecError(f"mount of {str(path)!r}: it does not exist on this host")
            mount = msgspec.structs.replace(mount, host_path=str(path))
        found.append(mount)
    return tuple(found)


def layer_spec(recipe: Any) -> LayerSpec:
    """Read one recipe."""
    try:
        spec: LayerSpec = msgspec.convert(recipe, type=LayerSpec)
    except msgspec.ValidationError as error:
        kind = recipe.get("type") if isinstance(recipe, dict) else recipe
        raise SpecError(f"layer of {kind}: {error}") from error
    return spec


def build_all(recipes: Iterable[Any], *, project: str, hasher: Hasher) -> list[BuiltLayer]:
    """Build the layers of a list of recipes, lowest first."""
    return [build(layer_spec(recipe), project=project, hasher=hasher) for recipe in recipes]


def manifest(recipes: Iterable[Any], *, project: str, cache: Path) -> bytes:
    """Return the manifests of a declared layer, one after another, in their canonical form."""
    with Hasher(cache) as hasher:
        built = build_all(recipes, project=project, hasher=hasher)
    manifests: list[Manifest] = [layer.manifest for layer in built]
    return b"".join(manifest.encoded for manifest in manifests)
