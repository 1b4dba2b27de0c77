"""What every results page says of its making."""

import os
import platform
import sys
from typing import Any

from benchmarks.repository import git, has_changes
from isotau.jobs.origin import versions


def provenance(module: str) -> dict[str, Any]:
    """Return the command that runs a module, the commit, the machine, the versions."""
    return {
        "command": f"python -m {module}",
        # Parts can come from several commits, which is to be said.
        "in_parts": "--only" in sys.argv,
        "commit": git("rev-parse", "--short", "HEAD"),
        "uncommitted": has_changes(),
        "machine": f"{platform.processor() or platform.machine()}, "
        f"{os.cpu_count()} cores, {platform.system()}",
        "versions": versions(),
    }
