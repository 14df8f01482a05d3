"""Tell a missing declaration from a missing file: what a failed case asked for in vain.

A test that passes plainly and fails in a container most often reads something that nobody has
declared. Its output says which file; whether that lies in the project, or on this host, we can see.
"""

import os
import posixpath
import re
import shutil
from collections.abc import Callable, Iterable, Iterator

from maelstrom.model.layer import PROJECT_ROOT

LINES_MAX = 400
LINE_LENGTH_MAX = 2000
HINTS_MAX = 3
NO_NETWORK = 'the container of this test has no network: see network="loopback"'

_IN_VAIN = re.compile(
    r"no such file|not found|no module named|does(?: not|n't) exist|ENOENT"
    r"|(?:cannot|can't|could not|couldn't|failed to|unable to) (?:open|find|read|load|stat|access)",
    re.IGNORECASE,
)
_NO_NETWORK = re.compile(
    r"network is (?:unreachable|down)|name resolution|cannot assign requested address",
    re.IGNORECASE,
)
_MODULE = re.compile(r"No module named '?([\w.]+)")
_COMMAND = re.compile(r"(?:^|[\s:])([\w.+-]+): (?:command )?not found$")
# C programs quote with `this', and in many languages with \u2018this\u2019.
_QUOTED = re.compile(r"""'([^'\n]+)'|"([^"\n]+)"|[`\u2018]([^`'\u2019\n]+)[`'\u2019]""")
# A place in a source, as `a.cc:12`, is where it was asked for.
_BARE = re.compile(r"""([^\s'"`\u2018\u2019(),;:<>\[\]]+)(?!:\d|[^\s'"`\u2018\u2019(),;:<>\[\]])""")


class Undeclared:
    """Knows what the container of one target holds of a project."""

    def __init__(
        self,
        project: str,
        places: Iterable[str],
        container: Callable[[], Iterable[str]],
        *,
        has_network: bool,
    ) -> None:
        """Take where relative paths may start, as seen from the project, and the paths of all
        layers, which are asked for only when a case has failed."""
        self._has_network = has_network
        self._project = project
        self._places = tuple(dict.fromkeys([*places, ""]))
        self._container = container
        self._present: frozenset[str] | None = None

    def hint(self, output: str) -> str:
        """Return what to declare, a line for each thing; empty if the output names none."""
        hints: dict[str, None] = {}
        for line in output.splitlines()[-LINES_MAX:]:
            if len(line) > LINE_LENGTH_MAX:
                continue
            if _IN_VAIN.search(line):
                hints.update(dict.fromkeys(filter(None, self._of_line(line))))
            elif not self._has_network and _NO_NETWORK.search(line):
                hints[NO_NETWORK] = None
            if len(hints) >= HINTS_MAX:
                break
        return "\n".join(list(hints)[:HINTS_MAX])

    def _of_line(self, line: str) -> Iterator[str]:
        if match := _MODULE.search(line):
            name = match[1].replace(".", "/")
            yield self._of_project(f"{name}.py") or self._of_project(name)
            return
        if match := _COMMAND.search(line):
            yield self._of_command(match[1])
            return
        quoted = [next(filter(None, groups)) for groups in _QUOTED.findall(line)]
        bare = _BARE.findall(_QUOTED.sub(" ", line))
        # A word without quotes is a path only if it looks like one.
        for path in [*quoted, *(word for word in bare if "/" in word or "." in word)]:
            if posixpath.normpath(path).strip("./"):
                yield self._of_path(path)
        for name in quoted:
            # As Python does it, where a program is to be started.
            if "/" not in name and not self._of_project(name):
                yield self._of_command(name)

    def _of_path(self, path: str) -> str:
        if not path.startswith("/"):
            return self._of_project(path)
        if _is_below(path, PROJECT_ROOT):
            return self._of_project(path.removeprefix(PROJECT_ROOT).lstrip("/"), at_root=True)
        if _is_below(path, self._project) and os.path.lexists(path):
            return (
                f"`{path}` is a path of this host: in the container the project is at "
                f"{PROJECT_ROOT}; give the test a path relative to the project"
            )
        if path.count("/") > 1 and os.path.lexists(path) and not self._has(path):
            return (
                f"`{path}` is on this host, but not in the container: "
                f'bring it in with layers=env.MaelstromLayer("...", paths=["{path}"])'
            )
        return ""

    def _of_project(self, path: str, *, at_root: bool = False) -> str:
        for place in ("",) if at_root else self._places:
            found = posixpath.normpath(posixpath.join(place, path))
            if found.startswith("../") or found in (".", "..") or not self._is_there(found):
                continue
            if self._has(f"{PROJECT_ROOT}/{found}"):
                return ""
            return (
                f"`{found}` is in the project, but not in the container of this test: "
                f'declare it with data=["#{found}"]'
            )
        return ""

    def _of_command(self, name: str) -> str:
        here = shutil.which(name)
        if here is None or self._has(here) or self._has(f"/usr/bin/{name}"):
            return ""
        return (
            f"`{name}` is a program of this host, but not in the container: "
            f'bring it in with programs=["{name}"]'
        )

    def _is_there(self, path: str) -> bool:
        return os.path.lexists(f"{self._project}/{path}")

    def _has(self, path: str) -> bool:
        if self._present is None:
            self._present = frozenset(_with_those_above(self._container()))
        return posixpath.normpath(path).lstrip("/") in self._present


def _with_those_above(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        place = path
        while place:
            yield place
            place = posixpath.dirname(place)


def _is_below(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory}/")
