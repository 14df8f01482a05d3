"""These take many minutes and root: only who asks for them by name gets them."""

import os

collect_ignore = [] if os.environ.get("MAELSTROM_FAULTS") else ["test_faults.py"]
