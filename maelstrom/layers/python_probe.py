"""Tell, as a Python that is to become a layer, where it lives: run by that Python, prints JSON."""

import json
import os
import site
import sys

_is_alone = sys.prefix != sys.base_prefix and not any(
    item.endswith("-packages") and not item.startswith(sys.prefix + os.sep) for item in sys.path
)
print(
    json.dumps(
        {
            "version": list(sys.version_info[:2]),
            "cache_tag": sys.implementation.cache_tag,
            "prefix": sys.prefix,
            "base_prefix": sys.base_prefix,
            "base_executable": getattr(sys, "_base_executable", sys.executable),
            "library": os.path.dirname(os.__file__),
            "path": [item for item in sys.path if item],
            # A virtual environment without the system's packages has not the user's either.
            "user_site": "" if _is_alone else site.getusersitepackages(),
        }
    )
)
