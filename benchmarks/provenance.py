"""What every results page says of its making."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from isotau.reports.report import versions

HERE = Path(__file__).resolve().parent


def provenance(script: str) -> dict[str, Any]:
    """Return the command, the commit, the machine and the versions."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=HERE, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return {
        "command": f"python benchmarks/{script}.py",
        "in_parts": "--only" in sys.argv,
        "commit": git("rev-parse", "--short", "HEAD"),
        "uncommitted": bool(git("status", "--porcelain", "--untracked-files=no")),
        "machine": f"{platform.processor() or platform.machine()}, "
        f"{os.cpu_count()} cores, {platform.system()}",
        "versions": versions(),
    }
