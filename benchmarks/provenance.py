"""What every results page says of its making."""

import os
import platform
import subprocess
import sys
from typing import Any

from benchmarks.repository import ROOT
from isotau.reports.report import versions


def provenance(module: str) -> dict[str, Any]:
    """Return the command that runs a module, the commit, the machine, the versions."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return {
        "command": f"python -m {module}",
        "in_parts": "--only" in sys.argv,
        "commit": git("rev-parse", "--short", "HEAD"),
        "uncommitted": bool(git("status", "--porcelain", "--untracked-files=no")),
        "machine": f"{platform.processor() or platform.machine()}, "
        f"{os.cpu_count()} cores, {platform.system()}",
        "versions": versions(),
    }
