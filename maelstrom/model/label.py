"""Labels: words such as `arch=x86` that workers have, and that jobs may require.

On its way a label is a resource that never runs out: one of its prefix and the word. So a broker or
a worker of the version before, which does not know labels, still keeps jobs off the wrong hosts.
"""

import re
from collections.abc import Iterable

from maelstrom.model.amounts import Amounts

LABEL = "label:"
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=-]{0,99}")


def is_label(text: str) -> bool:
    """Whether a text can be a label."""
    return _WORD.fullmatch(text) is not None


def as_resources(labels: Iterable[str]) -> Amounts:
    """Return the resources that stand for labels; raises ValueError with what is no label."""
    words = list(labels)
    for word in words:
        if not is_label(word):
            raise ValueError(word)
    return tuple((LABEL + word, 1) for word in sorted(set(words)))


def read_labels(text: str) -> Amounts:
    """Read `arch=x86,fast` as resources; raises ValueError with the part that is no label."""
    return as_resources(part.strip() for part in text.split(",") if part)


def labels_of(resources: Iterable[str]) -> tuple[str, ...]:
    """Return the labels among the names of resources."""
    return tuple(sorted(name.removeprefix(LABEL) for name in resources if name.startswith(LABEL)))
