"""Recipes for layers: what goes into a tree, and where.

The recipe stays on the client; only the manifest made from it travels. Prefix options are applied
in this order: follow links, canonicalise, strip the prefix, prepend the prefix. A relative path in
a recipe starts at the project's root and is found in the container below PROJECT_ROOT; an absolute
one is found at the same absolute path.
"""

import msgspec

PROJECT_ROOT = "/project"
"""Where the project's tree appears in every container, wherever the checkout lies on the host."""


class Prefix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where collected paths end up in the container."""

    follow_symlinks: bool = False
    canonicalize: bool = False
    strip_prefix: str = ""
    prepend_prefix: str = ""


class Paths(msgspec.Struct, frozen=True, tag="paths", forbid_unknown_fields=True):
    """Files, and directories with all that is in them."""

    paths: tuple[str, ...]
    ignore: tuple[str, ...] = ()
    prefix: Prefix = Prefix()


class Glob(msgspec.Struct, frozen=True, tag="glob", forbid_unknown_fields=True):
    """Every file of the project whose path matches; `**` crosses directories."""

    pattern: str
    ignore: tuple[str, ...] = ()
    prefix: Prefix = Prefix()


class Stubs(msgspec.Struct, frozen=True, tag="stubs", forbid_unknown_fields=True):
    """Empty files, and empty directories where the name ends with a slash; `{a,b}` is expanded."""

    stubs: tuple[str, ...]


class Symlinks(msgspec.Struct, frozen=True, tag="symlinks", forbid_unknown_fields=True):
    """Links, as (path of the link, target as written)."""

    symlinks: tuple[tuple[str, str], ...]


class Tar(msgspec.Struct, frozen=True, tag="tar", forbid_unknown_fields=True):
    """The content of a tar archive, unpacked at the root of the container."""

    tar: str


class SharedLibraries(
    msgspec.Struct, frozen=True, tag="shared-libraries", forbid_unknown_fields=True
):
    """All shared libraries the binaries need, with the dynamic loader, but not the binaries."""

    binaries: tuple[str, ...]
    prefix: Prefix = Prefix()
    beside: tuple[str, ...] = ()
    """Files that may be programs which the binaries start: what these lack here is left out."""


class Programs(msgspec.Struct, frozen=True, tag="programs", forbid_unknown_fields=True):
    """Programs of the host, looked up in PATH, with the shared libraries they need."""

    programs: tuple[str, ...]


class Python(msgspec.Struct, frozen=True, tag="python", forbid_unknown_fields=True):
    """A Python: interpreter, standard library, site-packages and its shared libraries."""

    interpreter: str = ""
    """Empty for the one that runs us."""


LayerSpec = Paths | Glob | Stubs | Symlinks | Tar | SharedLibraries | Programs | Python
