"""unittest: cases by test id, listed and run by a script of ours inside the container.

The script tells its findings in one line of JSON behind a separator, as that for pytest does.
"""

from maelstrom.frameworks.told import Scripted

UNITTEST = Scripted("unittest")
"""Python files with unittest's cases, or directories in which they are discovered."""
