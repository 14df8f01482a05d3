"""What the tool knows by heart, so as to load nothing while an SConstruct is read."""

from maelstrom.frameworks import FRAMEWORKS
from maelstrom.scons import keywords


def test_the_tool_knows_all_frameworks() -> None:
    assert sorted(FRAMEWORKS) == sorted(keywords.FRAMEWORKS)
