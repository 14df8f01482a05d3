"""Real hosts are tested by `nox -s provision` only: they need root, and some minutes."""

import os

collect_ignore = [] if os.environ.get("MAELSTROM_TEST_HOSTS") else ["hosts"]
