"""How long is tried: little in the usual tests, much in `nox -s fuzz`."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("MAELSTROM_FUZZ_EXAMPLES", "15"))
# A checkout may be read-only, so no examples are kept on disk.
within_budget = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
